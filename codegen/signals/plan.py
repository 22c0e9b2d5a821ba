"""What happens between the converter and the network, declared once in physical units.

Every channel has steps of its own, in order; all channels arrive at one rate and leave at one rate. A channel that is
sampled more slowly is held: the caller passes its latest sample again. All steps are causal, so that training sees what
a device can compute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import OptionError

MAX_BITS = 24
MAX_RATIO = 1024
#: Normalised windows lie within plus and minus this.
LARGEST_END = 16
#: Codes that clipping leaves: symmetric, as :mod:`thumbnet.quantize.scaling` trains.
CODES = 127

Section = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Biquads:
    """Cascade of second-order sections.

    Attributes
    ----------
    sections : tuple of (b0, b1, b2, a0, a1, a2)
        Rows as SciPy's ``output="sos"`` gives them, a0 = 1.
    """

    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Rectify:
    """Magnitude of every sample: the first half of an envelope."""


@dataclass(frozen=True)
class Resample:
    """Polyphase resampling by up / down with a causal low-pass.

    Attributes
    ----------
    up, down : int
        Without a common divisor, 1 to 1024.
    taps : tuple of float
        Low-pass at up times the input rate, gain 1 at 0 Hz before upsampling (``scipy.signal.firwin``); the gain `up`
        that upsampling needs is added here.
    """

    up: int
    down: int
    taps: tuple[float, ...]


Step = Biquads | Rectify | Resample


@dataclass(frozen=True)
class ChannelPlan:
    """One channel.

    Attributes
    ----------
    name : str
        Role of the channel.
    microvolts_per_count : float
        What one count of the converter is worth.
    microvolts_per_code : float
        What one int8 code of the network's input is worth; ignored where windows are normalised.
    steps : tuple of Biquads, Rectify or Resample
        In order.
    """

    name: str
    microvolts_per_count: float
    microvolts_per_code: float
    steps: tuple[Step, ...] = ()

    @property
    def resample(self) -> Resample | None:
        """The one step that changes the rate."""
        return next((step for step in self.steps if isinstance(step, Resample)), None)


@dataclass(frozen=True)
class MinMax:
    """Bring a whole window between two numbers by its smallest and largest value, then quantize.

    A flat window becomes the lower number everywhere.

    Attributes
    ----------
    scale : float
        Of the network's input.
    zero_point : int
        Of the network's input.
    low, high : float
        What the smallest and the largest value become.
    """

    scale: float
    zero_point: int
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class SignalPlan:
    """All channels of a model's input.

    Attributes
    ----------
    bits : int
        Resolution of the converter with its sign; counts beyond it are clipped. 2 to 24.
    channels : tuple of ChannelPlan
        In the order of the network's rows.
    normalise : MinMax or None
        For networks that take normalised windows.
    rate : float or None
        Samples per second of the converter, where it is known; the filters were designed for it.

    Raises
    ------
    OptionError
        Naming what is wrong with which channel.
    """

    bits: int
    channels: tuple[ChannelPlan, ...]
    normalise: MinMax | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= MAX_BITS:
            raise OptionError(f"signals: the converter's resolution is 2 to {MAX_BITS} bits, got {self.bits}")
        if not self.channels:
            raise OptionError("signals: at least one channel is needed, got none")
        for channel in self.channels:
            _check_channel(channel)
        ratios = {(r.up, r.down) if (r := c.resample) else (1, 1) for c in self.channels}
        if len(ratios) > 1:
            found = ", ".join(f"{up}/{down}" for up, down in sorted(ratios))
            raise OptionError(f"signals: all channels are resampled by one ratio, got {found}")
        if self.normalise is not None:
            _check_normalise(self.normalise)
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise OptionError(f"signals: the converter's rate is a positive number of Hz, got {self.rate!r}")

    @property
    def ratio(self) -> tuple[int, int]:
        """Slices out per samples in."""
        resample = self.channels[0].resample
        return (resample.up, resample.down) if resample else (1, 1)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, as bundles carry it."""
        content: dict[str, Any] = {"bits": self.bits, "channels": [_channel_to_dict(c) for c in self.channels]}
        if self.rate is not None:
            content["rate"] = self.rate
        if self.normalise is not None:
            content["normalise"] = asdict(self.normalise)
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SignalPlan:
        """Read the JSON form; OptionError where it is malformed."""
        try:
            normalise, rate = content.get("normalise"), content.get("rate")
            return cls(
                int(content["bits"]),
                tuple(_channel_from_dict(c) for c in content["channels"]),
                None if normalise is None else _normalise_from_dict(normalise),
                None if rate is None else float(rate),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OptionError(f"signals: the declaration is malformed: {error!r}") from None


# --- checks -------------------------------------------------------------------------------------------------


def _check_channel(channel: ChannelPlan) -> None:
    where = f"signals: channel '{channel.name}'"
    for what in ("microvolts_per_count", "microvolts_per_code"):
        value = getattr(channel, what)
        if not (math.isfinite(value) and value > 0):
            raise OptionError(f"{where}: {what} is a positive number, got {value!r}")
    if sum(isinstance(step, Resample) for step in channel.steps) > 1:
        raise OptionError(f"{where}: the rate changes once at most")
    for step in channel.steps:
        if isinstance(step, Biquads):
            for section in step.sections:
                _check_section(where, section)
        elif isinstance(step, Resample):
            _check_resample(where, step)


def _check_section(where: str, section: Section) -> None:
    if len(section) != 6 or not all(math.isfinite(value) for value in section) or section[3] != 1:
        raise OptionError(f"{where}: a section is b0, b1, b2, 1, a1, a2, got {list(section)}")
    _, _, _, _, a1, a2 = section
    # The triangle of stability of a second-order section.
    if not (abs(a2) < 1 and abs(a1) < 1 + a2):
        raise OptionError(f"{where}: the section with a1 = {a1:g}, a2 = {a2:g} is not stable")


def _check_resample(where: str, step: Resample) -> None:
    fits = 1 <= step.up <= MAX_RATIO and 1 <= step.down <= MAX_RATIO and math.gcd(step.up, step.down) == 1
    if not fits:
        allowed = f"up / down without a common divisor, each 1 to {MAX_RATIO}"
        raise OptionError(f"{where}: the ratio is {allowed}, got {step.up} / {step.down}")
    if not step.taps or not all(math.isfinite(tap) for tap in step.taps):
        raise OptionError(f"{where}: resampling needs finite taps, got {len(step.taps)}")


def _check_normalise(normalise: MinMax) -> None:
    if not (math.isfinite(normalise.scale) and 2.0**-14 <= normalise.scale <= 1):
        raise OptionError(f"signals: normalised windows need an input scale of 2^-14 to 1, got {normalise.scale!r}")
    if not -128 <= normalise.zero_point <= 127:
        raise OptionError(f"signals: the input's zero point is -128 to 127, got {normalise.zero_point}")
    low, high = normalise.low, normalise.high
    if not (-LARGEST_END <= low < high <= LARGEST_END):
        raise OptionError(
            f"signals: windows are normalised from a lower number to a higher one, within plus and minus "
            f"{LARGEST_END}, got {low!r} to {high!r}"
        )


# --- JSON ---------------------------------------------------------------------------------------------------


def _normalise_from_dict(content: Mapping[str, Any]) -> MinMax:
    ends = (float(content.get(key, default)) for key, default in (("low", 0), ("high", 1)))
    return MinMax(float(content["scale"]), int(content["zero_point"]), *ends)


def _channel_to_dict(channel: ChannelPlan) -> dict[str, Any]:
    return {
        "name": channel.name,
        "microvolts_per_count": channel.microvolts_per_count,
        "microvolts_per_code": channel.microvolts_per_code,
        "steps": [_step_to_dict(step) for step in channel.steps],
    }


def _step_to_dict(step: Step) -> dict[str, Any]:
    if isinstance(step, Biquads):
        return {"step": "biquads", "sections": [list(section) for section in step.sections]}
    if isinstance(step, Resample):
        return {"step": "resample", "up": step.up, "down": step.down, "taps": list(step.taps)}
    return {"step": "rectify"}


def _channel_from_dict(content: Mapping[str, Any]) -> ChannelPlan:
    return ChannelPlan(
        str(content["name"]),
        float(content["microvolts_per_count"]),
        float(content["microvolts_per_code"]),
        tuple(_step_from_dict(step) for step in content["steps"]),
    )


def _step_from_dict(content: Mapping[str, Any]) -> Step:
    kind = content["step"]
    if kind == "biquads":
        return Biquads(tuple(_section(row) for row in content["sections"]))
    if kind == "resample":
        return Resample(int(content["up"]), int(content["down"]), tuple(float(tap) for tap in content["taps"]))
    if kind == "rectify":
        return Rectify()
    raise OptionError(f"signals: unknown step '{kind}': allowed are biquads, rectify, resample")


def _section(row: Sequence[float]) -> Section:
    b0, b1, b2, a0, a1, a2 = (float(value) for value in row)
    return b0, b1, b2, a0, a1, a2
