"""Labelled windows of a photoplethysmogram: what every reader gives and every trainer takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import DatasetError

RATE = 125.0
SAMPLES = 1250
PEOPLE = ("age", "male", "height", "weight")
"""Columns of `PpgWindows.people`: years, 1 or 0, cm, kg; NaN where unknown."""


@dataclass(frozen=True)
class PpgWindows:
    """Windows of one or more recordings.

    Attributes
    ----------
    signals : numpy.ndarray
        float32, shape (N, samples), each window between 0 and 1 by its own smallest and largest value.
    labels : numpy.ndarray
        float64, shape (N, tasks), in the units of :mod:`.tasks`; NaN where a parameter was not measured.
    tasks : tuple of str
        Name of each column of `labels`.
    subjects : numpy.ndarray
        str, shape (N,), the person each window comes from.
    records : numpy.ndarray
        str, shape (N,), identifier of the recording.
    onsets : numpy.ndarray
        float64, shape (N,), seconds from the start of the recording.
    people : numpy.ndarray
        float64, shape (N, 4), columns `PEOPLE`.
    rate : float
        Samples per second.
    name : str
        Of the data set, for reports.
    subjects_known : bool
        False where the file does not say whose windows these are; each window is then a person of its own.
    skipped, notes : tuple of str
        One sentence for each recording left out, and for each thing done to the signals.

    Raises
    ------
    DatasetError
        When the arrays do not have one row per window, or one column per task.
    """

    signals: np.ndarray
    labels: np.ndarray
    tasks: tuple[str, ...]
    subjects: np.ndarray
    records: np.ndarray
    onsets: np.ndarray
    people: np.ndarray
    rate: float = RATE
    name: str = ""
    subjects_known: bool = True
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.signals)
        shapes = {
            "labels": (count, len(self.tasks)),
            "subjects": (count,),
            "records": (count,),
            "onsets": (count,),
            "people": (count, len(PEOPLE)),
        }
        if self.signals.ndim != 2:
            raise DatasetError(f"PPG windows must have the shape (windows, samples), got {self.signals.shape}")
        for field, shape in shapes.items():
            if getattr(self, field).shape != shape:
                raise DatasetError(
                    f"{field} of {count} PPG windows must have the shape {shape}, got {getattr(self, field).shape}"
                )

    def __len__(self) -> int:
        return len(self.signals)

    @property
    def seconds(self) -> float:
        """Length of a window."""
        return self.signals.shape[1] / self.rate

    def take(self, indices: np.ndarray) -> PpgWindows:
        """Return the windows at `indices` (integers or a boolean mask), in that order."""
        fields = ("signals", "labels", "subjects", "records", "onsets", "people")
        return replace(self, **{field: getattr(self, field)[indices] for field in fields})

    def label(self, task: str) -> np.ndarray:
        """Return one parameter of every window, shape (N,).

        Raises
        ------
        DatasetError
            When the set does not have it.
        """
        if task not in self.tasks:
            raise DatasetError(f"these windows have labels for {list(self.tasks)}, not for {task!r}")
        return self.labels[:, self.tasks.index(task)]

    def with_tasks(self, tasks: Sequence[str]) -> PpgWindows:
        """Return the same windows with the labels of some parameters, in that order."""
        return replace(self, labels=np.stack([self.label(task) for task in tasks], axis=1), tasks=tuple(tasks))

    def named_subjects(self, prefix: str) -> PpgWindows:
        """Return the same windows, people and recordings told apart from those of other data sets by a prefix."""
        names = {name: np.char.add(f"{prefix}/", getattr(self, name)) for name in ("subjects", "records")}
        return replace(self, **names)


def blank_people(count: int) -> np.ndarray:
    """Return a `people` array that knows nothing."""
    return np.full((count, len(PEOPLE)), np.nan)


def min_max(windows: np.ndarray) -> np.ndarray:
    """Bring each window to 0..1 by its own range.

    Parameters
    ----------
    windows : numpy.ndarray
        Shape (N, samples), any unit.

    Returns
    -------
    numpy.ndarray
        float32; a flat window gives zeros.
    """
    low = windows.min(axis=1, keepdims=True)
    span = windows.max(axis=1, keepdims=True) - low
    return np.divide(windows - low, span, out=np.zeros(windows.shape, float), where=span > 0).astype(np.float32)


def join(sets: Sequence[PpgWindows], name: str, skipped: Sequence[str] = ()) -> PpgWindows:
    """Join windows of several recordings.

    Raises
    ------
    DatasetError
        When there is nothing to join, or tasks, rate or length differ.
    """
    if not sets:
        raise DatasetError(
            f"{name or 'the data set'} holds no usable PPG window" + (f": {skipped[0]}" if skipped else "")
        )
    first = sets[0]
    for other in sets[1:]:
        if (other.tasks, other.rate, other.signals.shape[1]) != (first.tasks, first.rate, first.signals.shape[1]):
            raise DatasetError(
                f"windows to join must share tasks, rate and length: {list(first.tasks)} at {first.rate:g} Hz x "
                f"{first.signals.shape[1]}, got {list(other.tasks)} at {other.rate:g} Hz x {other.signals.shape[1]}"
            )
    joined = {field: np.concatenate([getattr(part, field) for part in sets])
              for field in ("signals", "labels", "subjects", "records", "onsets", "people")}  # fmt: skip
    return PpgWindows(
        **joined,
        tasks=first.tasks,
        rate=first.rate,
        name=name,
        subjects_known=all(part.subjects_known for part in sets),
        skipped=tuple(line for part in sets for line in part.skipped) + tuple(skipped),
        notes=tuple(dict.fromkeys(line for part in sets for line in part.notes)),
    )
