"""What hand-made measures of the pulse tell: the figure a network has to beat.

Rhythm from the autocorrelation of the slope; shape from the mean beat, lined up at its steepest rise: its course in
seconds and in shares of a beat, its widths, crest time, decay, and the ratios of the second derivative's waves
(Takazawa et al. 1998, Hypertension 32:365-370).
"""

from __future__ import annotations

import numpy as np

from .beats import beat_interval, mean_interval, steepest_rises
from .windowset import RATE

_BAND_HZ = (0.4, 12.0)
_BEFORE_SECONDS, _AFTER_SECONDS = 0.16, 0.80
_COURSE = 32
_LEVELS = (0.1, 0.25, 0.33, 0.5, 0.66, 0.75, 0.9)
_NAMES_TAIL = ("crest", "decay", "decay end", "b/a", "c/a", "d/a", "skew", "kurtosis", "area")


def feature_names() -> tuple[str, ...]:
    """Names of the columns of :func:`pulse_features`."""
    course = [f"{kind} {index}" for kind in ("seconds", "share") for index in range(_COURSE)]
    widths = [f"{kind} {level:g}" for kind in ("rise", "width") for level in _LEVELS]
    return ("interval", "rate", "regularity", *course, *widths, *_NAMES_TAIL)


def pulse_features(signals: np.ndarray, rate: float = RATE) -> np.ndarray:
    """Measure each window.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (N, samples), any gain and offset.
    rate : float
        Samples per second.

    Returns
    -------
    numpy.ndarray
        float64, shape (N, features), columns as :func:`feature_names`; a window without a beat gives zeros.
    """
    from scipy.signal import butter, sosfiltfilt

    sos = butter(2, _BAND_HZ, "bandpass", fs=rate, output="sos")
    smooth = sosfiltfilt(sos, np.asarray(signals, float), axis=1)
    slopes = np.gradient(smooth, 1 / rate, axis=1)
    found = [_measure(wave, slope, rate) for wave, slope in zip(smooth, slopes, strict=True)]
    return np.stack(found) if found else np.empty((0, len(feature_names())))


def _measure(wave: np.ndarray, slope: np.ndarray, rate: float) -> np.ndarray:
    interval, regularity = beat_interval(slope, rate)
    rises = steepest_rises(slope, interval * rate)
    nothing = np.zeros(len(feature_names()))
    if len(rises) < 2:
        return nothing
    interval = float(np.median(np.diff(rises))) / rate
    beat = _mean_beat(wave, rises, rate)
    if beat is None:
        return nothing
    measured = [interval, 60 / mean_interval(rises, rate), regularity, *_course(beat, interval, rate)]
    return np.nan_to_num(np.array([*measured, *_widths(beat, interval, rate), *_tail(beat, interval, rate)]))


def _mean_beat(wave: np.ndarray, rises: np.ndarray, rate: float) -> np.ndarray | None:
    """Median beat around its rise, its foot 0 and its peak 1."""
    offsets = np.arange(-round(_BEFORE_SECONDS * rate), round(_AFTER_SECONDS * rate) + 1)
    inside = rises[(rises + offsets[0] >= 0) & (rises + offsets[-1] <= len(wave) - 1)]
    if not len(inside):
        return None
    places = inside[:, None] + offsets
    beats = np.interp(places.ravel(), np.arange(len(wave)), wave).reshape(places.shape)
    beat = np.median(beats - beats.mean(axis=1, keepdims=True), axis=0)
    start = round(_BEFORE_SECONDS * rate)
    foot, peak = beat[: start + 1].min(), beat[start : start + round(0.35 * rate)].max()
    return (beat - foot) / max(peak - foot, 1e-9)


def _course(beat: np.ndarray, interval: float, rate: float) -> np.ndarray:
    """The beat at equal steps of time, and at equal steps of its own length."""
    times = np.arange(len(beat)) / rate - _BEFORE_SECONDS
    seconds = np.linspace(-0.12, 0.6, _COURSE)
    shares = np.linspace(-0.1, 0.85, _COURSE) * interval
    return np.concatenate([np.interp(seconds, times, beat), np.interp(shares, times, beat)])


def _widths(beat: np.ndarray, interval: float, rate: float) -> list[float]:
    """Seconds from each level to the peak, and from the peak back down to it."""
    start = round(_BEFORE_SECONDS * rate)
    peak = start + int(beat[start : start + round(0.35 * rate)].argmax())
    end = min(len(beat), start + max(round((interval - 0.05) * rate), 8))
    rising, falling = beat[: peak + 1], beat[peak:end]
    rises = [_crossing(rising[::-1], level) / rate for level in _LEVELS]
    falls = [_crossing(falling, level) / rate for level in _LEVELS]
    return rises + falls


def _crossing(values: np.ndarray, level: float) -> float:
    """Samples until the values first fall below a level; their number where they never do."""
    below = np.flatnonzero(values < level)
    if not len(below) or below[0] == 0:
        return float(len(values) if not len(below) else 0)
    at = int(below[0])
    return at - 1 + (values[at - 1] - level) / max(values[at - 1] - values[at], 1e-9)


def _tail(beat: np.ndarray, interval: float, rate: float) -> list[float]:
    from scipy.signal import savgol_filter

    start = round(_BEFORE_SECONDS * rate)
    crest = beat[start : start + round(0.35 * rate)].argmax() / rate
    end = min(len(beat), start + max(round((interval - 0.05) * rate), 12))
    late = np.clip(beat[start + (end - start) * 5 // 8 : end], 1e-3, None)
    middle = np.clip(beat[start + (end - start) * 3 // 8 : start + (end - start) * 6 // 8], 1e-3, None)
    decays = [float(np.polyfit(np.arange(len(part)) / rate, np.log(part), 1)[0]) for part in (middle, late)]
    second = savgol_filter(beat, 9, 3, deriv=2)
    rise, after = second[: start + 2], second[start : start + round(0.45 * rate)]
    a = max(rise.max(), 1e-9)
    b = int(after[: round(0.12 * rate)].argmin())
    c = b + int(after[b : b + round(0.12 * rate)].argmax())
    d = c + int(after[c : c + round(0.12 * rate)].argmin())
    whole = beat[:end]
    spread = max(float(whole.std()), 1e-9)
    centred = (whole - whole.mean()) / spread
    return [float(crest), *decays, after[b] / a, after[c] / a, after[d] / a,
            float((centred**3).mean()), float((centred**4).mean()), float(whole.mean())]  # fmt: skip
