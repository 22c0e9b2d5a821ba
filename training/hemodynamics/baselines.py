"""What is known without a look at the signal: the figures that an estimate has to beat.

* population mean: the mean of the training windows
* demographics only: a ridge regression on age, sex, height, weight and what follows from them
* subject mean: the mean of a person's earlier readings
* last cuff reading: the latest of them

The last two need a cuff on the person first. A reading is earlier when its window ends before the tested one begins.
"""

from __future__ import annotations

import numpy as np

from .protocols import Division
from .windowset import PpgWindows

POPULATION, DEMOGRAPHICS, SUBJECT, CUFF = "population mean", "demographics only", "subject mean", "last cuff reading"
BASELINES = (POPULATION, DEMOGRAPHICS, SUBJECT, CUFF)
_RIDGE = 1.0


def baseline_estimates(windows: PpgWindows, division: Division) -> dict[str, np.ndarray]:
    """Return what each of `BASELINES` says about the tested windows.

    Parameters
    ----------
    windows : PpgWindows
        All of them.
    division : Division
        Its training windows fit; for tested people, readings of `known` and earlier tested windows are readings.

    Returns
    -------
    dict of str to numpy.ndarray
        Shape (tested windows, tasks); NaN where a baseline has nothing to go by.
    """
    train, test = windows.take(division.train), windows.take(division.test)
    mean = _column_means(train.labels)
    subject, cuff = _earlier_readings(windows, division)
    return {
        POPULATION: np.tile(mean, (len(test), 1)),
        DEMOGRAPHICS: _demographics(train, test),
        SUBJECT: subject,
        CUFF: cuff,
    }


def with_demographics(windows: PpgWindows, division: Division, estimated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mix a model's estimates with what demographics say, to see what each adds to the other.

    Per task ``d + w (y - d)``: d from the regression on demographics, fitted on the training windows, y from the model,
    and w the least-squares weight over the validation windows, kept within 0 to 1. Nothing is fitted on tested people.

    Parameters
    ----------
    windows : PpgWindows
        All N windows.
    division : Division
        The model must not have been fitted on its validation windows.
    estimated : numpy.ndarray
        Estimates of all windows, shape (N, tasks).

    Returns
    -------
    estimates : numpy.ndarray
        Shape (tested windows, tasks); NaN where there are no demographics.
    weights : numpy.ndarray
        w of each task; NaN where no validation window says anything.
    """
    train, checks = windows.take(division.train), windows.take(division.validation)
    said, told = _demographics(train, checks), estimated[division.validation]
    weights = np.full(len(windows.tasks), np.nan)
    for column in range(len(weights)):
        missing, apart = checks.labels[:, column] - said[:, column], told[:, column] - said[:, column]
        rows = np.isfinite(missing) & np.isfinite(apart)
        spread = float(apart[rows] @ apart[rows])
        if spread > 0:
            weights[column] = np.clip(float(missing[rows] @ apart[rows]) / spread, 0, 1)
    base = _demographics(train, windows.take(division.test))
    return base + weights * (estimated[division.test] - base), weights


def _column_means(labels: np.ndarray) -> np.ndarray:
    known = np.isfinite(labels)
    return np.where(known, labels, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)


def _traits(people: np.ndarray) -> np.ndarray:
    """Age, sex, height, weight, body mass index and the square of age; NaN where unknown."""
    age, _, height, weight = people.T
    return np.column_stack([people, weight / (height / 100) ** 2, age**2])


def _demographics(train: PpgWindows, test: PpgWindows) -> np.ndarray:
    """Ridge regression; a trait that nobody has is left out, one that some lack is replaced by its mean.

    NaN for people of whom no trait is known.
    """
    known, asked = _traits(train.people), _traits(test.people)
    used = np.isfinite(known).any(axis=0)
    estimates = np.full((len(test), len(train.tasks)), np.nan)
    if not used.any():
        return estimates
    centre = np.nanmean(known[:, used], axis=0)
    spread = np.nanstd(known[:, used], axis=0)
    spread[spread == 0] = 1
    inputs, queries = (np.nan_to_num((table[:, used] - centre) / spread) for table in (known, asked))
    for column in range(len(train.tasks)):
        labels = train.labels[:, column]
        rows = np.isfinite(labels) & np.isfinite(known[:, used]).any(axis=1)
        if not rows.any():
            continue
        mean = labels[rows].mean()
        gram = inputs[rows].T @ inputs[rows] + _RIDGE * np.eye(inputs.shape[1])
        weights = np.linalg.solve(gram, inputs[rows].T @ (labels[rows] - mean))
        estimates[:, column] = mean + queries @ weights
    estimates[~np.isfinite(asked[:, used]).any(axis=1)] = np.nan
    return estimates


def _earlier_readings(windows: PpgWindows, division: Division) -> tuple[np.ndarray, np.ndarray]:
    """Mean and latest of the earlier readings of each tested window's person."""
    mean = np.full((len(division.test), len(windows.tasks)), np.nan)
    last = mean.copy()
    usable = np.union1d(division.known, division.test)
    usable = usable[np.argsort(windows.onsets[usable], kind="stable")]
    known = np.isin(usable, division.known)
    places = _places_by_subject(windows.subjects[usable])
    for row, index in enumerate(division.test):
        own = places[str(windows.subjects[index])]
        mine, onsets = usable[own], windows.onsets[usable[own]]
        same = windows.records[mine] == windows.records[index]
        before = onsets + windows.seconds <= windows.onsets[index] + 1e-9
        # Records of one person have no common clock: what is known of another record counts as earlier.
        earlier = mine[np.where(same, before, known[own])]
        if len(earlier):
            mean[row] = _column_means(windows.labels[earlier])
            last[row] = _latest(windows.labels[earlier])
    return mean, last


def _places_by_subject(subjects: np.ndarray) -> dict[str, np.ndarray]:
    order = np.argsort(subjects, kind="stable")
    names, starts = np.unique(subjects[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))


def _latest(readings: np.ndarray) -> np.ndarray:
    """Last reading of each column that is one."""
    known = np.isfinite(readings)
    place = len(readings) - 1 - known[::-1].argmax(axis=0)
    return np.where(known.any(axis=0), readings[place, np.arange(readings.shape[1])], np.nan)
