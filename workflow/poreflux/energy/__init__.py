"""The guest's energies on a 1 Å grid, as a histogram (GRIDAY).

The stage is :mod:`poreflux.energy.stage`. Its names are loaded when they are asked for, so that
the kernels beside it run where the stage's own packages are not installed.
"""

__all__ = [
    "EnergyHistogram",
    "EnergySettings",
    "compute",
    "from_cif",
    "histogram",
    "warm_up",
]


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from poreflux.energy import stage

    return getattr(stage, name)
