"""From a signal at any rate to the windows that the network reads: causal filters, resampling, cutting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..sleep.filters import ChannelFilters, Step, apply_steps, design_steps, ratio_of
from .windowset import RATE, SAMPLES

_LARGEST_RATIO = 1024
_LEAST_PULSE = 0.05  # of a segment's range, below which it is drift without a pulse


@dataclass(frozen=True)
class WindowConfig:
    """How windows are made.

    Attributes
    ----------
    rate : float
        Samples per second of a window.
    samples : int
        Of a window.
    stride : int
        Samples from the start of one window to the next; fewer than `samples`: windows overlap.
    highpass, lowpass : float or None
        Hz, Butterworth filters of `order` that run causally through the whole recording, as on the device.
    order : int
        1 to 8.
    """

    rate: float = RATE
    samples: int = SAMPLES
    stride: int = SAMPLES
    highpass: float | None = None
    lowpass: float | None = None
    order: int = 2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            whole = name in ("samples", "stride", "order")
            if value is not None and (not isinstance(value, int if whole else int | float) or isinstance(value, bool)):
                raise ConfigError(f"data.{name} must be a {'whole ' if whole else ''}number, got {value!r}")
        if self.rate <= 0:
            raise ConfigError(f"data.rate must be positive, got {self.rate}")
        for name in ("samples", "stride"):
            if getattr(self, name) < 1:
                raise ConfigError(f"data.{name} must be at least 1, got {getattr(self, name)}")
        if not 1 <= self.order <= 8:
            raise ConfigError(f"data.order must lie between 1 and 8, got {self.order}")
        for name in ("highpass", "lowpass"):
            value = getattr(self, name)
            if value is not None and not 0 < value < self.rate / 2:
                raise ConfigError(f"data.{name} must be above 0 and below {self.rate / 2:g} Hz, got {value:g}")

    @property
    def seconds(self) -> float:
        """Length of a window."""
        return self.samples / self.rate

    def steps(self, rate: float) -> list[Step]:
        """Steps from a converter of a rate to the windows, as :func:`..sleep.filters.design_steps` describes them.

        Raises
        ------
        ConfigError
            When the rates have no small ratio.
        """
        up, down = ratio_of(rate, self.rate)
        if max(up, down) > _LARGEST_RATIO or rate <= 0:
            raise ConfigError(
                f"a signal of {rate:g} Hz must be to {self.rate:g} Hz as whole numbers up to {_LARGEST_RATIO}"
            )
        filters = ChannelFilters(self.highpass, self.lowpass, order=self.order)
        wanted = filters if self.highpass or self.lowpass else None
        return design_steps(wanted, rate, self.rate)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(vars(self))


def prepare(signal: np.ndarray, rate: float, config: WindowConfig) -> np.ndarray:
    """Filter and resample a whole recording, causally.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), without NaN.
    rate : float
        Its samples per second.
    config : WindowConfig
        Filters and the rate wanted.

    Returns
    -------
    numpy.ndarray
        float64. The first sample is taken off first, so that the filters start from rest.
    """
    return apply_steps(config.steps(rate), np.asarray(signal, float) - float(signal[0]))


def starts_of(count: int, config: WindowConfig) -> np.ndarray:
    """Return where the windows of a recording of `count` samples begin."""
    return np.arange(0, count - config.samples + 1, config.stride)


def cut(signal: np.ndarray, config: WindowConfig) -> np.ndarray:
    """Return all whole windows of a signal, shape (windows, samples)."""
    starts = starts_of(len(signal), config)
    return (
        np.stack([signal[start : start + config.samples] for start in starts])
        if len(starts)
        else np.empty((0, config.samples))
    )


def continue_periodically(segment: np.ndarray, samples: int, rate: float) -> np.ndarray | None:
    """Make a window of a shorter segment by repeating its whole beats.

    Parameters
    ----------
    segment : numpy.ndarray
        Shape (n,), at least one whole beat.
    samples : int
        Wanted, more than n.
    rate : float
        Samples per second.

    Returns
    -------
    numpy.ndarray or None
        float64: the whole beats of the segment from the foot of the first to that of the last, again and again, their
        drift from foot to foot taken off so that the seams close; None where there is no such beat.
    """
    from scipy.signal import butter, sosfiltfilt

    from .beats import beat_interval, steepest_rises

    smooth = sosfiltfilt(butter(2, min(8.0, 0.4 * rate), fs=rate, output="sos"), segment)
    slope = np.gradient(smooth)
    interval, _ = beat_interval(slope, rate)
    rises = np.round(steepest_rises(slope, interval * rate)).astype(int)
    reach = max(2, round(0.35 * interval * rate))
    feet = np.unique([max(r - reach, 0) + int(smooth[max(r - reach, 0) : r + 1].argmin()) for r in rises])
    feet = feet[feet > 0]
    if len(feet) < 2:
        return None
    beats = segment[feet[0] : feet[-1]]
    level = beats - np.linspace(0, segment[feet[-1]] - segment[feet[0]], len(beats), endpoint=False)
    return np.resize(level, samples) if np.ptp(level) > _LEAST_PULSE * np.ptp(segment) else None
