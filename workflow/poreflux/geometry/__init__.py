"""Pores as spheres meet them: diameters, surface areas, void fraction (Zeo++).

The stage is :mod:`poreflux.geometry.stage`. Its names are loaded when they are asked for, so that
the kernels beside it run where the stage's own packages are not installed.
"""

__all__ = [
    "Geometry",
    "GeometrySettings",
    "compute",
    "describe",
    "from_cif",
    "warm_up",
]


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from poreflux.geometry import stage

    return getattr(stage, name)
