"""Fixed-point constants of a signal plan.

Samples are int32 with a binary point: the more bits the converter leaves, the more stand behind the point. Three bits
stay free for transients, and every step saturates there. Products are summed in 64 bits and shifted down once.

A section keeps what the shift cut off and adds it to its next sum (error feedback of first order), so that a high-pass
at a fraction of a hertz neither drifts nor rings for ever in its last bit (Jackson, Digital Filters and Signal
Processing, chapter 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .plan import Biquads, ChannelPlan, MinMax, Rectify, Resample, Section, SignalPlan

#: Values lie within plus and minus this.
LIMIT = 2**28 - 1
_POINT = 26  # bits of a full-scale sample, its sign included
_COEFFICIENT = 2**31
_LARGEST_SHIFT = 30
_CODE_BITS = 31
_FEWEST_CODE_BITS = 12
_LARGEST_CODE_SHIFT = 62
_NARROW = 16


@dataclass(frozen=True)
class IntegerBiquad:
    """y = (b0 x + b1 x1 + b2 x2 + c1 y1 + c2 y2 + rest) >> shift; `c1` and `c2` are minus a1 and a2."""

    b0: int
    b1: int
    b2: int
    c1: int
    c2: int
    shift: int


@dataclass(frozen=True)
class IntegerRectify:
    """y = abs(x)."""


@dataclass(frozen=True)
class IntegerResample:
    """Polyphase filter.

    Attributes
    ----------
    phases : tuple of tuple of int
        `up` filters of equal length; the first tap belongs to the newest sample.
    """

    up: int
    down: int
    phases: tuple[tuple[int, ...], ...]
    shift: int


IntegerStep = IntegerBiquad | IntegerRectify | IntegerResample


@dataclass(frozen=True)
class IntegerChannel:
    """One channel: code = clamp((value * multiplier + half) >> shift)."""

    name: str
    steps: tuple[IntegerStep, ...]
    multiplier: int
    shift: int


@dataclass(frozen=True)
class IntegerMinMax:
    """code = least + floor((2 (x - min) steps + span rest) / (2 span 2**shift)), with span = max - min.

    `steps` / 2**shift codes stand for the whole span, `least` and `rest` / 2**(shift + 1) for its lower end, a half
    that rounds up included. Where the span is 0 it counts as 1.
    """

    steps: int
    shift: int
    least: int
    rest: int


@dataclass(frozen=True)
class IntegerPlan:
    """Constants of all channels.

    Attributes
    ----------
    bits : int
        Of the converter.
    point : int
        Bits behind the binary point of a value: value = count * 2**point.
    narrow : bool
        Whether a window of values is kept in 16 bits a value: counts that fit, which no step changes, so that codes
        can be computed in 32 bits.
    ratio : (int, int)
        Slices out per samples in.
    rate : float or None
        Samples per second of the converter, for the comment of the C.
    """

    bits: int
    point: int
    ratio: tuple[int, int]
    channels: tuple[IntegerChannel, ...]
    normalise: IntegerMinMax | None
    rate: float | None = None
    narrow: bool = False


def design(plan: SignalPlan) -> IntegerPlan:
    """Choose the constants of a plan.

    Raises
    ------
    OptionError
        When a coefficient or a scale is beyond what 32 bits hold; names the channel.
    """
    normalise = None if plan.normalise is None else _min_max(plan.normalise)
    narrow = normalise is not None and _is_narrow(plan, normalise)
    point = 0 if narrow else max(_POINT - plan.bits, 0)
    channels = tuple(_channel(c, point) for c in plan.channels)
    return IntegerPlan(plan.bits, point, plan.ratio, channels, normalise, plan.rate, narrow)


def _channel(channel: ChannelPlan, point: int) -> IntegerChannel:
    steps: list[IntegerStep] = []
    for step in channel.steps:
        if isinstance(step, Biquads):
            steps += [_biquad(channel.name, section) for section in _balanced(step.sections)]
        elif isinstance(step, Resample):
            steps.append(_resample(channel.name, step))
        else:
            steps.append(IntegerRectify())
    multiplier, shift = _code_scale(channel, point)
    return IntegerChannel(channel.name, tuple(steps), multiplier, shift)


def _code_scale(channel: ChannelPlan, point: int) -> tuple[int, int]:
    """Codes per unit of a value, as multiplier / 2**shift with as many bits as the 64-bit product allows."""
    scale = channel.microvolts_per_count / channel.microvolts_per_code / 2.0**point
    shift = min(_CODE_BITS - int(np.frexp(scale)[1]), _LARGEST_CODE_SHIFT)
    multiplier = round(scale * 2.0**shift)
    if multiplier == 2**_CODE_BITS:
        multiplier, shift = multiplier // 2, shift - 1
    if shift < 1 or multiplier < 2**_FEWEST_CODE_BITS:
        ratio = channel.microvolts_per_count / channel.microvolts_per_code
        raise OptionError(f"signals: channel '{channel.name}': one count is {ratio:g} codes, which no scale can hold")
    return multiplier, shift


# --- sections -----------------------------------------------------------------------------------------------


def _balanced(sections: Sequence[Section]) -> list[Section]:
    """The same cascade with gains moved so that every section but the last passes its loudest frequency at 1.

    SciPy puts the whole gain into the first section, which would leave few bits to the others.
    """
    rest = 1.0
    rows: list[Section] = []
    for index, (b0, b1, b2, a0, a1, a2) in enumerate(sections):
        peak = _peak((b0, b1, b2, a0, a1, a2)) or 1.0
        rest *= peak
        gain = rest / peak if index == len(sections) - 1 else 1 / peak
        rows.append((b0 * gain, b1 * gain, b2 * gain, a0, a1, a2))
    return rows


def _peak(section: Section) -> float:
    """Largest gain over all frequencies."""
    b, a = np.array(section[:3]), np.array(section[3:])
    poles = np.abs(np.angle(np.roots(a))) if np.any(a[1:]) else np.zeros(0)
    angles = np.concatenate([np.linspace(0, np.pi, 2049), np.geomspace(1e-6, 0.1, 512), poles])
    z = np.exp(-1j * angles)
    return float(np.max(np.abs(np.polyval(b[::-1], z) / np.polyval(a[::-1], z))))


def _biquad(name: str, section: Section) -> IntegerBiquad:
    b0, b1, b2, _, a1, a2 = section
    values = np.array([b0, b1, b2, -a1, -a2])
    shift = _largest_shift(name, values)
    ints = [int(value) for value in np.rint(values * 2.0**shift)]
    return IntegerBiquad(ints[0], ints[1], ints[2], ints[3], ints[4], shift)


def _largest_shift(name: str, values: npt.NDArray[np.float64]) -> int:
    peak = float(np.max(np.abs(values)))
    for shift in range(_LARGEST_SHIFT, 0, -1):
        if np.rint(peak * 2.0**shift) < _COEFFICIENT:
            return shift
    raise OptionError(f"signals: channel '{name}': a coefficient of {peak:g} is beyond what 32 bits hold")


# --- resampling ---------------------------------------------------------------------------------------------


def _resample(name: str, step: Resample) -> IntegerResample:
    length = -(-len(step.taps) // step.up)
    padded = np.zeros(length * step.up)
    padded[: len(step.taps)] = np.array(step.taps) * step.up
    phases = padded.reshape(length, step.up).T
    # The sum over a phase must fit 64 bits.
    bound = np.append(np.abs(phases).sum(axis=1), np.abs(phases).max())
    shift = _largest_shift(name, bound)
    ints = np.rint(phases * 2.0**shift).astype(np.int64)
    return IntegerResample(step.up, step.down, tuple(tuple(int(t) for t in row) for row in ints), shift)


# --- windows ------------------------------------------------------------------------------------------------


def _min_max(normalise: MinMax) -> IntegerMinMax:
    shift = 8  # scales that are no whole number of codes keep eight more bits
    steps = round(2.0**shift * (normalise.high - normalise.low) / normalise.scale)
    lower = round(2.0**shift * (normalise.zero_point + normalise.low / normalise.scale))
    while shift and not (steps | lower) & 1:
        steps, lower, shift = steps >> 1, lower >> 1, shift - 1
    least = lower >> shift
    return IntegerMinMax(steps, shift, least, 2 * (lower - (least << shift)) + (1 << shift))


def _is_narrow(plan: SignalPlan, normalise: IntegerMinMax) -> bool:
    """Whether values are counts of 16 bits at most, and the numerator of every code is below 2**32."""
    steps = [step for channel in plan.channels for step in channel.steps]
    largest = (1 << plan.bits) - 1  # span of a window
    if any(not isinstance(step, Rectify) for step in steps) or plan.bits + bool(steps) > _NARROW:
        return False
    return largest * (2 * normalise.steps + normalise.rest) < 2**32
