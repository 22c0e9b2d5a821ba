"""Weights and constants of output channels, one by one or two by two, as `tn_conv2d_s8_dsp` reads them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .packed import packed_words
from .rounding import BESIDE, EACH, TWICE, Ints, Rounding

#: Sums of a channel that shares a word with another are read from 24 bits.
_SHARED_LIMIT = 1 << 23
_INT16_MIN = -(1 << 15)


def largest_sums(filters: Ints, bias: Ints) -> Ints:
    """Bound of every channel's accumulator, for filters (channels, codes)."""
    bound: Ints = np.abs(bias) + 128 * np.abs(filters).sum(axis=1)
    return bound


def two_by_two(values: Ints) -> Ints:
    """Rows (channels, ...) as (pairs, 2, ...); the last one is its own partner when they are odd in number."""
    even = np.concatenate([values, values[-1:]]) if len(values) % 2 else values
    return even.reshape(-1, 2, *values.shape[1:])


def shares_lanes(filters: Ints, bias: Ints, pooled: bool = False) -> bool:
    """Whether every pair a, b fits lanes 256 * b + a, and sums of b (differences of two, `pooled`) come back out."""
    pairs = two_by_two(filters)
    fits = (256 * pairs[:, 1] + pairs[:, 0]).min() >= _INT16_MIN
    return bool(fits and two_by_two(largest_sums(filters, bias))[:, 1].max() < _SHARED_LIMIT >> pooled)


def short_records(filters: Ints, bias: Ints, rounding: Rounding, depth: int) -> npt.NDArray[np.uint32]:
    """Records for tn_conv2d_dsp_short.h of filters (channels, codes), already scaled, padded to `depth` codes."""
    padded = np.zeros((len(filters), depth), np.int64)
    padded[:, : filters.shape[1]] = filters
    parts = [bias[:, None], _words(padded), rounding.constants]
    if rounding.shifts is not None:
        parts.append(rounding.shifts[:, None])
    return _as_words(parts)


def widened_order(filters: Ints) -> Ints:
    """Codes (channels, codes) in the order in which SXTB16 widens each four of them."""
    order: Ints = filters.reshape(len(filters), -1, 4)[:, :, (0, 2, 1, 3)].reshape(filters.shape)
    return order


def _words(lanes: Ints) -> Ints:
    """Lanes two by two."""
    words: Ints = (lanes[:, 0::2] & 0xFFFF) | (lanes[:, 1::2] & 0xFFFF) << 16
    return words


def _as_words(parts: list[Ints]) -> npt.NDArray[np.uint32]:
    return (np.concatenate(parts, axis=1) & 0xFFFFFFFF).astype(np.uint32).reshape(-1)


def channel_records(filters: Ints, bias: Ints, rounding: Rounding, depth: int, shared: bool) -> npt.NDArray[np.uint32]:
    """Records of filters (channels, codes), padded to `depth` codes; `shared` as :func:`shares_lanes` allows."""
    padded = np.zeros((len(filters), depth), np.int64)
    padded[:, : filters.shape[1]] = filters
    pairs, biases = two_by_two(widened_order(padded)), two_by_two(bias)
    low = pairs[:, 0] if shared else pairs[:, 0] & 255
    constants, shift = two_by_two(rounding.constants), rounding.fields["shift"]
    if rounding.shifts is not None and shift == BESIDE:
        biases = packed_words(biases, two_by_two(rounding.shifts))
    elif shared:
        biases = np.stack([biases[:, 0], 256 * biases[:, 1] + biases[:, 0]], axis=1)
    if shift not in (EACH, TWICE):
        constants = constants[:, :, :1]  # the addend follows from the shift
    parts = [biases, _words(256 * pairs[:, 1] + low), constants.reshape(len(pairs), -1)]
    if rounding.shifts is not None and shift == EACH:
        parts.append(two_by_two(rounding.shifts))
    return _as_words(parts)
