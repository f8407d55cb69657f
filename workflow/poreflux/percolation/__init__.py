"""Energies at which the guest gets through, and how easily it moves.

The stage is :mod:`poreflux.percolation.stage`. Its names are loaded when they are asked for, so
that the kernels beside it run where the stage's own packages are not installed.
"""

__all__ = [
    "Percolation",
    "PercolationSettings",
    "compute",
    "describe",
    "from_cif",
    "thresholds",
    "warm_up",
]


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from poreflux.percolation import stage

    return getattr(stage, name)
