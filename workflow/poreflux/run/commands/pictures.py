"""One picture of a stage's result."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from poreflux.base.errors import ConfigError
from poreflux.data.features import histogram_columns

FORMATS = (".png", ".svg", ".pdf")
# More lines than these cannot be told apart, more bars not read.
MOST_LINES, MOST_BARS = 10, 40
# Times of D(t) in the table of diffusion, ps.
D_OF_T = {0.5: "d_half_ps_m2_s", 1.0: "d_1_ps_m2_s", 2.0: "d_2_ps_m2_s"}


def check(path: Path) -> None:
    """Say before anything is computed if a picture cannot be written.

    Raises
    ------
    ConfigError
        If the format is unknown, there is no such folder, or matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError("--plot needs matplotlib: pip install matplotlib, or poreflux[report]")
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--plot {path}: the name must end in one of {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--plot {path}: there is no folder {path.parent}")


def draw(stage: str, table: pd.DataFrame, settings, path: Path) -> None:
    """Draw the result of a stage.

    Parameters
    ----------
    stage : str
        geometry, energy, percolation, uptake or diffusion.
    table : DataFrame
        Its rows, none of them failed.
    settings
        Of the stage.
    path : Path
        Where the picture goes; its ending is the format.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(table["name"].drop_duplicates())
    figure, axis = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    DRAW[stage](axis, table, settings, names)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize="small")
    figure.savefig(path, dpi=200)
    pyplot.close(figure)


def _geometry(axis, table, _settings, names) -> None:
    series = {"largest cavity diameter": "lcd_A", "pore limiting diameter": "pld_A"}
    _bars(axis, names, {label: table[column] for label, column in series.items()})
    axis.set_ylabel("diameter (Å)")


def _energy(axis, table, settings, names) -> None:
    low, high = settings.range_K
    columns = histogram_columns(table)
    edges = np.linspace(low, high, len(columns) + 1)
    for name, shares in zip(names[:MOST_LINES], table[columns].to_numpy(float), strict=False):
        axis.stairs(shares, edges, label=name)
    axis.set(xlabel=f"energy of {settings.guest} over kB (K)", ylabel="share of the cell")


def _percolation(axis, table, settings, names) -> None:
    closed = settings.cap_K
    series = {}
    for n in (1, 2, 3):
        if f"e_perc_{n}_K" in table:
            energies = table[f"e_perc_{n}_K"].to_numpy(float)
            series[f"in {n} direction{'s' * (n > 1)}"] = np.where(
                energies < closed, energies, np.nan
            )
    if not series:
        series = {"mobility": table["mobility"]}
    _bars(axis, names, series)
    axis.set_ylabel(
        "mobility" if "mobility" in series else f"percolation energy of {settings.guest} (K)"
    )


def _uptake(axis, table, settings, names) -> None:
    for name in names[:MOST_LINES]:
        rows = table[table["name"] == name].sort_values("pressure_bar")
        axis.errorbar(
            rows["pressure_bar"], rows["uptake_mol_kg"], rows["uptake_err_mol_kg"],
            marker="o", markersize=4, capsize=2, label=name,
        )  # fmt: skip
    axis.set(xlabel="pressure (bar)", ylabel=f"uptake of {settings.guest} (mol/kg)")
    axis.set_ylim(bottom=0)


def _diffusion(axis, table, settings, names) -> None:
    """D(t), of which D is the end; bars of D where there are many or no D(t)."""
    rows = [row for row in table.to_dict("records") if row["d_m2_s"] > 0]
    with_course = [row for row in rows if row.get("time_ps", 0) > 0]
    if with_course == rows and 0 < len(rows) <= MOST_LINES:
        for row in rows:
            last = row["time_ps"]
            course = {t: row[c] for t, c in D_OF_T.items() if t < last / 2}
            course |= {last / 2: row["d_half_time_m2_s"], last: row["d_m2_s"]}
            errors = [0.0] * (len(course) - 1) + [row["d_err_m2_s"]]
            axis.errorbar(
                list(course), list(course.values()), errors,
                marker="o", markersize=4, capsize=2, label=row["name"],
            )  # fmt: skip
        axis.set(xlabel="time t (ps)", ylabel=f"D(t) of {settings.guest} (m²/s)")
        if max(row["d_m2_s"] for row in rows) > 10 * min(row["d_m2_s"] for row in rows):
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
    else:
        # the axis is logarithmic
        positive = table["d_m2_s"].where(table["d_m2_s"] > 0)
        _bars(axis, names, {"": positive}, table["d_err_m2_s"])
        axis.set(ylabel=f"D of {settings.guest} (m²/s)", yscale="log")


def _bars(axis, names, series, errors=None) -> None:
    """A group of bars for each file, a colour for each series; of many files the first."""
    shown = names[:MOST_BARS]
    width = 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        places = np.arange(len(shown)) + (i - (len(series) - 1) / 2) * width
        heights = np.asarray(values, float)[: len(shown)]
        bars = None if errors is None else np.asarray(errors, float)[: len(shown)]
        if np.isfinite(heights).any():
            axis.bar(places, heights, width * 0.95, yerr=bars, label=label or None)
    # a single bar is no wall
    axis.set_xlim(-1, len(shown))
    many = len(shown) > 3
    axis.set_xticks(
        np.arange(len(shown)), shown, rotation=45 if many else 0, ha="right" if many else "center"
    )


DRAW = {
    "geometry": _geometry,
    "energy": _energy,
    "percolation": _percolation,
    "uptake": _uptake,
    "diffusion": _diffusion,
}
