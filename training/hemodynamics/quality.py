"""Which windows can be used, and why others cannot: counted, never silently dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .beats import PressureBeats, beat_interval, mean_interval, pressure_beats, steepest_rises
from .tasks import task_of

MISSING = "samples are missing"
FLAT = "signal stands still"
PPG_IRREGULAR = "PPG beats are unlike one another"
NO_BEATS = "no beats in the arterial pressure"
LIMITS = "pressures beyond their limits"
ABP_IRREGULAR = "arterial pressure jumps from beat to beat"
DISAGREE = "PPG and pressure beat at different rates"
REASONS = (MISSING, FLAT, PPG_IRREGULAR, NO_BEATS, LIMITS, ABP_IRREGULAR, DISAGREE)

LABELS = ("SBP", "MAP", "DBP", "HR")
"""Parameters that an arterial pressure wave gives."""

_STILL_SECONDS = 0.4
_REGULAR = 0.4
_PULSE_LIMITS = (10.0, 180.0)  # mmHg between systole and diastole
_JUMP = 0.25  # of the mean, largest deviation between beats of systole
_UNEVEN = 0.35
_RATES_APART = 0.12


@dataclass
class Rejections:
    """How many windows there were, and how many were refused for each of `REASONS`."""

    windows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        """Windows that were refused."""
        return sum(self.reasons.values())

    @property
    def rate(self) -> float:
        """Share of them, 0 where there was none."""
        return self.rejected / self.windows if self.windows else 0.0

    def count(self, reason: str | None) -> bool:
        """Count a window; True where it can be used (no reason)."""
        self.windows += 1
        if reason is not None:
            self.reasons[reason] += 1
        return reason is None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"windows": self.windows, "rejected": self.rejected, "rate": self.rate, "reasons": dict(self.reasons)}

    def __str__(self) -> str:
        told = ", ".join(f"{reason}: {count}" for reason, count in self.reasons.most_common())
        return f"{self.rejected} of {self.windows} windows rejected ({self.rate:.1%})" + (f"; {told}" if told else "")


def merged(parts: Iterable[Rejections]) -> Rejections:
    """Return the counts of several recordings together."""
    total = Rejections()
    for part in parts:
        total.windows += part.windows
        total.reasons.update(part.reasons)
    return total


def ppg_fault(window: np.ndarray, rate: float) -> str | None:
    """Return why a PPG window cannot be used, or None.

    Parameters
    ----------
    window : numpy.ndarray
        Shape (samples,), any unit.
    rate : float
        Samples per second.
    """
    if not np.isfinite(window).all():
        return MISSING
    if stands_still(window, rate):
        return FLAT
    slope = np.gradient(window)
    interval, regularity = beat_interval(slope, rate)
    return PPG_IRREGULAR if regularity < _REGULAR or len(steepest_rises(slope, interval * rate)) < 2 else None


def stands_still(window: np.ndarray, rate: float) -> bool:
    """Whether some stretch of 0.4 s has one value: a rail, a flush, a disconnected sensor."""
    same = np.diff(window) == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(int)))
    return len(edges) > 0 and int((edges[1::2] - edges[::2]).max()) >= _STILL_SECONDS * rate


def labels_of_pressure(ppg: np.ndarray, pressure: np.ndarray, rate: float) -> tuple[np.ndarray | None, str | None]:
    """Return the `LABELS` of a window from its arterial pressure, or why there are none.

    Parameters
    ----------
    ppg, pressure : numpy.ndarray
        The same seconds, shape (samples,); pressure in mmHg.
    rate : float
        Samples per second.

    Returns
    -------
    labels : numpy.ndarray or None
        Means over the whole beats.
    reason : str or None
        One of `REASONS`.
    """
    if not np.isfinite(pressure).all():
        return None, MISSING
    fault = ppg_fault(ppg, rate)
    if fault is not None:
        return None, fault
    if stands_still(pressure, rate):
        return None, FLAT
    beats = pressure_beats(pressure, rate)
    fault = NO_BEATS if beats is None else _pressure_fault(beats)
    if beats is None or fault is not None:
        return None, fault
    slope = np.gradient(ppg)
    rises = steepest_rises(slope, beat_interval(slope, rate)[0] * rate)
    beat = float(beats.seconds.mean())
    if abs(mean_interval(rises, rate) / beat - 1) > _RATES_APART:
        return None, DISAGREE
    return np.array([beats.systolic.mean(), beats.mean.mean(), beats.diastolic.mean(), 60 / beat]), None


def _pressure_fault(beats: PressureBeats) -> str | None:
    pulse = float((beats.systolic - beats.diastolic).mean())
    values = (beats.systolic.mean(), beats.mean.mean(), beats.diastolic.mean(), 60 / beats.seconds.mean())
    for name, value in zip(LABELS, values, strict=True):
        task = task_of(name)
        if not task.low <= value <= task.high:
            return LIMITS
    if not _PULSE_LIMITS[0] <= pulse <= _PULSE_LIMITS[1]:
        return LIMITS
    jump = np.abs(beats.systolic / np.median(beats.systolic) - 1).max()
    uneven = np.abs(beats.seconds / np.median(beats.seconds) - 1).max()
    return ABP_IRREGULAR if jump > _JUMP or uneven > _UNEVEN else None
