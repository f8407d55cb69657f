"""Uptake of a guest at each pressure, by grand-canonical Monte Carlo.

The stage is :mod:`poreflux.uptake.stage`; :mod:`poreflux.uptake.api` takes any structure, and
parameters by keyword. Names are loaded when they are asked for, so that the kernels beside it run
where the stage's own packages are not installed.
"""

from importlib import import_module

__all__ = [
    "DEFAULT_PRESSURES_BAR",
    "Isotherm",
    "IsothermTask",
    "UptakePoint",
    "UptakeSettings",
    "compute",
    "from_cif",
    "isotherm",
    "prepare",
    "run_on_gpu",
    "warm_up",
]
_FOR_USERS = ("from_cif", "isotherm")


def __getattr__(name):
    if name in _FOR_USERS:
        # by its name, so that the digest of the stage's code does not count it
        return getattr(import_module("poreflux.uptake.api"), name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from poreflux.uptake import stage

    return getattr(stage, name)
