"""How well predicted stages agree with scored ones, and how sure that figure is.

Figures speak about epochs of the given people only; which protocol chose those people is said beside them
(:mod:`.splits`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import DatasetError

CONFIDENCE = 0.95
LEAST_SUBJECTS = 3


@dataclass(frozen=True)
class StagingMetrics:
    """Agreement of predicted with scored stages.

    Attributes
    ----------
    classes : tuple of str
        Names, in the order of the labels.
    epochs : int
        Epochs compared.
    accuracy : float
        Share of equal epochs, 0 to 1.
    macro_f1 : float
        Mean F1 over the classes that occur among the scored stages.
    kappa : float
        Cohen's kappa; NaN where it is undefined (one class only, predicted and scored).
    per_class_f1, sensitivity : dict of str to float or None
        None for a class that was never scored; sensitivity is the share of its epochs that were found.
    shares : dict of str to float
        Share of the scored epochs that each class is; of wake above all, which is easy and lifts accuracy.
    confusion : numpy.ndarray
        int64, shape (classes, classes): rows scored, columns predicted.
    absent : tuple of str
        Classes that were never scored; they are left out of `macro_f1`.
    """

    classes: tuple[str, ...]
    epochs: int
    accuracy: float
    macro_f1: float
    kappa: float
    per_class_f1: dict[str, float | None]
    sensitivity: dict[str, float | None]
    shares: dict[str, float]
    confusion: np.ndarray
    absent: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; an undefined kappa becomes None."""
        return {
            "classes": list(self.classes),
            "epochs": self.epochs,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "kappa": None if math.isnan(self.kappa) else self.kappa,
            "per_class_f1": dict(self.per_class_f1),
            "sensitivity": dict(self.sensitivity),
            "shares": dict(self.shares),
            "confusion": self.confusion.tolist(),
            "absent": list(self.absent),
        }


def staging_metrics(true: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> StagingMetrics:
    """Compare predicted with scored stages.

    Parameters
    ----------
    true, predicted : numpy.ndarray
        Integer labels, shape (N,), 0 to ``len(classes) - 1``.
    classes : sequence of str
        Names in the order of the labels.

    Returns
    -------
    StagingMetrics

    Raises
    ------
    DatasetError
        When there are no epochs, lengths differ, or a label is out of range.
    """
    from sklearn.metrics import cohen_kappa_score, confusion_matrix, f1_score

    true, predicted = _checked(true, predicted, len(classes))
    labels = np.arange(len(classes))
    present = np.unique(true)
    scores = f1_score(true, predicted, labels=present, average=None, zero_division=0)
    by_label = dict(zip(present.tolist(), scores.tolist(), strict=True))
    alone = len(np.union1d(true, predicted)) == 1
    confusion = confusion_matrix(true, predicted, labels=labels).astype(np.int64)
    totals, right = confusion.sum(axis=1).tolist(), confusion.diagonal().tolist()
    return StagingMetrics(
        classes=tuple(classes),
        epochs=len(true),
        accuracy=float(np.mean(true == predicted)),
        macro_f1=float(np.mean(scores)),
        # scikit-learn warns of a division by zero there, and means the same.
        kappa=math.nan if alone else float(cohen_kappa_score(true, predicted)),
        per_class_f1={name: by_label.get(label) for label, name in enumerate(classes)},
        sensitivity={name: right[n] / totals[n] if totals[n] else None for n, name in enumerate(classes)},
        shares={name: totals[n] / len(true) for n, name in enumerate(classes)},
        confusion=confusion,
        absent=tuple(name for label, name in enumerate(classes) if label not in by_label),
    )


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval and what was drawn for it.

    Attributes
    ----------
    value, low, high : float
        The statistic itself and its percentile interval.
    over : str
        "subjects" or "epochs": what was drawn again and again.
    units : int
        How many of these there are.
    confidence : float
        Nominal coverage.
    """

    value: float
    low: float
    high: float
    over: str
    units: int
    confidence: float = CONFIDENCE

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "value": self.value,
            "interval": [self.low, self.high],
            "confidence": self.confidence,
            "over": self.over,
            "units": self.units,
        }


def bootstrap_interval(
    statistic: Callable[..., float],
    arrays: Sequence[np.ndarray],
    subjects: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a statistic of epochs.

    Epochs of one person resemble each other, so whole persons are drawn, with replacement, where there are at
    least three. With fewer the epochs themselves are drawn: such an interval says nothing about other people
    and is too narrow, because neighbouring epochs are alike.

    Parameters
    ----------
    statistic : callable
        Takes as many arrays as `arrays` holds, returns one number.
    arrays : sequence of numpy.ndarray
        First axis the epoch, all of the same length.
    subjects : numpy.ndarray
        Person of each epoch, shape (N,).
    resamples : int
        Draws.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    Interval
        With its 95 % limits.

    Raises
    ------
    DatasetError
        When there are no epochs, or lengths differ.
    """
    subjects = np.asarray(subjects)
    if len(subjects) == 0 or any(len(array) != len(subjects) for array in arrays):
        raise DatasetError(
            "a bootstrap interval needs arrays with one entry per epoch, at least 1, "
            f"got lengths {[len(array) for array in arrays]} for {len(subjects)} subjects' entries"
        )
    names = np.unique(subjects)
    by_subject = len(names) >= LEAST_SUBJECTS
    groups = [np.flatnonzero(subjects == name) for name in names] if by_subject else np.arange(len(subjects))[:, None]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(groups), len(groups))
        chosen = np.concatenate([groups[place] for place in drawn]) if by_subject else drawn
        values.append(statistic(*(array[chosen] for array in arrays)))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    return Interval(
        value=float(statistic(*arrays)),
        low=float(low),
        high=float(high),
        over="subjects" if by_subject else "epochs",
        units=len(groups),
    )


def share_equal(first: np.ndarray, second: np.ndarray) -> float:
    """Share of equal entries, 0 to 1: accuracy, or the agreement of two models."""
    return float(np.mean(first == second))


def _checked(true: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.ndim != 1 or true.shape != predicted.shape or len(true) == 0:
        raise DatasetError(
            f"scored and predicted stages must be two lists of the same length, at least 1, got shapes "
            f"{true.shape} and {predicted.shape}"
        )
    for name, labels in (("scored", true), ("predicted", predicted)):
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
            raise DatasetError(
                f"{name} stages must be integers from 0 to {classes - 1}, got {np.unique(labels)[:10].tolist()}"
            )
    return true, predicted
