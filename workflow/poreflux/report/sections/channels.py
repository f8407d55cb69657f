"""The channels of one structure: where the guest may be, and its way through."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from poreflux.report.figures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILLION,
    grid,
    styled,
)
from poreflux.report.rendering import Section, missing_section, render
from poreflux.report.statistics import finite, usable
from poreflux.report.study import Study

TITLE = "Channels of one structure"
COORDINATES = ["x_A", "y_A", "z_A"]
# Elements and their colours; all others are drawn as metals.
ELEMENTS = {"C": GREY, "H": "#B8C2CA", "N": BLUE, "O": VERMILLION}
METAL = PURPLE
# Above the highest point of the path the surface is drawn this many kT higher: it is connected.
ABOVE_KT = 1.0


def section(study: Study) -> Section:
    """A surface of equal energy, the path of least resistance, and the energy along it."""
    table = usable(
        study.tables.get("study/landscape"), "name", "part", *COORDINATES, "energy_K", "element"
    )
    energy = finite(table[table["part"] == "energy"], *COORDINATES, "energy_K")
    if energy.empty:
        why = study.why("study/landscape")
        return missing_section("channels", TITLE, "A structure's channels", why)
    path = finite(table[table["part"] == "path"], *COORDINATES, "energy_K")
    atoms = finite(table[table["part"] == "atom"], *COORDINATES)
    temperature_K = float(study.setting("percolation", "temperature_K", default=298.0))
    base = path["energy_K"].max() if len(path) else energy["energy_K"].min() + 10 * temperature_K
    level_K = float(base + ABOVE_KT * temperature_K)
    interactive = _figure(energy, path, atoms, level_K)
    body = render(
        "channels",
        name=str(energy["name"].iloc[0]),
        guest=study.setting("percolation", "guest", default="CH4"),
        level_K=round(level_K),
        temperature_K=temperature_K,
        path=len(path) > 0,
        rise_kT=(path["energy_K"].max() - path["energy_K"].min()) / temperature_K
        if len(path)
        else None,
        picture=study.draw("channels", draw_channels(energy, path), interactive),
    )
    return Section("channels", TITLE, body)


def _figure(energy, path, atoms, level_K: float) -> dict:
    """What plotly draws: surface, path and atoms; the page spreads the axes over the grid."""
    axes = [np.unique(energy[c]).round(2).tolist() for c in COORDINATES]
    surface = {
        "type": "isosurface",
        "name": f"energy {level_K:.0f} K",
        "axes": axes,
        "value": energy["energy_K"].round().astype(int).tolist(),
        "isomin": level_K - 1,
        "isomax": level_K + 1,
        "surface": {"count": 1},
        "caps": {axis: {"show": False} for axis in "xyz"},
        "colorscale": [[0, BLUE], [1, BLUE]],
        "showscale": False,
        "opacity": 0.35,
        "hoverinfo": "name",
    }
    kinds = {e: atoms[atoms["element"] == e] for e in ELEMENTS}
    kinds["metals and others"] = atoms[~atoms["element"].isin(ELEMENTS)]
    spheres = [
        {
            **_points(rows),
            "type": "scatter3d",
            "mode": "markers",
            "name": name,
            "text": rows["element"].tolist(),
            "hoverinfo": "text",
            "marker": {"color": ELEMENTS.get(name, METAL), "size": 2.5 if name == "H" else 4},
        }
        for name, rows in kinds.items()
        if len(rows)
    ]
    way = {
        **_points(path),
        "type": "scatter3d",
        "mode": "lines",
        "name": "path of least resistance",
        "text": [f"{e:.0f} K" for e in path["energy_K"]],
        "hoverinfo": "text",
        "line": {"color": ORANGE, "width": 8},
    }
    names = dict(zip(("xaxis", "yaxis", "zaxis"), ("x (Å)", "y (Å)", "z (Å)"), strict=True))
    scene = {"aspectmode": "data", **{axis: {"title": {"text": t}} for axis, t in names.items()}}
    data = [surface, *spheres, *([way] if len(path) else [])]
    return {"literal": True, "data": data, "layout": {"scene": scene}}


def _points(rows: pd.DataFrame) -> dict:
    return {c[0]: rows[c].round(2).tolist() for c in COORDINATES}


@styled
def draw_channels(energy: pd.DataFrame, path: pd.DataFrame) -> Figure:
    """The lowest energy along the line of sight, and the energy along the path.

    Parameters
    ----------
    energy, path : DataFrame
        x_A, y_A, z_A, energy_K; the former on a grid, z fastest; the latter maybe empty.
    """
    x, y, z = (np.unique(energy[c]) for c in COORDINATES)
    lowest = energy["energy_K"].to_numpy().reshape(len(x), len(y), len(z)).min(axis=2)
    figure, axes = grid(1, 2 if len(path) else 1, height=3.6)
    left = axes[0, 0]
    extent = (x[0], x[-1], y[0], y[-1])
    picture = left.imshow(
        lowest.T,
        origin="lower",
        extent=extent,
        cmap="cividis_r",
        vmax=0,
        interpolation="bilinear",
    )
    left.set(xlabel="x (Å)", ylabel="y (Å)")
    left.grid(visible=False)
    bar = figure.colorbar(picture, ax=left, extend="max", shrink=0.8)
    bar.set_label("Lowest energy along z (K)")
    bar.outline.set_visible(False)
    if len(path):
        left.plot(path["x_A"], path["y_A"], color=ORANGE, lw=2)
        steps = np.linalg.norm(np.diff(path[COORDINATES].to_numpy(), axis=0), axis=1)
        way = np.concatenate([[0.0], np.cumsum(steps)])
        right = axes[0, 1]
        right.plot(way, path["energy_K"], color=ORANGE)
        right.axhline(path["energy_K"].max(), color=INK, lw=0.8, ls=(0, (4, 3)))
        right.set(xlabel="Along the path (Å)", ylabel="Energy (K)")
    return figure
