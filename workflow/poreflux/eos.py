"""The equation of state under its short name, see :mod:`poreflux.fields.eos`."""

from poreflux.fields.eos import fugacity

__all__ = ["fugacity"]
