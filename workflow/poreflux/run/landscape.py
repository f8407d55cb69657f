"""The energy landscape of one structure of a set as a table, for the picture in the report."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from poreflux.percolation.landscape import Landscape, landscape
from poreflux.percolation.settings import PercolationSettings
from poreflux.run.stages import structure_of

# Parts of the table: points of a grid, of the path, and atoms.
ENERGY, PATH, ATOM = "energy", "path", "atom"
LANDSCAPE_COLUMNS = ("name", "part", "x_A", "y_A", "z_A", "energy_K", "element")


def landscape_table(
    structures: pd.DataFrame, diffusion: pd.DataFrame, settings: PercolationSettings
) -> pd.DataFrame:
    """The landscape of the structure whose diffusivity is in the middle of all.

    Parameters
    ----------
    structures : DataFrame
        Structures tables of all shards.
    diffusion : DataFrame
        Diffusivities of the set.
    settings : PercolationSettings

    Returns
    -------
    DataFrame
        Columns :data:`LANDSCAPE_COLUMNS`, a row per point of the grid (z runs fastest), of the path
        or an atom; no rows where no structure is diffusive.
    """
    name = _middle(diffusion)
    if name is None:
        return pd.DataFrame(columns=list(LANDSCAPE_COLUMNS))
    row = structures[structures["name"] == name].iloc[0].to_dict()
    table = _table(landscape(structure_of(row), settings))
    return table.assign(name=row["name"])[list(LANDSCAPE_COLUMNS)]


def _middle(diffusion: pd.DataFrame) -> str | None:
    """The name of the structure in the middle of the diffusivities, None if there are none."""
    fit = diffusion[(diffusion["status"] == "ok") & diffusion["diffusive"].eq(True)]
    names = fit.sort_values(["d_m2_s", "name"])["name"].to_list()
    return names[len(names) // 2] if names else None


def _table(found: Landscape) -> pd.DataFrame:
    grid = np.array(list(itertools.product(*found.axes_A)))
    parts = (
        (ENERGY, grid, {"energy_K": found.energy_K.ravel()}),
        (PATH, found.path_A, {"energy_K": found.path_energy_K}),
        (ATOM, found.atoms_A, {"element": list(found.species)}),
    )
    tables = [
        pd.DataFrame(points, columns=["x_A", "y_A", "z_A"]).assign(part=part, **values)
        for part, points, values in parts
        if len(points)
    ]
    return pd.concat(tables, ignore_index=True).reindex(columns=list(LANDSCAPE_COLUMNS))
