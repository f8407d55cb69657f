"""Types of settings that several stages share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from poreflux.base.errors import ConfigError


def _known(name: str) -> str:
    from poreflux.fields.forcefield import guest_parameters

    try:
        guest_parameters(name)
    except ConfigError as error:
        raise ValueError(f"must be a guest of the library: {error}") from None
    return name


# The name of a guest of the library, see poreflux.fields.forcefield.guest_parameters.
GuestName = Annotated[str, AfterValidator(_known)]
