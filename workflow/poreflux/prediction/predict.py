"""Predict the self-diffusivity of structures from the models that ship with the package."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

import pandas as pd

from poreflux import diffusion, energy, geometry, percolation
from poreflux.base.display import rounded
from poreflux.base.errors import PorefluxError
from poreflux.base.results import Result
from poreflux.base.settings import names_checked
from poreflux.data.features import feature_table
from poreflux.learning.predict import Predictor
from poreflux.prediction import description, shipped
from poreflux.structures import checks
from poreflux.structures.cif import parse_with_remarks, read_bytes
from poreflux.structures.convert import StructureLike, as_structure
from poreflux.structures.crystal import Structure

# Temperature of the labels that the models learnt.
TEMPERATURE_K = 298.0


@dataclass(frozen=True)
class Prediction(Result):
    """What is known of one structure without a simulation, and with one if asked for.

    Attributes
    ----------
    name : str
        Of the file, without its ending.
    status : str
        ``ok``; ``closed``, if no channel runs through and D means nothing; ``failed``.
    reason : str
        Why it failed.
    note : str
        What D means here, in a sentence, where that needs saying.
    guest : str
    temperature_K : float
    d_m2_s, d_low_m2_s, d_high_m2_s : float
        Predicted self-diffusivity at infinite dilution and the ends of its 90 % interval, m2/s; not
        a number unless ``ok``.
    log10_d_std : float
        Standard deviation of log10 of D.
    in_domain : bool
        Whether the structure resembles those that the model learnt from.
    nearest : str
        The training structure that resembles it most.
    trained_on : str
        Name of this very structure in the training set, if it is there.
    lcd_A, pld_A : float
        Diameters of the largest cavity and of the limiting window, Å.
    dimensionality : int
        Directions in which channels run through, 0 to 3.
    henry_mol_kg_bar : float
        Henry coefficient.
    heat_of_adsorption_kJ_mol : float
        At infinite dilution.
    simulated_d_m2_s, simulated_d_err_m2_s : float
        Self-diffusivity from dynamics, and its standard error, where that was asked for.
    warnings : str
        What looks wrong in the structure, see :data:`poreflux.structures.checks.REMEDIES`.
    """

    name: str
    status: str = "ok"
    reason: str = ""
    note: str = ""
    guest: str = ""
    temperature_K: float = TEMPERATURE_K
    d_m2_s: float = math.nan
    d_low_m2_s: float = math.nan
    d_high_m2_s: float = math.nan
    log10_d_std: float = math.nan
    in_domain: bool = False
    nearest: str = ""
    trained_on: str = ""
    lcd_A: float = math.nan
    pld_A: float = math.nan
    dimensionality: int = 0
    henry_mol_kg_bar: float = math.nan
    heat_of_adsorption_kJ_mol: float = math.nan
    simulated_d_m2_s: float = math.nan
    simulated_d_err_m2_s: float = math.nan
    warnings: str = ""

    def shown(self) -> list[dict]:
        """What a notebook shows, D with two digits: its interval is wide."""
        row = self.columns()
        uncertain = ("d_m2_s", "d_low_m2_s", "d_high_m2_s", "log10_d_std")
        return [row | {c: rounded(row[c], digits=2) for c in uncertain if row[c] == row[c]}]


#: Columns of a table of predictions.
COLUMNS = tuple(field.name for field in fields(Prediction))


@names_checked()
def predict(
    structure: StructureLike,
    *,
    guest: str = "CH4",
    simulate: bool = False,
    name: str | None = None,
) -> Prediction:
    """Predict the self-diffusivity of a guest in one structure, from the model that ships for it.

    Parameters
    ----------
    structure : str, Path, Structure, ase.Atoms or pymatgen Structure
        A str or Path is that of a CIF.
    guest : str
        One of :func:`poreflux.prediction.guests`.
    simulate : bool
        Run the dynamics, too (engine harmonic, to 5 %): a second or two.
    name : str, optional
        What the result is called; the file's name by default.

    Returns
    -------
    Prediction
        Also of a structure that fails: ``status`` and ``reason`` say so.

    Raises
    ------
    ConfigError
        If no model ships for the guest.

    Notes
    -----
    D is the median of what an ensemble of Gaussian processes says from pore geometry, energies
    and mobility on the energy landscape (docs/percolation.md); the interval covers the errors that
    the ensemble makes on structures it has not seen. The card of the model says how good it is
    (:func:`poreflux.prediction.card`).
    """
    shipped.model(guest)  # a guest without model is an error, whatever the structure
    if name is None:
        name = Path(structure).stem if isinstance(structure, (str, os.PathLike)) else "structure"
    facts = {"name": name, "guest": guest}
    try:
        found, warnings = _read(structure)
        facts["warnings"] = warnings
        return Prediction(**facts | _predicted(found, name, guest, simulate))
    except PorefluxError as error:
        return Prediction(**facts, status="failed", reason=str(error))


def _read(given: StructureLike) -> tuple[Structure, str]:
    if isinstance(given, (str, os.PathLike)):
        structure, remarks = parse_with_remarks(read_bytes(given))
    else:
        structure, remarks = as_structure(given), {}
    return structure, checks.join(checks.merge(remarks, checks.find_warnings(structure)))


def _predicted(structure: Structure, name: str, guest: str, simulate: bool) -> dict:
    """Fields of the prediction of a structure."""
    settings = percolation.PercolationSettings(guest=guest, temperature_K=TEMPERATURE_K)
    landscape = percolation.compute(structure, settings)
    pores = geometry.compute(structure)
    facts = {
        "lcd_A": pores.lcd_A,
        "pld_A": pores.pld_A,
        "dimensionality": landscape.dimensionality,
        "henry_mol_kg_bar": landscape.henry_mol_kg_bar,
        "heat_of_adsorption_kJ_mol": landscape.heat_of_adsorption_kJ_mol,
        "trained_on": _training_names(guest).get(structure.content_hash, ""),
    }
    if landscape.dimensionality == 0:
        return facts | {
            "status": "closed",
            "note": f"{guest} does not get through: no channel below {settings.threshold_kT:g} kT "
            "runs through the crystal, and a diffusivity means nothing",
        }
    identity = {"name": name, "content_hash": structure.content_hash, "status": "ok"}
    tables = (
        pd.DataFrame([identity | columns])
        for columns in (vars(pores), energy.compute(structure).columns(), asdict(landscape))
    )
    row = _predictor(guest)(feature_table(*tables)).iloc[0]
    numbers = ("d_m2_s", "d_low_m2_s", "d_high_m2_s", "log10_d_std")
    facts |= {key: float(row[key]) for key in numbers}
    facts |= {"in_domain": bool(row["in_domain"]), "nearest": row["nearest"]}
    if not facts["in_domain"]:
        facts["note"] = (
            "unlike the structures that the model learnt from: do not rely on the interval, "
            "simulate"
        )
    if facts["d_low_m2_s"] < 2.0 * description.SLOWEST_M2_S:
        facts["note"] = (
            f"closed in effect: models tell D below {description.SLOWEST_M2_S:g} m2/s no further, "
            "simulate for more"
        )
    if simulate:
        settings = diffusion.DiffusionSettings(guest=guest, temperature_K=TEMPERATURE_K)
        run = diffusion.compute(structure, settings)
        facts |= {"simulated_d_m2_s": run.d_m2_s, "simulated_d_err_m2_s": run.d_err_m2_s}
        if run.note:
            facts["note"] = "; ".join(filter(None, [facts.get("note"), f"dynamics: {run.note}"]))
    return facts


@cache
def _predictor(guest: str) -> Predictor:
    """The model of a guest, ready."""
    return Predictor([shipped.model(guest)], shipped.training_features(guest))


@cache
def _training_names(guest: str) -> dict[str, str]:
    """Names of the training structures by content hash."""
    features = shipped.training_features(guest)
    return dict(zip(features["content_hash"], features["name"], strict=True))
