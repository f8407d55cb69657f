"""Held-out structures: what the models that never saw them say, against what was simulated."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from poreflux.data.features import DIFFUSIVITY_UNIT_M2_S
from poreflux.data.labels import DIFFUSIVITY
from poreflux.report.figures.axes import equal_axes, legend_above
from poreflux.report.figures.interactive import scatter
from poreflux.report.figures.style import GREY, MARKERS, PALETTE, rasterise, single, styled
from poreflux.report.rendering import Section, missing_section, render
from poreflux.report.scores import valid_scores
from poreflux.report.statistics import finite, usable
from poreflux.report.study import Study
from poreflux.report.words import model_in_words

TITLE = "Predicted against simulated"
# Half the width of the 90 % interval of a normal distribution, in standard deviations.
HALF_WIDTH_90 = 1.6449
DIMENSIONS = {1: "channels in one direction", 2: "in two", 3: "in three"}
MAX_WORST = 3


def section(study: Study) -> Section:
    """Parity of the best models on structures that they never saw."""
    columns = ("value", "predicted", "predicted_std")
    table = finite(usable(study.tables.get("study/held_out"), "name", "model", *columns), *columns)
    if len(table) < 2:
        why = study.why("study/held_out") if table.empty else "a single structure was held out"
        return missing_section("held-out", TITLE, TITLE, why)
    known = study.quantity(study.target_label)
    off = table["predicted"] - table["value"]
    spread = np.square(table["value"] - table["value"].mean()).sum()
    counts = pd.to_numeric(usable(table, "n_models")["n_models"], errors="coerce").fillna(1)
    logarithm = known.error_unit.startswith("decades")
    worst = table.loc[off.abs().sort_values(ascending=False, kind="stable").index[:MAX_WORST]]
    body = render(
        "held_out",
        learnt=known.words,
        structures=len(table),
        model=model_in_words(str(table["model"].iloc[0])),
        fewest=int(counts.min()),
        most=int(counts.max()),
        size=_size(study),
        rmse=float(np.sqrt(np.square(off).mean())),
        unit=known.error_unit,
        r2=1.0 - np.square(off).sum() / spread if spread > 0 else np.nan,
        factor_two=(off.abs() <= np.log10(2)).mean() if logarithm else None,
        covered=(off.abs() <= HALF_WIDTH_90 * table["predicted_std"]).mean(),
        picture=_picture(study, table),
        by_dimensionality=_by_dimensionality(study),
        worst=[f"{r.name} ({off[r.Index]:+.2f})".replace("-", "−") for r in _named(worst)],
    )
    return Section("held-out", TITLE, body)


def _named(rows: pd.DataFrame):
    return rows[["name"]].itertuples()


def _size(study: Study) -> str:
    scores = valid_scores(study)
    return str(int(scores["size"].max())) if len(scores) else "the largest size"


def _by_dimensionality(study: Study) -> bool:
    return study.catalogue is not None and study.catalogue.has("dimensionality")


def _picture(study: Study, table: pd.DataFrame):
    is_d = study.target_label == DIFFUSIVITY
    known = study.quantity(study.target_label)
    catalogue = study.catalogue
    group = "dimensionality" if _by_dimensionality(study) else None
    shown = table.assign(dimensionality=np.nan)
    if group:
        of_target = catalogue.table[catalogue.table["set"] == "target"]
        by_name = of_target.drop_duplicates("name").set_index("name")["dimensionality"]
        shown["dimensionality"] = shown["name"].map(by_name)
    interactive = None
    x = "d_m2_s" if is_d else "value"
    if catalogue is not None and catalogue.has(x, "predicted"):
        names = {k: v for k, v in DIMENSIONS.items() if (shown["dimensionality"] == k).any()}
        grouped = {"group": group, "names": names} if names else {}
        interactive = scatter(catalogue, x, "predicted", diagonal=True, **grouped)
    drawing = draw_held_out(shown, known.symbol if not is_d else "D", known.unit, is_d)
    return study.draw("held_out", drawing, interactive)


@styled
def draw_held_out(table: pd.DataFrame, symbol: str, unit: str, is_diffusivity: bool) -> Figure:
    """Predictions of held-out structures against their labels, with 90 % intervals.

    Parameters
    ----------
    table : DataFrame
        value, predicted, predicted_std (as they were learnt), dimensionality (maybe NaN).
    symbol, unit : str
        What is learnt.
    is_diffusivity : bool
        The label is log10 of D in 1e-8 m2/s: D is drawn, on logarithmic axes.
    """
    figure, axis = single(4.9, 4.9)
    scale = _as_d if is_diffusivity else np.asarray
    half = HALF_WIDTH_90 * table["predicted_std"]
    x, y = scale(table["value"]), scale(table["predicted"])
    low, high = scale(table["predicted"] - half), scale(table["predicted"] + half)
    bars = axis.vlines(x, low, high, color=GREY, lw=0.7, alpha=0.45, zorder=1)
    rasterise(bars, len(table))
    groups = [(k, words) for k, words in DIMENSIONS.items() if (table["dimensionality"] == k).any()]
    for k, (value, words) in enumerate(groups or [(None, "held-out structures")]):
        mask = np.ones(len(table), bool) if value is None else table["dimensionality"] == value
        (points,) = axis.plot(
            x[mask],
            y[mask],
            MARKERS[k],
            color=PALETTE[k],
            ls="none",
            mec="white",
            mew=0.3,
            label=f"{words} (n = {int(np.sum(mask))})",
        )
        rasterise(points, len(table))
    equal_axes(axis, np.concatenate([x, y]), is_log=is_diffusivity)
    unit = "m² s⁻¹" if is_diffusivity else unit
    label = f"{symbol} ({unit})" if unit else symbol
    axis.set(xlabel=f"Simulated: {label}", ylabel=f"Predicted: {label}")
    legend_above(figure, axis.get_legend_handles_labels()[0], most=1)
    return figure


def _as_d(log10_d) -> np.ndarray:
    return DIFFUSIVITY_UNIT_M2_S * 10.0 ** np.asarray(log10_d, float)
