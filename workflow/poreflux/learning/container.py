"""Named arrays and a little JSON in one deterministic byte string, readable by ``numpy.load``.

``numpy.savez`` writes the time of day into its zip archive, so that equal models would have
unequal bytes; here every entry carries the same fixed date.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

import numpy as np

_META = "meta"
# The earliest date that a zip entry can carry.
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)


def pack(arrays: Mapping[str, np.ndarray], meta: Mapping | None = None) -> bytes:
    """Write arrays and a JSON-able mapping as an npz archive whose bytes depend on nothing else.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        No object arrays; the name ``meta`` is taken.
    meta : mapping, optional
        Anything that :func:`json.dumps` takes.

    Returns
    -------
    bytes
        An uncompressed npz archive (weights of a network do not compress).
    """
    if _META in arrays:
        raise ValueError(f"an array cannot be named {_META!r}")
    text = json.dumps(dict(meta or {}), sort_keys=True, separators=(",", ":"))
    entries = {_META: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(f"{name}.npy", date_time=_FIXED_DATE)
            with archive.open(info, "w", force_zip64=True) as entry:
                array = np.ascontiguousarray(entries[name])
                np.lib.format.write_array(entry, array, allow_pickle=False)
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[dict[str, np.ndarray], dict]:
    """Read what :func:`pack` wrote: ``(arrays, meta)``."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    meta = json.loads(arrays.pop(_META).tobytes())
    return arrays, meta


def as_array(data: bytes) -> np.ndarray:
    """A byte string as a uint8 array, to :func:`pack` one archive inside another."""
    return np.frombuffer(data, dtype=np.uint8)
