"""The guest's energies on a 1 Å grid, as a histogram (GRIDAY).

The stage is :mod:`poreflux.energy.stage`; :mod:`poreflux.energy.api` takes any structure, and
parameters by keyword. Names are loaded when they are asked for, so that the kernels beside it run
where the stage's own packages are not installed.
"""

from importlib import import_module

__all__ = [
    "EnergyHistogram",
    "EnergySettings",
    "compute",
    "energy_histogram",
    "from_cif",
    "histogram",
    "warm_up",
]
_FOR_USERS = ("energy_histogram", "from_cif", "histogram")


def __getattr__(name):
    if name in _FOR_USERS:
        # by its name, so that the digest of the stage's code does not count it
        return getattr(import_module("poreflux.energy.api"), name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from poreflux.energy import stage

    return getattr(stage, name)
