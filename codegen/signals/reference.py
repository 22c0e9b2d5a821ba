"""The oracle of preprocessing: the integer arithmetic of the generated C, bit for bit, in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .integer import (
    LIMIT,
    IntegerBiquad,
    IntegerChannel,
    IntegerMinMax,
    IntegerPlan,
    IntegerRectify,
    IntegerResample,
    IntegerStep,
)
from .plan import CODES

Ints = npt.NDArray[np.int64]


def run_values(plan: IntegerPlan, counts: npt.ArrayLike) -> Ints:
    """Run all steps from a reset state.

    Parameters
    ----------
    plan : IntegerPlan
        Constants.
    counts : array_like of int, shape (channels, samples)
        Samples of the converter.

    Returns
    -------
    ndarray of int64, shape (channels, slices)
        Values in counts times ``2**plan.point``.

    Raises
    ------
    OptionError
        When the shape does not fit the plan.
    """
    samples = np.asarray(counts, np.int64)
    if samples.ndim != 2 or len(samples) != len(plan.channels):
        raise OptionError(f"signals: samples have the shape ({len(plan.channels)}, n), got {samples.shape}")
    half = 2 ** (plan.bits - 1)
    clipped = np.clip(samples, -half, half - 1) << plan.point
    return np.stack([_channel_values(channel, row) for channel, row in zip(plan.channels, clipped, strict=True)])


def run_codes(plan: IntegerPlan, counts: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """Run all steps and quantize; arguments as for :func:`run_values`.

    Returns
    -------
    ndarray of int8, shape (channels, slices)
    """
    values = run_values(plan, counts)
    if plan.normalise is not None:
        return np.stack([normalised(plan.normalise, row) for row in values])
    rows = [_codes(channel, row) for channel, row in zip(plan.channels, values, strict=True)]
    return np.stack(rows).astype(np.int8)


def normalised(plan: IntegerMinMax, window: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """Codes of one channel's window, scaled by its smallest and largest value."""
    values = np.asarray(window, np.int64)
    low = int(values.min())
    span = max(int(values.max()) - low, 1)  # all of a flat window is its lower end
    codes = plan.least + (2 * (values - low) * plan.steps + span * plan.rest) // ((2 * span) << plan.shift)
    return np.clip(codes, -128, 127).astype(np.int8)


def _codes(channel: IntegerChannel, values: Ints) -> Ints:
    rounded = (values * channel.multiplier + (1 << (channel.shift - 1))) >> channel.shift
    codes: Ints = np.clip(rounded, -CODES, CODES)
    return codes


def _channel_values(channel: IntegerChannel, values: Ints) -> Ints:
    for step in channel.steps:
        values = _run_step(step, values)
    return values


def _run_step(step: IntegerStep, values: Ints) -> Ints:
    if isinstance(step, IntegerBiquad):
        return _run_biquad(step, values)
    if isinstance(step, IntegerRectify):
        return np.abs(values)
    return _run_resample(step, values)


def _run_biquad(step: IntegerBiquad, values: Ints) -> Ints:
    """A recursion, sample by sample."""
    out = np.empty_like(values)
    x1 = x2 = y1 = y2 = rest = 0
    mask = (1 << step.shift) - 1
    for index, x in enumerate(values.tolist()):
        total = step.b0 * x + step.b1 * x1 + step.b2 * x2 + step.c1 * y1 + step.c2 * y2 + rest
        y = min(max(total >> step.shift, -LIMIT), LIMIT)
        rest = total & mask
        x2, x1, y2, y1 = x1, x, y1, y
        out[index] = y
    return out


def _run_resample(step: IntegerResample, values: Ints) -> Ints:
    taps = len(step.phases[0])
    count = -(-len(values) * step.up // step.down)
    places = np.arange(count) * step.down
    newest, phase = places // step.up, places % step.up
    padded = np.concatenate([np.zeros(taps - 1, np.int64), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)[newest][:, ::-1]
    sums = (windows * np.array(step.phases, np.int64)[phase]).sum(axis=1)
    half = 1 << (step.shift - 1)
    result: Ints = np.clip((sums + half) >> step.shift, -LIMIT, LIMIT)
    return result
