"""Self-diffusivity of a guest at infinite dilution, by molecular dynamics.

The stage is :mod:`poreflux.diffusion.stage`. Its names are loaded when they are asked for, so that
the kernels beside it run where the stage's own packages are not installed.
"""

__all__ = [
    "DiffusionSettings",
    "DiffusionTask",
    "Diffusivity",
    "compute",
    "from_cif",
    "lengthened",
    "prepare",
    "run_on_gpu",
    "self_diffusivity",
    "warm_up",
]


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from poreflux.diffusion import stage

    return getattr(stage, name)
