"""What ships with the package: a data set of CoRE MOF 2019, and models trained on it."""

from __future__ import annotations

import io
import json
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import pandas as pd

from poreflux.base.errors import ConfigError
from poreflux.base.tables import read_table

TABLE, README, CARD = "core2019.parquet", "README.md", "card.json"
MODEL, FEATURES = "{}.model", "{}.features.csv.gz"


def folder() -> Traversable:
    """Where the files are."""
    return resources.files("poreflux") / "prediction" / "core2019"


def dataset() -> pd.DataFrame:
    """Diffusivities, uptakes and pores of the CoRE MOFs through which CH4 passes.

    Returns
    -------
    DataFrame
        A row per structure of CoRE MOF 2019 (ASR), indexed by name. :func:`describe` gives the
        columns, their units and how they were computed.

    Examples
    --------
    >>> table = dataset()
    >>> bool((table["CH4_dimensionality"] > 0).all())
    True
    """
    with resources.as_file(folder() / TABLE) as path:
        return read_table(path)


def describe() -> str:
    """The data set's own README: columns, units, protocol, checks, licence."""
    return (folder() / README).read_text(encoding="utf-8")


@cache
def card() -> dict:
    """The models' card: data, date, version and licence; by guest, features, scores, coverage."""
    return json.loads((folder() / CARD).read_text(encoding="utf-8"))


def guests() -> tuple[str, ...]:
    """Guests that a model ships for."""
    return tuple(card()["models"])


@cache
def model(guest: str) -> bytes:
    """The model of a guest, a :class:`poreflux.learning.trained.TrainedSize`.

    Raises
    ------
    ConfigError
        If none ships for this guest.
    """
    if guest not in guests():
        raise ConfigError(
            f"no model ships for guest {guest!r}; there are: {', '.join(guests())}. "
            f"`poreflux diffusion --guest {guest}` simulates it in a second or two"
        )
    return (folder() / MODEL.format(guest)).read_bytes()


@cache
def training_features(guest: str) -> pd.DataFrame:
    """Features (:func:`poreflux.data.features.feature_table`) of the structures of a model.

    They lie beside the model as CSV: predictions do without the package that reads Parquet.
    """
    data = (folder() / FEATURES.format(guest)).read_bytes()
    return pd.read_csv(io.BytesIO(data), compression="gzip")
