"""Zeo++ itself, through its Python wrapper: the reference of the fast engine, and slow."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from poreflux.base.errors import ExternalToolError
from poreflux.structures.crystal import Structure


def zeopp_descriptors(
    structure: Structure,
    order: np.ndarray,
    *,
    high_accuracy: bool,
    asa_probe_A: float,
    asa_samples_per_atom: int,
    void_probe_A: float,
    void_samples: int,
) -> dict:
    """Descriptors of one structure from Zeo++.

    Parameters
    ----------
    structure : Structure
        The framework; its elements must be known to Zeo++, which ends the process otherwise.
    order : ndarray (n_atoms,) int
        The order in which the atoms are written for it.
    high_accuracy, asa_probe_A, asa_samples_per_atom, void_probe_A, void_samples
        As in :func:`poreflux.geometry.compute`.

    Returns
    -------
    dict
        lcd_A, pld_A, asa_m2_cm3, asa_m2_g, void_fraction, n_channels.

    Raises
    ------
    ExternalToolError
        If Zeo++ refuses the structure or its answer cannot be read.

    Notes
    -----
    The wrapper looks every Voronoi edge up in a Python list, so a structure of 100 atoms takes
    a minute under high accuracy. Zeo++ ends the process (abort) where its own check of the
    Voronoi volumes fails: call it in a process of its own. Its random numbers start from a
    fixed seed at each call, so what ran before does not matter.
    """
    import pyzeo
    from pyzeo.extension import AtomNetwork

    with tempfile.TemporaryDirectory(prefix="poreflux-zeopp-") as folder, _silent():
        cif, out = Path(folder) / "structure.cif", Path(folder) / "structure.res"
        cif.write_text(structure.to_cif(order=order))
        try:
            atoms = AtomNetwork.read_from_CIF(str(cif))
            spheres = None
            if high_accuracy:
                spheres = atoms.copy()
                pyzeo.high_accuracy_atomnet(spheres, "DEF")
            (spheres or atoms).calculate_free_sphere_parameters(str(out))
            area = pyzeo.surface_area(
                atoms, asa_probe_A, asa_probe_A, asa_samples_per_atom, high_accuracy, spheres
            )
            volume = pyzeo.volume(
                atoms, void_probe_A, void_probe_A, void_samples, high_accuracy, spheres
            )
            # name, largest included sphere, largest free sphere, largest included along it
            diameters = out.read_text().split()[-3:-1]
        except (OSError, ValueError, RuntimeError) as error:
            raise ExternalToolError("Zeo++ (pyzeo)", None, str(error)) from error
    area, volume = _fields(area), _fields(volume)
    try:
        return {
            "lcd_A": max(0.0, float(diameters[0])),
            "pld_A": max(0.0, float(diameters[1])),
            "asa_m2_cm3": float(area["ASA_m^2/cm^3:"]),
            "asa_m2_g": float(area["ASA_m^2/g:"]),
            "void_fraction": float(volume["AV_Volume_fraction:"]),
            "n_channels": int(area["Number_of_channels:"]),
        }
    except (KeyError, IndexError, ValueError) as error:
        raise ExternalToolError("Zeo++ (pyzeo)", None, f"no {error} in {area} {volume}") from error


def _fields(text: str | bytes) -> dict[str, str]:
    words = (text.decode() if isinstance(text, bytes) else text).split()
    return {w: v for w, v in itertools.pairwise(words) if w.endswith(":")}


@contextlib.contextmanager
def _silent():
    """Send what C++ code prints to nowhere, at the level of file descriptors."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        # what still sits in C's buffers would come out later
        ctypes.CDLL(None).fflush(None)
        for target, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, target)
            os.close(copy)
        os.close(nowhere)
