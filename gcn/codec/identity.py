"""Digests of weights: equal weights have equal digests, on every machine."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

BYTES = 4


def digest(description: str, arrays: Mapping[str, NDArray]) -> bytes:
    """Digest of ``BYTES`` bytes of a description and of the names, types, shapes and values of all arrays."""
    state = hashlib.blake2b(description.encode(), digest_size=BYTES)
    for name, array in sorted(arrays.items()):
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        state.update(f"|{name} {little.dtype.str} {little.shape}|".encode())
        state.update(little.tobytes())
    return state.digest()
