"""Values as text that is equal for equal values, and its digest."""

from __future__ import annotations

import hashlib
import json


def canonical_json(value) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text.

    Raises
    ------
    ValueError, TypeError
        If the value holds NaN, infinity or something JSON has no word for.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value) -> str:
    """sha256 (hex) of :func:`canonical_json` of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
