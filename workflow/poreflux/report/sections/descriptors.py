"""Pore geometry, energy histograms and percolation of the sets side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from poreflux.data.features import histogram_columns
from poreflux.report.figures.axes import bin_edges, finite_values, legend_above
from poreflux.report.figures.style import GREY, INK, grid, set_colour, styled
from poreflux.report.numbers import decimal, percent, rounded, spread, whole
from poreflux.report.rendering import Section, Table, render
from poreflux.report.statistics import finite
from poreflux.report.study import Study

# Lennard-Jones diameter of united-atom methane, Å: TraPPE, Martin and Siepmann,
# J. Phys. Chem. B 102, 2569 (1998).
METHANE_DIAMETER_A = 3.73
# What is shown of the geometry: label of the axis, head of the column, how it is printed.
GEOMETRY = {
    "lcd_A": ("Largest cavity diameter (Å)", "LCD (Å)", decimal),
    "pld_A": ("Pore-limiting diameter (Å)", "PLD (Å)", decimal),
    "asa_m2_cm3": ("Accessible surface area (m² cm⁻³)", "Surface area (m² cm⁻³)", rounded),
    "void_fraction": ("Void fraction", "Void fraction", decimal),
}
PERCOLATION_PANELS = (
    ("barrier_kT", "Barrier to percolation (kT)"),
    ("log_mobility", "log₁₀ relative mobility"),
    ("log_henry", "log₁₀ Henry coefficient (mol kg⁻¹ bar⁻¹)"),
    ("heat_of_adsorption_kJ_mol", "Heat of adsorption (kJ mol⁻¹)"),
)
# Beyond this many kT nothing travels within any simulation.
BARRIER_DRAWN_KT = 30


def section(study: Study) -> Section:
    """What the learners see, set by set."""
    body = render(
        "descriptors",
        geometry=_geometry(study),
        geometry_why=study.why_nowhere("geometry"),
        energy=_energy(study),
        energy_why=study.why_nowhere("energy"),
        percolation=_percolation(study),
        percolation_why=study.why_nowhere("percolation"),
    )
    return Section("descriptors", "Descriptors", body)


def _geometry(study: Study) -> dict | None:
    sets = study.by_set("geometry", *GEOMETRY)
    if not sets:
        return None
    methane = study.setting("diffusion", "guest", default="CH4") == "CH4"
    panels = [(column, label) for column, (label, _, _) in GEOMETRY.items()]
    marks = {"pld_A": (METHANE_DIAMETER_A, f"CH₄, {METHANE_DIAMETER_A} Å")} if methane else {}
    rows = [
        [name, *(spread(table[column], form) for column, (_, _, form) in GEOMETRY.items())]
        for name, table in sets.items()
    ]
    narrow = [
        f"{whole((t['pld_A'] < METHANE_DIAMETER_A).sum())} of {whole(len(t))} in {name}"
        for name, t in sets.items()
    ]
    return {
        "gaps": study.gaps(sets, "geometry"),
        "picture": study.draw("descriptors", draw_distributions(sets, panels, marks)),
        "table": Table(["Set", *(head for _, head, _ in GEOMETRY.values())], rows),
        "narrow": narrow if methane else [],
        "diameter_A": METHANE_DIAMETER_A,
    }


def _energy(study: Study) -> dict | None:
    sets = {}
    for name in study.sets:
        table = study.rows(f"{name}/energy")
        bins = histogram_columns(table)
        rows = finite(table, *bins) if bins else table.iloc[:0]
        if len(rows):
            sets[name] = rows
    if not sets:
        return None
    range_K = tuple(study.setting("energy", "range_K", default=(-4000.0, 5000.0)))
    means = {name: mean_histogram(t)[0] for name, t in sets.items()}
    width_K = range_K[1] - range_K[0]
    return {
        "gaps": study.gaps(sets, "energy"),
        "picture": study.draw("energy", draw_energies(sets, range_K)),
        "edge_K": max(range_K[1] - width_K / len(mean) for mean in means.values()),
        "last_bins": [f"{percent(mean[-1])} in {name}" for name, mean in means.items()],
    }


def _percolation(study: Study) -> dict | None:
    sets = study.by_set("percolation", "dimensionality", "henry_mol_kg_bar")
    if not sets:
        return None
    temperature = float(study.setting("percolation", "temperature_K", default=298.0))
    # a table from a file, or of a stage that was told so, may do without
    sets = {
        name: t.reindex(columns=dict.fromkeys([*t.columns, "mobility", "barrier_1_K"]))
        for name, t in sets.items()
    }
    drawn = {
        name: t.assign(
            barrier_kT=t["barrier_1_K"].clip(upper=BARRIER_DRAWN_KT * temperature) / temperature,
            log_henry=np.log10(t["henry_mol_kg_bar"].where(t["henry_mol_kg_bar"] > 0)),
            log_mobility=np.log10(t["mobility"].where(t["mobility"] > 0)),
        )
        for name, t in sets.items()
    }
    rows = [
        [
            name,
            *(whole((t["dimensionality"] == d).sum()) for d in range(4)),
            spread(t["barrier_1_K"], rounded),
            spread(t["mobility"], lambda value: decimal(value, 3)),
            spread(t["henry_mol_kg_bar"], decimal),
        ]
        for name, t in sets.items()
    ]
    heads = ["Set", "No channel", "1-D", "2-D", "3-D"]
    heads += ["Barrier (K)", "Mobility", "Henry (mol kg⁻¹ bar⁻¹)"]
    return {
        "gaps": study.gaps(sets, "percolation"),
        "picture": study.draw("percolation", draw_distributions(drawn, PERCOLATION_PANELS, {})),
        "table": Table(heads, rows),
        "highest_kT": BARRIER_DRAWN_KT,
    }


def mean_histogram(energy: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and quartiles over structures of the share in each bin: three arrays (bins,)."""
    shares = energy[histogram_columns(energy)].to_numpy(np.float64)
    low, high = np.quantile(shares, [0.25, 0.75], axis=0)
    return shares.mean(axis=0), low, high


@styled
def draw_distributions(
    sets: dict[str, pd.DataFrame],
    panels: Sequence[tuple[str, str]],
    marks: dict[str, tuple[float, str]],
) -> Figure:
    """Distributions of up to four columns in every set.

    Parameters
    ----------
    sets : dict of str to DataFrame
        By set, with the columns of the panels; what is not finite is left out.
    panels : sequence of (str, str)
        Columns and the labels of their axes; an even number.
    marks : dict of str to (float, str)
        By column: where to draw a vertical line, and its label.
    """
    figure, axes = grid(len(panels) // 2, 2, height=2.5 * (len(panels) // 2))
    for axis, (column, label) in zip(axes.flat, panels, strict=True):
        values = {name: finite_values(table[column]) for name, table in sets.items()}
        edges = bin_edges(list(values.values()))
        for name, table in sets.items():
            colour = set_colour(name, list(sets))
            counts, _ = np.histogram(values[name], edges)
            shares = 100 * counts / len(table)
            fill = name == "source" or len(sets) == 1
            if fill:
                axis.stairs(shares, edges, fill=True, color=colour, alpha=0.35)
            axis.stairs(shares, edges, color=colour, lw=1.0 if fill else 1.8)
        if column in marks:
            x, text = marks[column]
            axis.axvline(x, color=INK, lw=1, ls=(0, (4, 3)))
            axis.annotate(
                text,
                (x, 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, -2),
                textcoords="offset points",
                va="top",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
            )
        axis.set(xlabel=label, ylabel="Structures (%)")
        axis.set_ylim(bottom=0)
    handles = [
        Patch(
            facecolor=set_colour(name, list(sets))
            if name == "source" or len(sets) == 1
            else "none",
            edgecolor=set_colour(name, list(sets)),
            alpha=0.8,
            lw=1.8,
            label=f"{name} (n = {len(table)})",
        )
        for name, table in sets.items()
    ]
    legend_above(figure, handles)
    return figure


@styled
def draw_energies(energy: dict[str, pd.DataFrame], range_K: tuple[float, float]) -> Figure:
    """Mean energy histogram of every set, with quartiles.

    The last bin holds everything above its lower edge: the framework itself. It dwarfs the
    rest and is left out of the drawing.
    """
    figure, axes = grid(1, 1, height=3.1)
    axis = axes[0, 0]
    for name, table in energy.items():
        mean, low, high = mean_histogram(table)
        edges = np.linspace(*range_K, len(mean) + 1)
        shown = slice(0, max(1, len(mean) - 1))
        centres = ((edges[:-1] + edges[1:]) / 2)[shown]
        colour = set_colour(name, list(energy))
        axis.fill_between(
            centres, 100 * low[shown], 100 * high[shown], color=colour, alpha=0.18, step="mid", lw=0
        )
        axis.step(
            centres,
            100 * mean[shown],
            where="mid",
            color=colour,
            ls="-" if name == "source" else (0, (5, 1.5)),
            label=f"{name}, mean and quartiles (n = {len(table)})",
        )
    axis.axvline(0, color=GREY, lw=0.8)
    axis.set(xlabel="Energy of the guest, E / k$_\\mathrm{B}$ (K)", ylabel="Grid points (%)")
    axis.set_ylim(bottom=0)
    axis.margins(x=0.01)
    axis.legend()
    return figure
