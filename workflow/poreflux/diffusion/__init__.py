"""Self-diffusivity of a guest at infinite dilution, by molecular dynamics.

The stage is :mod:`poreflux.diffusion.stage`; :mod:`poreflux.diffusion.api` takes any structure, and
parameters by keyword. Names are loaded when they are asked for, so that the kernels beside it run
where the stage's own packages are not installed.
"""

from importlib import import_module

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
_FOR_USERS = ("from_cif", "self_diffusivity")


def __getattr__(name):
    if name in _FOR_USERS:
        # by its name, so that the digest of the stage's code does not count it
        return getattr(import_module("poreflux.diffusion.api"), name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from poreflux.diffusion import stage

    return getattr(stage, name)
