"""``poreflux export``: a finished study as CSV tables and its isotherms as AIF files."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from gemmi import cif

from poreflux import __version__
from poreflux.base.errors import DataError
from poreflux.base.files import write_atomically
from poreflux.base.tables import read_table, write_csv
from poreflux.run.commands.plans import foreign_files, plan_of, say

# Version of the format, see Evans et al. 2021, doi:10.1021/acs.langmuir.1c00122.
AIF_VERSION = "d546195"
# Columns of an isotherm: those of the table, and their names in an AIF loop.
LOOP = {
    "pressure_bar": "pressure",
    "uptake_mol_kg": "amount",
    "fugacity_bar": "fugacity",
    "uptake_err_mol_kg": "amount_standard_error",
}


def export(folder: Path, files: Sequence[Path]) -> None:
    """Write every table of a study as CSV, and its isotherms as AIF files.

    Parameters
    ----------
    folder : Path
        Gets ``<set>/<table>.csv`` and ``<set>/isotherms/<structure>.aif``.
    files : sequence of Path
        Configuration files of the study, which ran in this folder.

    Raises
    ------
    DataError
        If the study has no tables here, or they were made with other settings.
    """
    plan = plan_of(files)
    results = Path(plan.results)
    tables = sorted(results.glob("*/*.parquet"))
    if not tables:
        raise DataError(
            f"no tables in {results.absolute()}: run the study in this folder first "
            "(poreflux run), or name its --configfile"
        )
    isotherms = 0
    foreign = foreign_files(files)
    tables = [path for path in tables if path not in foreign]
    for path in tables:
        table = read_table(path)
        write_csv(table, folder / path.parent.name / f"{path.stem}.csv")
        stage, settings = plan.gases.variants.get(path.stem, ("", "", None))[1:]
        if stage == "uptake" and "uptake_mol_kg" in table:
            beside = folder / path.parent.name / path.stem.replace("uptake", "isotherms")
            isotherms += write_isotherms(table, beside, settings.guest, settings.temperature_K)
    say(f"{folder}: {len(tables)} tables as CSV, {isotherms} isotherms as AIF")


def write_isotherms(table: pd.DataFrame, folder: Path, guest: str, temperature_K: float) -> int:
    """Write an AIF file per structure.

    Parameters
    ----------
    table : DataFrame
        Of the stage uptake.
    folder : Path
        Where the files go.
    guest : str
        The adsorbate.
    temperature_K : float
        Temperature of the isotherms.

    Returns
    -------
    int
        Number of files.
    """
    ok = table[(table["status"] == "ok") & table["uptake_mol_kg"].notna()]
    for name, points in ok.groupby("name", sort=True):
        text = aif(str(name), points.sort_values("pressure_bar"), guest, temperature_K)
        write_atomically(folder / f"{file_name(str(name))}.aif", text.encode())
    return ok["name"].nunique()


def aif(name: str, points: pd.DataFrame, guest: str, temperature_K: float) -> str:
    """An isotherm in the Adsorption Information Format.

    Parameters
    ----------
    name : str
        Of the structure.
    points : DataFrame
        A row per pressure: ``pressure_bar``, ``uptake_mol_kg`` and, where they are known,
        ``fugacity_bar``, ``uptake_err_mol_kg`` and ``engine``.
    guest : str
        The adsorbate.
    temperature_K : float

    Returns
    -------
    str
        The text of the file. Amounts are in mol per kg of framework without guests: absolute, not
        excess.
    """
    document = cif.Document()
    block = document.add_new_block(re.sub(r"\W+", "_", name) or "isotherm")
    engine = points["engine"].iloc[0] if "engine" in points else ""
    pairs = {
        "_audit_aif_version": AIF_VERSION,
        "_audit_creation_method": f"Poreflux {__version__}",
        "_exptl_method": "GCMC simulation",
        "_exptl_isotherm_type": "absolute",
        "_exptl_adsorptive": guest,
        "_exptl_temperature": f"{temperature_K:g}",
        "_adsnt_material_id": name,
        "_simltn_code": f"Poreflux {__version__}" + (f", engine {engine}" if engine else ""),
        "_units_temperature": "K",
        "_units_pressure": "bar",
        "_units_loading": "mol/kg",
    }
    for tag, value in pairs.items():
        block.set_pair(tag, _quoted(value))
    columns = {c: tag for c, tag in LOOP.items() if c in points and points[c].notna().all()}
    loop = block.init_loop("_adsorp_", list(columns.values()))
    loop.set_all_values([[_number(x) for x in points[c]] for c in columns])
    return document.as_string()


def _quoted(value: str) -> str:
    """A value of CIF, in single quotes where it can be: pyGAPS takes no others off."""
    quoted = cif.quote(value)
    can_be = quoted.startswith('"') and "' " not in value and not value.endswith("'")
    return f"'{value}'" if can_be else quoted


def _number(value: float) -> str:
    return f"{value:.8g}" if math.isfinite(value) else "?"


def file_name(name: str) -> str:
    """A structure's name as that of a file; what a path cannot hold is replaced, and told apart."""
    safe = re.sub(r"[^\w.+()\[\]-]+", "_", name).lstrip(".")[:150]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
