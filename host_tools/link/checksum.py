"""Checksum of a layer's tensor, as `firmware/link/tn_checksum.c` computes it on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 18
"""Bytes hashed at a time: the intermediate arrays stay in the processor's cache."""


def layer_checksum(tensor: bytes | npt.NDArray[Any], first: int = 0) -> int:
    """Sum, modulo 2^32, over a tensor's bytes of a hash of (position, byte).

    The order in which the bytes come to be does not matter, so that a device which computes a layer piece by
    piece can add up the same number.

    Parameters
    ----------
    tensor
        Array (C order, little-endian as the device holds it) or bytes.
    first
        Position of the first byte within the whole tensor.

    Returns
    -------
    int
        0 to 2^32 - 1.
    """
    flat = np.frombuffer(np.ascontiguousarray(tensor) if isinstance(tensor, np.ndarray) else tensor, np.uint8)
    total = 0
    for start in range(0, flat.size, _CHUNK):
        piece = flat[start : start + _CHUNK].astype(np.uint32)
        positions = np.arange(piece.size, dtype=np.uint32) + np.uint32((first + start) & 0xFFFFFFFF)
        hashes = positions * np.uint32(0x9E3779B1) + (piece + np.uint32(1)) * np.uint32(0x85EBCA77)
        hashes ^= hashes >> np.uint32(15)
        hashes *= np.uint32(0x2C1B3C6D)
        hashes ^= hashes >> np.uint32(12)
        total += int(hashes.sum(dtype=np.uint32))
    return total & 0xFFFFFFFF
