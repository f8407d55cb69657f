"""Labels by name: what a model learns, from a stage's table or from a file of the user's own.

A label is one number per structure. Every number in a stage's table is one: ``diffusivity``,
``uptake_65bar``, ``mobility``, ``pld``; of another guest and at another temperature with these
after it: ``henry_Kr``, ``diffusivity_CH4_400K``. Others are columns of CSV files that the
configuration names under ``labels:``. Learning knows only names and numbers, so that any label can
be the source and any other the target.
"""

from __future__ import annotations

import difflib
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from poreflux.base.errors import ConfigError, DataError
from poreflux.base.foreign_tables import ForeignTable, misspelt
from poreflux.data.features import IDENTITY_COLUMNS
from poreflux.data.quantities import QUANTITIES, Quantity, quantity
from poreflux.fields.guests import known_guests

logger = logging.getLogger(__name__)

LABEL_COLUMNS = (*IDENTITY_COLUMNS, "label", "value", "unit")
DIFFUSIVITY, HENRY, UPTAKE = "diffusivity", "henry", "uptake"
# The uptakes at all pressures, learnt together; of another guest ``isotherm_N2``.
ISOTHERM = "isotherm"
_ISOTHERM = replace(QUANTITIES[UPTAKE], name=ISOTHERM)
TRANSFORMS = {"none": lambda values: values, "log10": np.log10}

_AT_PRESSURE = re.compile(r"uptake_([0-9.e+-]+)bar")
_PRESSURE = re.compile(r"(.+)_([0-9.e+-]+)bar")
_TEMPERATURE = re.compile(r"(.+)_([0-9]+(?:\.[0-9]+)?)K")
# So many names are offered for one that there is not.
OFFERED = 3


@dataclass(frozen=True)
class Label:
    """The name of a label that a stage gives, taken apart.

    Attributes
    ----------
    quantity : Quantity
    pressure_bar : float or None
        Of what the stage ``uptake`` gives, but for isotherms.
    guest : str or None
        None: that of the study.
    temperature_K : float or None
        None: that of the study.
    """

    quantity: Quantity
    pressure_bar: float | None = None
    guest: str | None = None
    temperature_K: float | None = None

    @property
    def name(self) -> str:
        """As it stands in tables: the shortest."""
        at = "" if self.pressure_bar is None else f"_{self.pressure_bar:g}bar"
        return self.quantity.name + at + suffix(self.guest, self.temperature_K)


def suffix(guest: str | None, temperature_K: float | None) -> str:
    """What stands after the name of a label or a table of another guest or temperature.

    >>> suffix("N2", None), suffix("CH4", 400.0), suffix(None, None)
    ('_N2', '_CH4_400K', '')
    """
    return "".join(
        [f"_{guest}" if guest else "", "" if temperature_K is None else f"_{temperature_K:g}K"]
    )


def parted(name: str) -> tuple[str, str | None, float | None]:
    """A name without its guest and temperature, and these, None where it has none.

    >>> parted("uptake_N2"), parted("diffusivity_CH4_400K")
    (('uptake', 'N2', None), ('diffusivity', 'CH4', 400.0))
    """
    temperature_K = guest = None
    found = _TEMPERATURE.fullmatch(name)
    # one that its name could not give again is none: 1e+06
    if found and "e" not in suffix(None, float(found[2])):
        name, temperature_K = found[1], float(found[2])
    head, _, tail = name.rpartition("_")
    if head and tail in known_guests():
        name, guest = head, tail
    return name, guest, temperature_K


def parse(name: str) -> Label | None:
    """The label of a stage that a name means; None where it means none.

    >>> parse("heat_of_adsorption_kJ_mol_Kr").name, parse("uptake_5.80bar_300K").name
    ('heat_Kr', 'uptake_5.8bar_300K')
    """
    base, guest, temperature_K = parted(name)
    if base == ISOTHERM:
        return Label(_ISOTHERM, None, guest, temperature_K)
    pressure_bar = None
    if found := _PRESSURE.fullmatch(base):
        try:
            base, pressure_bar = found[1], float(found[2])
        except ValueError:
            return None
    of = quantity(base)
    if of is None or (of.stage == UPTAKE) != (pressure_bar is not None):
        # a column that two stages have may be at a pressure in the second
        return None
    return Label(of, pressure_bar, guest, temperature_K)


def uptake_at(pressure_bar: float) -> str:
    """Name of the uptake at a pressure in bar: ``uptake_5.8bar``."""
    return f"{UPTAKE}_{pressure_bar:g}bar"


def pressure_of(label: str) -> float:
    """The pressure in bar of an uptake's name; NaN for other labels."""
    found = _AT_PRESSURE.fullmatch(label)
    return float(found[1]) if found else math.nan


def rank_of(label: str) -> tuple[bool, float, str]:
    """What labels are sorted by: uptakes by their pressure, then the others by name."""
    pressure = pressure_of(label)
    return (True, 0.0, label) if math.isnan(pressure) else (False, pressure, label)


def kind_of(label: str) -> str:
    """``uptake`` for an uptake at whatever pressure, else the name itself."""
    return UPTAKE if _AT_PRESSURE.fullmatch(label) else label


def requested_labels(
    names: Sequence[str], pressures_bar: Sequence[float], own: Sequence[str] = ()
) -> list[str]:
    """The labels that a configuration asks for, ``uptake`` at every pressure.

    Parameters
    ----------
    names : sequence of str
        ``uptake`` (perhaps of another guest: ``uptake_N2``), what :func:`parse` takes, or one of
        ``own``, which goes before.
    pressures_bar : sequence of float
        What ``uptake`` stands for, bar.
    own : sequence of str
        Names of the user's own labels.

    Raises
    ------
    ConfigError
        If a name is none of them; the message names the nearest.
    """
    requested: list[str] = []
    for name in names:
        base, guest, temperature_K = parted(name)
        if name in own:
            requested.append(name)
        elif base == UPTAKE:
            requested += (uptake_at(p) + suffix(guest, temperature_K) for p in pressures_bar)
        else:
            requested.append(_known(name, own))
    return list(dict.fromkeys(requested))


def is_isotherm(name: str) -> bool:
    """Whether a name stands for the uptakes of a guest at all pressures, learnt together."""
    return parted(name)[0] == ISOTHERM


def is_of_many_pressures(name: str) -> bool:
    """Whether a name stands for uptakes at all pressures, not for one number per structure."""
    return parted(name)[0] in (UPTAKE, ISOTHERM)


def _known(name: str, own: Sequence[str]) -> str:
    """The name of a label in its shortest form."""
    label = parse(name)
    if label:
        return label.name
    near = _nearest(name, own)
    hint = f"did you mean {' or '.join(near)}? There" if near else "there"
    of_their_own = f"; of your own {', '.join(own)}" if own else ""
    raise ConfigError(
        f"there is no label {name!r}; {hint} are {UPTAKE}, {uptake_at(65.0)}, {ISOTHERM}, "
        f"{HENRY}, {DIFFUSIVITY}, activation_energy and every column of a stage's table, such as "
        f"mobility, barrier_1, heat, pld, each of another guest ({', '.join(known_guests())}) and "
        f"at another temperature as henry_Kr, isotherm_N2, diffusivity_CH4_400K{of_their_own}; "
        "further ones of your own are described under labels:"
    )


def _nearest(name: str, own: Sequence[str]) -> list[str]:
    """Names that may have been meant, the likeliest first."""
    base, guest, temperature_K = parted(name)
    end = suffix(guest, temperature_K)
    known = {each.lower(): of.name + end for each, of in QUANTITIES.items()}
    known |= {UPTAKE: UPTAKE + end, ISOTHERM: ISOTHERM + end} | {each.lower(): each for each in own}
    near = difflib.get_close_matches(base.lower(), known, 2 * OFFERED)
    near += [each for each in known if len(base) > 2 and each.startswith(base.lower())]
    return list(dict.fromkeys(known[each] for each in near))[:OFFERED]


def scalar_labels(names: Sequence[str], pressures_bar: Sequence[float]) -> list[str]:
    """The labels of one number per structure behind the ``names`` of :func:`requested_labels`.

    ``isotherm`` stands for the uptakes at all of ``pressures_bar``.
    """
    scalar: list[str] = []
    for name in names:
        end = name.removeprefix(ISOTHERM)
        scalar += (uptake_at(p) + end for p in pressures_bar) if is_isotherm(name) else [name]
    return list(dict.fromkeys(scalar))


def isotherms_of(table: pd.DataFrame, name: str = ISOTHERM) -> pd.DataFrame:
    """The uptakes of a guest at all pressures of a table of labels.

    Parameters
    ----------
    table : DataFrame
        Columns :data:`LABEL_COLUMNS`.
    name : str
        Such as ``isotherm`` or ``isotherm_N2``.

    Returns
    -------
    DataFrame
        Indexed by name, one column per pressure in rising order; structures that have not all of
        them are left out.

    Raises
    ------
    DataError
        If the table holds no uptake, or no structure has all.
    """
    end = name.removeprefix(ISOTHERM)
    ending = [label for label in table["label"].unique() if label.endswith(end)]
    own = {label: label.removesuffix(end) for label in ending}
    uptakes = [label for label, plain in own.items() if kind_of(plain) == UPTAKE]
    labels = sorted(uptakes, key=lambda label: rank_of(own[label]))
    if not labels:
        raise DataError(
            f"the label {name} needs uptakes, and the table of labels has none of that guest and "
            "temperature"
        )
    columns = {label: values_of(table, label) for label in labels}
    found = pd.DataFrame(columns).dropna().rename_axis("name")
    if found.empty:
        raise DataError(f"no structure has all of {', '.join(labels)}")
    return found


def from_stages(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """A label from the table of the stage that gives it.

    Parameters
    ----------
    name : str
        Of the label, see :func:`parse`.
    table : DataFrame
        Of its stage, guest and temperature, failed rows included.

    Returns
    -------
    DataFrame
        Columns :data:`LABEL_COLUMNS`; structures without the label are left out: those that
        failed or have no such number, and those that are closed to the guest where the number
        only says so (percolation energies above 40 kT at 298 K, a mobility below 1e-8, a
        diffusivity that is a bound). ``unit`` says what is a logarithm to the base 10.

    Raises
    ------
    DataError
        If the table does not hold the label, or twice for a structure.
    """
    label = parse(name)
    of = label.quantity
    rows = table[table["status"] == "ok"]
    if label.pressure_bar is not None:
        rows = _at_pressure(rows, table, label.pressure_bar)
    if of.column not in rows.columns:
        raise DataError(f"the table of the stage {of.stage} has no column {of.column} for {name}")
    if of.needs_diffusion:
        rows = rows[rows["diffusive"].eq(True)]
    numbers = pd.to_numeric(rows[of.column], errors="coerce").to_numpy(dtype=np.float64)
    told = np.isfinite(numbers) & (numbers >= of.least) & (numbers <= of.most)
    rows, numbers = rows[told], numbers[told]
    repeated = rows.loc[rows["name"].duplicated(), "name"]
    if len(repeated):
        raise DataError(f"more than one label for {', '.join(repeated[:5])}")
    values = np.log10(numbers / of.scale) if of.is_log else numbers
    identity = table[list(IDENTITY_COLUMNS)].drop_duplicates("name")
    return _table(name, pd.Series(values, index=rows["name"].to_numpy()), identity, of.unit)


def _at_pressure(rows: pd.DataFrame, table: pd.DataFrame, pressure_bar: float) -> pd.DataFrame:
    def near(part: pd.DataFrame) -> np.ndarray:
        return np.isclose(part["pressure_bar"].to_numpy(dtype=np.float64), pressure_bar)

    if not near(table).any():
        known = ", ".join(f"{p:g}" for p in np.sort(table["pressure_bar"].dropna().unique()))
        raise DataError(f"there is no uptake at {pressure_bar:g} bar; the table has: {known} bar")
    return rows[near(rows)]


def from_file(
    label: str,
    rows: ForeignTable,
    structures: pd.DataFrame,
    *,
    column: str,
    key: str = "name",
    factor: float = 1.0,
    transform: str = "none",
    unit: str = "",
) -> pd.DataFrame:
    """A label from a user's own table.

    Parameters
    ----------
    label : str
        Its name.
    rows : ForeignTable
        The user's table: one row per structure.
    structures : DataFrame
        Columns name, content_hash, status of the set.
    column : str
        Holds the numbers; empty ones are structures without a label.
    key : str
        Column that says which structure: a name or, if it is called ``content_hash``, that.
    factor : float
        The numbers are multiplied by it.
    transform : str
        ``none`` or ``log10``, after the factor.
    unit : str
        Of the result; nothing is converted.

    Returns
    -------
    DataFrame
        Columns :data:`LABEL_COLUMNS`. Structures of the set that the file does not know are left
        out, rows of structures that the set does not have as well.

    Raises
    ------
    DataError
        If a column is missing, a key stands twice, a value is not a number or has no logarithm,
        or no structure of the set is in the file.
    """
    file = rows.path
    keys = pd.Series(rows.texts(key), dtype=object)
    given, problems = rows.numbers(column)
    if problems:
        row, reason = next(iter(problems.items()))
        raise DataError(f"{file}: row {row + 1}, {column} of {keys[row]}: {reason}")
    numbered = ~np.isnan(given)
    nameless = np.flatnonzero(numbered & keys.isna().to_numpy())
    if len(nameless):
        raise DataError(
            f"{file}: row {nameless[0] + 1} below the head has nothing in column {key!r}; name its "
            "structure or delete the row"
        )
    keys, given = keys[numbered].reset_index(drop=True), given[numbered]
    if keys.duplicated().any():
        raise DataError(f"{file}: {key} {keys[keys.duplicated()].iloc[0]!r} stands twice; keep one")
    with np.errstate(all="ignore"):
        values = TRANSFORMS[transform](given * factor)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        what = "too large" if transform == "none" else f"has no {transform}"
        raise DataError(
            f"{file}: {column} of {keys[bad[0]]} {what}: {given[bad[0]]:g}; leave the field empty "
            "where there is no label"
        )
    by = "content_hash" if key == "content_hash" else "name"
    identity = structures.loc[structures["status"] == "ok", list(IDENTITY_COLUMNS)]
    identity = identity.drop_duplicates("name")
    found = pd.Series(values, index=keys.to_numpy())
    named = identity[identity[by].isin(found.index)]
    for name, other in misspelt(found.index, identity[by]).items():
        raise DataError(f"{file}: {key} {other!r} seems to mean {name!r}; write it like that")
    if named.empty:
        raise DataError(
            f"{file}: none of its {len(found)} values of {key!r} is a {by} of the set, such as "
            f"{', '.join(identity[by].head(3))}; write these"
        )
    logger.info("%s: %d of its %d rows with a number are of the set", file,
                found.index.isin(named[by]).sum(), len(found))  # fmt: skip
    series = pd.Series(found.loc[named[by]].to_numpy(), index=named["name"].to_numpy())
    return _table(label, series, identity, unit)


def _table(label: str, values: pd.Series, identity: pd.DataFrame, unit: str) -> pd.DataFrame:
    hashes = identity.set_index("name")["content_hash"]
    return pd.DataFrame(
        {
            "name": values.index,
            "content_hash": hashes.loc[values.index].to_numpy(),
            "label": label,
            "value": values.to_numpy(dtype=np.float64),
            "unit": unit,
        },
        columns=list(LABEL_COLUMNS),
    )


def values_of(table: pd.DataFrame, label: str) -> pd.Series:
    """One label of a table by structure.

    Parameters
    ----------
    table : DataFrame
        Columns :data:`LABEL_COLUMNS`.
    label : str

    Returns
    -------
    Series
        Indexed by name.

    Raises
    ------
    DataError
        If no structure has the label.
    """
    rows = table[table["label"] == label]
    if rows.empty:
        known = ", ".join(table["label"].unique())
        raise DataError(f"no structure has the label {label}; there are: {known or 'none'}")
    return pd.Series(rows["value"].to_numpy(), index=pd.Index(rows["name"], name="name"))
