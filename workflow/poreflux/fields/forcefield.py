"""Lennard-Jones parameters: framework elements (UFF), guests, mixing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from poreflux.base.errors import ConfigError, StructureError
from poreflux.fields.guests import FOLDER, known_guests
from poreflux.structures.crystal import Structure


@dataclass(frozen=True)
class Guest:
    """A guest molecule modelled as one Lennard-Jones site.

    Attributes: ``name``; ``epsilon_K`` (well depth over kB), ``sigma_A``, ``mass_amu``;
    critical temperature ``tc_K``, critical pressure ``pc_bar`` and acentric factor
    ``acentric`` for the equation of state; ``source`` of the numbers.
    """

    name: str
    epsilon_K: float
    sigma_A: float
    mass_amu: float
    tc_K: float
    pc_bar: float
    acentric: float
    source: str


@cache
def framework_parameters() -> dict[str, tuple[float, float]]:
    """``{element: (epsilon_K, sigma_A)}`` of the Universal Force Field.

    Rappe et al., J. Am. Chem. Soc. 1992, 114, 10024, with the rounding of GRIDAY's table
    (``parameters/uff_lj.csv``), which the published energy histograms need to the digit.
    """
    text = resources.files("poreflux").joinpath("fields/parameters/uff_lj.csv").read_text()
    rows = [
        line.split(",") for line in text.splitlines()[1:] if line and not line.startswith("CH4")
    ]
    return {element: (float(epsilon), float(sigma)) for element, epsilon, sigma in rows}


@cache
def guest_parameters(name: str) -> Guest:
    """The guest described by ``parameters/guests/<name>.json``.

    Raises
    ------
    ConfigError
        If there is no such file; the message lists those there are.
    """
    path = resources.files("poreflux").joinpath(*FOLDER, f"{name}.json")
    if not path.is_file():
        raise ConfigError(f"unknown guest {name!r}; there are: {', '.join(known_guests())}")
    return Guest(**json.loads(path.read_text()))


def mixed_parameters(structure: Structure, guest: Guest) -> tuple[np.ndarray, np.ndarray]:
    """Lorentz-Berthelot parameters between each framework atom and the guest.

    Returns
    -------
    epsilon_K, sigma_A : ndarray (n_atoms,)
        sqrt(eps_i eps_g) and (sigma_i + sigma_g) / 2.

    Raises
    ------
    StructureError
        If an element has no UFF parameters here.
    """
    table = framework_parameters()
    missing = sorted(set(structure.species) - set(table))
    if missing:
        raise StructureError(f"no UFF Lennard-Jones parameters for {', '.join(missing)}")
    values = np.array([table[s] for s in structure.species])
    return np.sqrt(values[:, 0] * guest.epsilon_K), (values[:, 1] + guest.sigma_A) / 2
