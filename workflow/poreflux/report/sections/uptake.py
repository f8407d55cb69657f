"""Isotherms of the sets, how precise they are, and how they compare with the reference code."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from poreflux.report.figures.axes import pressure_axis
from poreflux.report.figures.style import INK, MARKERS, grid, set_colour, styled
from poreflux.report.numbers import NOT_A_NUMBER, Number, general, significant, whole
from poreflux.report.rendering import Section, Table, render
from poreflux.report.sections.crosscheck import crosscheck
from poreflux.report.statistics import finite, quartiles, usable
from poreflux.report.study import Study

# Share of the Henry coefficient in closed pockets above which a structure is counted.
POCKET_SHARE = 0.01
# Isotherms drawn one by one, at most.
MAX_ISOTHERMS = 300


def section(study: Study) -> Section:
    """Isotherms in figures and numbers."""
    sets = study.by_set("uptake", "pressure_bar", "uptake_cm3stp_cm3")
    body = render(
        "uptake",
        isotherms=_isotherms(study, sets) if sets else None,
        why=study.why_nowhere("uptake"),
        crosscheck=crosscheck(study, "uptake"),
    )
    return Section("uptake", "Uptake", body)


def _isotherms(study: Study, sets: dict[str, pd.DataFrame]) -> dict:
    files = {name: study.files(name, "uptake") for name in sets}
    return {
        "files": {name: names for name, names in files.items() if names},
        "sets": list(sets),
        "engine": study.engine("uptake"),
        "temperature_K": study.setting("uptake", "temperature_K"),
        "gaps": study.gaps(sets, "uptake"),
        "lines": study.draw("isotherms", draw_isotherms(sets)),
        "thinned": [n for n, t in sets.items() if t["name"].nunique() > MAX_ISOTHERMS],
        "most_lines": MAX_ISOTHERMS,
        "quartiles": study.draw("uptake_quartiles", draw_uptake_quartiles(sets)),
        "table": _table(sets),
        "errors": _errors(sets),
        "pockets": _pockets(sets),
        "pocket_share": POCKET_SHARE,
    }


def _table(sets: dict[str, pd.DataFrame]) -> Table:
    stats = {name: isotherm_quartiles(t).set_index("pressure_bar") for name, t in sets.items()}
    rows = []
    for pressure in sorted({p for t in stats.values() for p in t.index}):
        cells = []
        for t in stats.values():
            if pressure in t.index:
                q = t.loc[pressure]
                cells += [_quartiles_of(q), whole(q["n"])]
            else:
                cells += [Number(NOT_A_NUMBER), whole(0)]
        rows.append([general(pressure), *cells])
    heads = [h for name in stats for h in (f"{name} (cm³(STP) cm⁻³)", "n")]
    return Table(["Pressure (bar)", *heads], rows)


def _quartiles_of(row: pd.Series) -> Number:
    low, middle, high = (significant(row[c]) for c in ("q1", "median", "q3"))
    return Number(f"{middle} ({low} to {high})")


def _errors(sets: dict[str, pd.DataFrame]) -> list[str]:
    """Median relative standard error of one uptake, set by set, in words."""
    lines = []
    for name, table in sets.items():
        rows = finite(usable(table, "uptake_err_cm3stp_cm3"), "uptake_err_cm3stp_cm3")
        rows = rows[rows["uptake_cm3stp_cm3"] > 0]
        if rows.empty:
            continue
        share = quartiles(rows["uptake_err_cm3stp_cm3"] / rows["uptake_cm3stp_cm3"])
        lines.append(f"{100 * share[1]:.2g} % in {name}")
    return lines


def _pockets(sets: dict[str, pd.DataFrame]) -> list[str]:
    """How many structures hold guests in pockets that no channel reaches, set by set."""
    lines = []
    for name, table in sets.items():
        if "pocket_share" not in table.columns:
            continue
        blocked = table[pd.to_numeric(table["pocket_share"], errors="coerce") > POCKET_SHARE]
        n, total = blocked["name"].nunique(), table["name"].nunique()
        lines.append(f"{whole(n)} of {whole(total)} in {name}")
    return lines


def isotherm_quartiles(uptake: pd.DataFrame) -> pd.DataFrame:
    """Quartiles over structures of the uptake at each pressure.

    Parameters
    ----------
    uptake : DataFrame
        pressure_bar, uptake_cm3stp_cm3; finite.

    Returns
    -------
    DataFrame
        pressure_bar, q1, median, q3, n; by rising pressure.
    """
    rows = [
        (pressure, *quartiles(rows["uptake_cm3stp_cm3"]), len(rows))
        for pressure, rows in uptake.groupby("pressure_bar")
    ]
    return pd.DataFrame(rows, columns=["pressure_bar", "q1", "median", "q3", "n"])


@styled
def draw_isotherms(uptake: dict[str, pd.DataFrame]) -> Figure:
    """Isotherms of every structure, set by set, with the median."""
    figure, axes = grid(1, len(uptake), height=3.3, sharey=True)
    for axis, (name, table) in zip(axes[0], uptake.items(), strict=True):
        wide = table.pivot_table(
            index="name", columns="pressure_bar", values="uptake_cm3stp_cm3", aggfunc="mean"
        )
        wide = wide.loc[wide.iloc[:, -1].sort_values(kind="stable").index]
        if len(wide) > MAX_ISOTHERMS:
            # spread evenly over the uptakes at the highest pressure
            places = np.linspace(0, len(wide) - 1, MAX_ISOTHERMS).round().astype(int)
            wide = wide.iloc[places]
        pressures = wide.columns.to_numpy(float)
        colour = set_colour(name, list(uptake))
        alpha = float(np.clip(12 / len(wide), 0.12, 0.6))
        values = wide.to_numpy(float)
        if len(pressures) > 1:
            lines = LineCollection(
                [np.column_stack([pressures, row]) for row in values],
                colors=colour,
                alpha=alpha,
                lw=0.8,
            )
            axis.add_collection(lines)
        else:
            jitter = np.geomspace(0.9, 1.1, len(values)) * pressures[0]
            axis.plot(jitter, values[:, 0], ".", color=colour, alpha=max(alpha, 0.4))
        stats = isotherm_quartiles(table)
        axis.plot(stats["pressure_bar"], stats["median"], "o-", color=INK, label="median")
        pressure_axis(axis, pressures)
        axis.set_title(f"{name} (n = {table['name'].nunique()})")
        axis.autoscale_view()
        axis.set_ylim(bottom=0)
        axis.legend(loc="upper left")
    axes[0, 0].set_ylabel("Uptake (cm³(STP) cm⁻³)")
    return figure


@styled
def draw_uptake_quartiles(uptake: dict[str, pd.DataFrame]) -> Figure:
    """Median and quartiles of the uptake against pressure, the sets side by side."""
    figure, axes = grid(1, 1, height=3.2)
    axis = axes[0, 0]
    pressures = []
    for k, (name, table) in enumerate(uptake.items()):
        stats = isotherm_quartiles(table)
        pressures += list(stats["pressure_bar"])
        # moved sideways, so that error bars do not hide each other
        x = stats["pressure_bar"] * 1.035 ** (k - (len(uptake) - 1) / 2)
        axis.errorbar(
            x,
            stats["median"],
            yerr=[stats["median"] - stats["q1"], stats["q3"] - stats["median"]],
            fmt=f"{MARKERS[k % len(MARKERS)]}-",
            color=set_colour(name, list(uptake)),
            elinewidth=1,
            capsize=2,
            label=f"{name}, median and quartiles (n = {table['name'].nunique()})",
        )
    pressure_axis(axis, pressures)
    axis.set_ylabel("Uptake (cm³(STP) cm⁻³)")
    axis.margins(y=0.12)
    axis.set_ylim(bottom=0)
    axis.legend(loc="upper left")
    return figure
