"""Energies at which the guest gets through, and how easily it moves.

The stage is :mod:`poreflux.percolation.stage`; :mod:`poreflux.percolation.api` takes any structure,
and parameters by keyword. Names are loaded when they are asked for, so that the kernels beside it
run where the stage's own packages are not installed.
"""

from importlib import import_module

__all__ = [
    "Percolation",
    "PercolationSettings",
    "compute",
    "describe",
    "from_cif",
    "percolation_energies",
    "thresholds",
    "warm_up",
]
_FOR_USERS = ("describe", "from_cif", "percolation_energies")


def __getattr__(name):
    if name in _FOR_USERS:
        # by its name, so that the digest of the stage's code does not count it
        return getattr(import_module("poreflux.percolation.api"), name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from poreflux.percolation import stage

    return getattr(stage, name)
