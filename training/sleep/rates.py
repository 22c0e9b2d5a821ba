"""Signals from one sampling rate to another: held, enveloped or resampled."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def hold(signal: np.ndarray, rate: Fraction, wanted: Fraction) -> np.ndarray:
    """Repeat each sample until the next one comes (zero-order hold): no output looks ahead.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,) at `rate`.
    rate, wanted : fractions.Fraction
        Samples per second, exact, so that hours of a night do not drift.

    Returns
    -------
    numpy.ndarray
        At `wanted`; sample n is `signal[floor(n * rate / wanted)]`.
    """
    step = rate / wanted
    count = len(signal) * step.denominator // step.numerator
    return signal[np.arange(count, dtype=np.int64) * step.numerator // step.denominator]


def envelope(signal: np.ndarray, rate: float) -> np.ndarray:
    """Return the RMS of an EMG about its mean over each past second, at 1 Hz.

    Sample k speaks of the second before it, so that it is known when it is held; the first, before which
    there is nothing, of its own second.
    """
    seconds = int(len(signal) / rate)
    edges = np.rint(np.arange(seconds + 1) * rate).astype(np.int64)
    sizes = np.diff(edges)
    mean = np.add.reduceat(signal, edges[:-1])[:seconds]
    power = np.add.reduceat(signal**2, edges[:-1])[:seconds]
    if edges[-1] < len(signal):
        mean[-1] -= signal[edges[-1] :].sum()
        power[-1] -= (signal[edges[-1] :] ** 2).sum()
    rms = np.sqrt(np.maximum(power / sizes - (mean / sizes) ** 2, 0))
    return np.concatenate([rms[:1], rms[:-1]])


def resample(signal: np.ndarray, rate: Fraction, wanted: Fraction) -> np.ndarray:
    """Bring a signal to another rate with a polyphase filter of zero phase, which looks ahead."""
    from scipy.signal import resample_poly

    ratio = (wanted / rate).limit_denominator(10_000)
    return resample_poly(signal, ratio.numerator, ratio.denominator)
