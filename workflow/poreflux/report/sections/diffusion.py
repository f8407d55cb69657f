"""Self-diffusivities of the target set, against the reference code and against uptake."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from poreflux.report.figures.axes import bin_edges, legend_above, log_ticks
from poreflux.report.figures.interactive import scatter
from poreflux.report.figures.style import BLUE, MAX_VECTOR, ORANGE, grid, rasterise, single, styled
from poreflux.report.rendering import MAX_ROWS, Section, render
from poreflux.report.sections.catalogue import STORAGE_PRESSURE_BAR
from poreflux.report.sections.crosscheck import crosscheck
from poreflux.report.statistics import finite, quartiles, usable
from poreflux.report.study import Study

# Below this the displacement within 2 ns is mostly vibration, m2/s.
SLOW_M2_S = 1e-10
# A colour map from light to dark that prints, and that no form of colour blindness folds.
DENSITY_MAP = LinearSegmentedColormap.from_list(
    "density", ["#F0C94F", "#8FBF7F", "#3A9393", "#1F5F87", "#1B2A52"]
)


def section(study: Study) -> Section:
    """Diffusivities in figures and numbers, and which of them are labels."""
    table = usable(study.tables.get("target/diffusion"), "d_m2_s", "d_err_m2_s", "diffusive")
    table = table.assign(diffusive=table["diffusive"].eq(True))
    positive = _positive(table)
    found = _found(study, table, positive) if len(table) else None
    body = render(
        "diffusion",
        found=found,
        why=study.why("target/diffusion"),
        files=study.files("target", "diffusion"),
        engine=study.engine("diffusion"),
        temperature_K=study.setting("diffusion", "temperature_K"),
        crosscheck=crosscheck(study, "diffusion"),
        uptake=_uptake(study, positive) if found else None,
    )
    return Section("diffusion", "Diffusion", body)


def _positive(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with a positive diffusivity; errors are numbers or NaN."""
    rows = finite(table, "d_m2_s")
    rows = rows[rows["d_m2_s"] > 0].reset_index(drop=True)
    errors = pd.to_numeric(rows["d_err_m2_s"], errors="coerce").astype(float)
    return rows.assign(d_err_m2_s=errors)


def _found(study: Study, table: pd.DataFrame, positive: pd.DataFrame) -> dict:
    drawn = len(positive) > 0
    return {
        "structures": len(table),
        "diffusive": int(table["diffusive"].sum()),
        "without_d": len(table) - len(positive),
        "reasons": _why_not_diffusive(table),
        "labels": _labels(positive[positive["diffusive"]], _by_displacements(study)),
        "picture": study.draw("diffusivities", draw_diffusivities(positive)) if drawn else None,
    }


def _why_not_diffusive(table: pd.DataFrame) -> list[dict]:
    rows = table[~table["diffusive"]]
    if rows.empty or "note" not in rows.columns:
        return []
    notes = rows["note"].fillna("").replace("", "no reason given").value_counts()
    return [{"note": text, "structures": n} for text, n in notes.head(MAX_ROWS).items()]


def _by_displacements(study: Study) -> bool:
    """Whether D was read from displacements, on which vibration weighs, for all we know."""
    own = study.computes("target", "diffusion")
    return not own or study.setting("diffusion", "engine") != "harmonic"


def _labels(labels: pd.DataFrame, by_displacements: bool) -> dict | None:
    """Quartiles and range of the diffusivities that learning takes, m2/s."""
    if labels.empty:
        return None
    low, middle, high = quartiles(labels["d_m2_s"])
    error = quartiles(labels["d_err_m2_s"] / labels["d_m2_s"])[1]
    return {
        "q1": low,
        "median": middle,
        "q3": high,
        "lowest": labels["d_m2_s"].min(),
        "highest": labels["d_m2_s"].max(),
        "error": error if error == error else None,
        "slow": int((labels["d_m2_s"] < SLOW_M2_S).sum()) if by_displacements else 0,
        "slow_m2_s": SLOW_M2_S,
    }


def _uptake(study: Study, positive: pd.DataFrame) -> dict:
    """The figure of uptake against diffusivity, or why there is none."""
    uptakes = study.rows("target/uptake", "pressure_bar", "uptake_cm3stp_cm3")
    density = study.rows("target/structures", "density_g_cm3")
    if uptakes.empty:
        return {"picture": None, "why": study.why("target/uptake")}
    if density.empty:
        return {"picture": None, "why": study.why("target/structures")}
    pressures = sorted(uptakes["pressure_bar"].unique())
    pressure = min(pressures, key=lambda p: (abs(p - STORAGE_PRESSURE_BAR), p))
    at = uptakes[uptakes["pressure_bar"] == pressure][["name", "uptake_cm3stp_cm3"]]
    labels = positive[positive["diffusive"]] if len(positive) else positive
    both = labels.merge(at, on="name").merge(density[["name", "density_g_cm3"]], on="name")
    if both.empty:
        why = "no structure has uptake, density and a diffusivity at once"
        return {"picture": None, "why": why}
    drawing = draw_uptake_against_diffusivity(both, pressure)
    interactive = None
    if study.catalogue is not None and study.catalogue.has("uptake", "d_m2_s"):
        interactive = scatter(
            study.catalogue,
            "uptake",
            "d_m2_s",
            group="set",
            names={"target": "target"},
            colour="density_g_cm3" if study.catalogue.has("density_g_cm3") else None,
        )
    return {
        "picture": study.draw("uptake_against_diffusivity", drawing, interactive),
        "pressure_bar": pressure,
        "structures": len(both),
    }


@styled
def draw_diffusivities(table: pd.DataFrame) -> Figure:
    """Distribution of the diffusivity, and every value with its standard error.

    Parameters
    ----------
    table : DataFrame
        d_m2_s (positive), d_err_m2_s, diffusive (bool).
    """
    figure, axes = grid(1, 2, height=3.2, ratios=(1, 1.25))
    left, right = axes[0]
    log_d = np.log10(table["d_m2_s"])
    good = table["diffusive"].to_numpy(bool)
    edges = bin_edges([log_d])
    kinds = [(good, BLUE, "diffusive"), (~good, ORANGE, "not diffusive")]
    kinds = [kind for kind in kinds if kind[0].any()]
    left.hist(
        [10 ** log_d[mask] for mask, _, _ in kinds],
        bins=10**edges,
        stacked=True,
        color=[colour for _, colour, _ in kinds],
        label=[f"{label} (n = {mask.sum()})" for mask, _, label in kinds],
        edgecolor="white",
        lw=0.5,
    )
    left.set(xscale="log", xlabel="D (m² s⁻¹)", ylabel="Structures")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    order = table["d_m2_s"].argsort(kind="stable").to_numpy()
    ranked = table.iloc[order].reset_index(drop=True)
    mask = ranked["diffusive"].to_numpy(bool)
    for chosen, colour, marker in ((mask, BLUE, "o"), (~mask, ORANGE, "s")):
        rows = ranked[chosen]
        d, err = rows["d_m2_s"], rows["d_err_m2_s"].fillna(0)
        points = right.errorbar(
            rows.index + 1,
            d,
            # an error bar that reached zero would run out of a logarithmic axis
            yerr=[np.minimum(err, 0.95 * d), err],
            fmt=marker,
            ms=3 if len(table) <= MAX_VECTOR else 1.2,
            color=colour,
            elinewidth=0.8,
            ls="none",
        )
        rasterise(points.lines[0], len(table))
        for bars in points.lines[2]:
            rasterise(bars, len(table))
    right.set(yscale="log", xlabel="Structures, by rising D", ylabel="D ± standard error (m² s⁻¹)")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    for log_axis in (left.xaxis, right.yaxis):
        log_ticks(log_axis, table["d_m2_s"])
    if len(table) == 1:
        right.set_xlim(0, 2)
    legend_above(figure, left.get_legend_handles_labels()[0])
    return figure


@styled
def draw_uptake_against_diffusivity(table: pd.DataFrame, pressure_bar: float) -> Figure:
    """Diffusivity against uptake, coloured by density.

    Parameters
    ----------
    table : DataFrame
        uptake_cm3stp_cm3, d_m2_s (positive), density_g_cm3; finite.
    pressure_bar : float
        Of the uptake.
    """
    figure, axis = single(6.4, 3.9)
    points = axis.scatter(
        table["uptake_cm3stp_cm3"],
        table["d_m2_s"],
        c=table["density_g_cm3"],
        cmap=DENSITY_MAP,
        norm=Normalize(*np.quantile(table["density_g_cm3"], [0.02, 0.98])),
        s=22 if len(table) <= MAX_VECTOR else 8,
        edgecolors="white",
        linewidths=0.3,
    )
    rasterise(points, len(table))
    axis.set(
        yscale="log",
        xlabel=f"Uptake at {pressure_bar:g} bar (cm³(STP) cm⁻³)",
        ylabel="D (m² s⁻¹)",
    )
    log_ticks(axis.yaxis, table["d_m2_s"])
    bar = figure.colorbar(points, ax=axis, pad=0.02, extend="both")
    bar.set_label("Density (g cm⁻³)")
    bar.outline.set_visible(False)
    return figure
