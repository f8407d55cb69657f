"""Uptake of a guest at each pressure, by grand-canonical Monte Carlo.

The stage is :mod:`poreflux.uptake.stage`. Its names are loaded when they are asked for, so that
the kernels beside it run where the stage's own packages are not installed.
"""

__all__ = [
    "DEFAULT_PRESSURES_BAR",
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


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from poreflux.uptake import stage

    return getattr(stage, name)
