"""The command line under its short name, see :mod:`poreflux.run.cli`."""

from poreflux.run.cli import main

__all__ = ["main"]
