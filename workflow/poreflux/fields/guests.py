"""Names of the guests that the library has parameters of."""

from __future__ import annotations

from functools import cache
from importlib import resources

# A guest is an ingredient of what is computed with it (``stages.Stage.data``), one by one: written
# as a path of one piece, the folder would be part of the code's digest, and a guest that is
# added void the results of all others.
FOLDER = ("fields", "parameters", "guests")


@cache
def known_guests() -> tuple[str, ...]:
    """Names of the guests, sorted."""
    folder = resources.files("poreflux").joinpath(*FOLDER)
    return tuple(sorted(path.name.removesuffix(".json") for path in folder.iterdir()))
