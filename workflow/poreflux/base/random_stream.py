"""Random streams that depend on nothing but their own seed: one uint64 word of state a chain.

The generator is splitmix64: a Weyl counter passed through a mixing function. Its state is a
counter, so a stream can be started anywhere, costs eight bytes and gives the same numbers on
every machine and in every order of execution. Kernels keep the word in a local variable::

    state = seeded(np.uint64(seed), np.uint64(stream))
    state = advance(state)
    u = uniform(state)          # in [0, 1)
    state = advance(state)
    state2 = advance(state)
    g = normal(state, state2)   # mean 0, variance 1

References
----------
G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014, "Fast splittable pseudorandom number
generators"; constants of S. Vigna's ``splitmix64.c``.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_ONE = np.uint64(1)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2**-53: the spacing of doubles below 1
_TWO_PI = 2.0 * math.pi


def seed_from(*parts) -> int:
    """A 64-bit seed from any printable parts, such as (seed, content hash, stage).

    Parameters
    ----------
    *parts : int or str
        What the stream stands for; each is written with its length, so that ("ab", "c") and
        ("a", "bc") differ.

    Returns
    -------
    int
        In [0, 2**64): the first eight bytes of the sha256 of the parts.
    """
    digest = hashlib.sha256()
    for part in parts:
        text = str(part).encode()
        digest.update(f"{len(text)}:".encode() + text)
    return int.from_bytes(digest.digest()[:8], "little")


@njit(cache=True, inline="always")
def advance(state):
    """The next state (uint64) of a stream."""
    return state + _GOLDEN


@njit(cache=True, inline="always")
def mixed(state):
    """64 random bits (uint64) of a state."""
    z = state
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@njit(cache=True)
def seeded(seed, stream):
    """First state (uint64) of stream number ``stream`` under ``seed``, both uint64.

    Streams of one seed start at unrelated points of the one cycle of 2**64 numbers: the
    chance that two of them overlap within n draws each is n / 2**63.
    """
    return mixed(mixed(seed + _GOLDEN) ^ mixed((stream + _ONE) * _GOLDEN))


@njit(cache=True, inline="always")
def uniform(state):
    """Uniform float64 in [0, 1) of a state (53 bits)."""
    return float(mixed(state) >> _S11) * _TO_UNIT


@njit(cache=True, inline="always")
def normal(state, other):
    """Standard normal float64 from two states, by the Box-Muller transform."""
    # 1 - u is in (0, 1]: its logarithm is finite
    return math.sqrt(-2.0 * math.log(1.0 - uniform(state))) * math.cos(_TWO_PI * uniform(other))
