"""Per-patient calibration: a gain and an offset for each parameter, from a few readings of that patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .protocols import Division
from .windowset import PpgWindows

LEAST_FOR_GAIN = 5
"""Readings below which only the offset is fitted."""

_GAIN_LIMITS = (0.5, 2.0)
_SHRINK = 5.0  # readings' worth of trust in a gain of 1


@dataclass(frozen=True)
class Calibration:
    """What turns estimates y into ``gain * y + offset``.

    Attributes
    ----------
    gain, offset : numpy.ndarray
        float64, shape (tasks,); 1 and 0 where nothing is known.
    readings : numpy.ndarray
        int64, shape (tasks,), how many there were.
    """

    gain: np.ndarray
    offset: np.ndarray
    readings: np.ndarray

    def apply(self, estimated: np.ndarray) -> np.ndarray:
        """Return calibrated estimates, shape (N, tasks)."""
        return np.asarray(self.gain * estimated + self.offset)


def fit_calibration(measured: np.ndarray, estimated: np.ndarray) -> Calibration:
    """Fit the calibration of one patient.

    Parameters
    ----------
    measured, estimated : numpy.ndarray
        Readings and estimates of the same windows, shape (N, tasks); NaN where there is none.

    Returns
    -------
    Calibration
        One reading moves the offset; from five on, the gain is fitted by least squares, drawn towards 1 and kept
        within 0.5 to 2.
    """
    tasks = measured.shape[1]
    gain, offset, readings = np.ones(tasks), np.zeros(tasks), np.zeros(tasks, np.int64)
    for column in range(tasks):
        rows = np.isfinite(measured[:, column]) & np.isfinite(estimated[:, column])
        truth, told = measured[rows, column], estimated[rows, column]
        readings[column] = len(truth)
        if not len(truth):
            continue
        centred = told - told.mean()
        spread = float(centred @ centred)
        if len(truth) >= LEAST_FOR_GAIN and spread > 0:
            trust = _SHRINK * spread / len(truth)
            gain[column] = np.clip((float(centred @ truth) + trust) / (spread + trust), *_GAIN_LIMITS)
        offset[column] = truth.mean() - gain[column] * told.mean()
    return Calibration(gain, offset, readings)


def calibrated(windows: PpgWindows, division: Division, estimated: np.ndarray) -> np.ndarray:
    """Return the estimates of the tested windows, calibrated with what is known of each person.

    Parameters
    ----------
    windows : PpgWindows
        All of them.
    division : Division
        Its `known` windows are the readings.
    estimated : numpy.ndarray
        Estimates of all windows, shape (N, tasks).

    Returns
    -------
    numpy.ndarray
        Shape (tested windows, tasks); of people of whom nothing is known, as they were.
    """
    found = estimated[division.test].copy()
    tested = windows.subjects[division.test]
    known = windows.subjects[division.known]
    for subject in np.unique(tested):
        rows = division.known[known == subject]
        fitted = fit_calibration(windows.labels[rows], estimated[rows])
        found[tested == subject] = fitted.apply(found[tested == subject])
    return found
