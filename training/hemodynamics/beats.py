"""Beats: their rhythm in any pulse wave, and systole, diastole and mean of an arterial pressure wave beat by beat."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

FASTEST, SLOWEST = 200.0, 36.0
"""Beats per minute that are looked for."""

_SMOOTH_HZ = 16.0
_LEAST_BEATS = 3
_LEAST_PULSE = 0.6  # of the median, that a stretch's first beat must rise


def beat_interval(slope: np.ndarray, rate: float) -> tuple[float, float]:
    """Return the length of a beat in seconds, and how alike beats are, from the autocorrelation of the slope.

    Parameters
    ----------
    slope : numpy.ndarray
        Derivative of a pulse wave, shape (samples,).
    rate : float
        Samples per second.

    Returns
    -------
    interval : float
        Seconds, 0.3 to 1.67.
    regularity : float
        Autocorrelation there, up to 1.
    """
    size = 2 * len(slope)
    power = np.abs(np.fft.rfft(slope - slope.mean(), size)) ** 2
    lags = np.fft.irfft(power, size)[: len(slope)]
    lags = lags / max(lags[0], 1e-12)
    low, high = int(60 * rate / FASTEST), min(int(60 * rate / SLOWEST), len(slope) - 2)
    window = lags[low : high + 1]
    peaks = np.flatnonzero((window[1:-1] >= window[:-2]) & (window[1:-1] > window[2:])) + 1
    if not len(peaks):
        return (low + int(window.argmax())) / rate, float(window.max())
    # Two beats are as alike as one: the shortest lag that is nearly as good counts.
    best = peaks[window[peaks] > 0.8 * window[peaks].max()][0]
    return (low + int(best)) / rate, float(window[best])


def steepest_rises(slope: np.ndarray, interval: float) -> np.ndarray:
    """Return where each beat rises most steeply.

    Parameters
    ----------
    slope : numpy.ndarray
        Derivative of a pulse wave, shape (samples,).
    interval : float
        Samples of a beat.

    Returns
    -------
    numpy.ndarray
        float64, samples (between samples by a parabola), ascending.
    """
    from scipy.signal import find_peaks

    floor = 0.4 * np.percentile(slope, 99)
    peaks, _ = find_peaks(slope, height=max(floor, 1e-12), distance=max(1, int(0.6 * interval)))
    peaks = peaks[(peaks > 0) & (peaks < len(slope) - 1)]
    before, at, after = slope[peaks - 1], slope[peaks], slope[peaks + 1]
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1), 0)
    return np.asarray(peaks + shift, float)


def mean_interval(rises: np.ndarray, rate: float) -> float:
    """Return the mean beat in seconds, counted over the gaps that missed beats leave."""
    gaps = np.diff(rises)
    beats = np.maximum(np.round(gaps / np.median(gaps)), 1)
    return float(gaps.sum() / beats.sum()) / rate


@dataclass(frozen=True)
class PressureBeats:
    """The whole beats of a stretch of arterial pressure.

    Attributes
    ----------
    systolic, diastolic, mean : numpy.ndarray
        mmHg, one entry for each beat; the mean is that from one foot of the wave to the next.
    seconds : numpy.ndarray
        Length of each.
    """

    systolic: np.ndarray
    diastolic: np.ndarray
    mean: np.ndarray
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)


def pressure_beats(pressure: np.ndarray, rate: float) -> PressureBeats | None:
    """Find the beats of an arterial pressure wave.

    Parameters
    ----------
    pressure : numpy.ndarray
        mmHg, shape (samples,), without gaps.
    rate : float
        Samples per second.

    Returns
    -------
    PressureBeats or None
        None where fewer than three whole beats are found. Each beat runs from its foot, the lowest point before its
        steepest rise, to the next foot; labels may look ahead, so that smoothing here is not causal.
    """
    from scipy.signal import butter, sosfiltfilt

    if len(pressure) < 2 * rate or np.ptp(pressure) == 0:
        return None
    smooth = sosfiltfilt(butter(2, min(_SMOOTH_HZ, 0.45 * rate), fs=rate, output="sos"), pressure)
    slope = np.gradient(smooth) * rate
    interval, _ = beat_interval(slope, rate)
    rises = np.round(steepest_rises(slope, interval * rate)).astype(int)
    if len(rises) < _LEAST_BEATS + 1:
        return None
    reach = max(2, round(min(0.3, 0.5 * interval) * rate))
    feet = np.array([max(r - reach, 0) + int(smooth[max(r - reach, 0) : r + 1].argmin()) for r in rises])
    # A foot at the first sample is where the stretch was cut, not where a beat began.
    feet = np.unique(feet[feet > 0])
    beats = [pressure[start:end] for start, end in pairwise(feet)]
    pulses = np.array([beat.max() - beat[0] for beat in beats])
    if len(beats) and pulses[0] < _LEAST_PULSE * np.median(pulses):
        # The beat before was cut off its own rise, and this is its dicrotic wave.
        feet, beats = feet[1:], beats[1:]
    if len(beats) < _LEAST_BEATS:
        return None
    return PressureBeats(
        systolic=np.array([beat.max() for beat in beats]),
        diastolic=np.array([smooth[start] for start in feet[:-1]]),
        mean=np.array([beat.mean() for beat in beats]),
        seconds=np.diff(feet) / rate,
    )
