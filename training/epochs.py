"""A labelled set of signal epochs: what every reader gives and every trainer takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .errors import DatasetError
from .mapped import MappedWindows, Windows


@dataclass(frozen=True)
class EpochSet:
    """Epochs of one or more recordings, in time order within each recording.

    Attributes
    ----------
    signals : numpy.ndarray or MappedWindows
        float32, shape (N, channels, samples), microvolts; in memory, or on disk until rows are asked for.
    labels : numpy.ndarray
        int64, shape (N,), index of the class.
    subjects : numpy.ndarray
        str, shape (N,), the person each epoch comes from; two nights of one person share it.
    recordings : numpy.ndarray
        str, shape (N,), identifier of the recording.
    onsets : numpy.ndarray
        float64, shape (N,), seconds from the start of the recording.
    channels : tuple of str
        Role of each channel, in the order of axis 1 of `signals`.
    rate : float
        Samples per second.
    skipped : tuple of str
        One sentence for each recording or file that was left out.
    notes : tuple of str
        What was done to the signals (resampled, held, unit overridden, epochs dropped).

    Raises
    ------
    DatasetError
        When the arrays do not have one entry per epoch.
    """

    signals: Windows
    labels: np.ndarray
    subjects: np.ndarray
    recordings: np.ndarray
    onsets: np.ndarray
    channels: tuple[str, ...]
    rate: float
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        if self.signals.ndim != 3 or self.signals.shape[1] != len(self.channels):
            raise DatasetError(
                f"signals must have the shape (epochs, {len(self.channels)} channels, samples), "
                f"got {self.signals.shape}"
            )
        for name in ("labels", "subjects", "recordings", "onsets"):
            values = getattr(self, name)
            if values.shape != (len(self.signals),):
                raise DatasetError(
                    f"{name} must have one entry for each of {len(self.signals)} epochs, got shape {values.shape}"
                )

    def __len__(self) -> int:
        return len(self.signals)

    def take(self, indices: np.ndarray) -> EpochSet:
        """Return the epochs at `indices` (integers or a boolean mask), in that order; those on disk stay there."""
        mapped = isinstance(self.signals, MappedWindows)
        return replace(
            self,
            signals=self.signals.take(indices) if mapped else self.signals[indices],
            labels=self.labels[indices],
            subjects=self.subjects[indices],
            recordings=self.recordings[indices],
            onsets=self.onsets[indices],
        )

    def counts(self, classes: int) -> np.ndarray:
        """Return the number of epochs of each class, int64, shape (classes,)."""
        return np.bincount(self.labels, minlength=classes)


def concatenate(sets: Sequence[EpochSet], skipped: Sequence[str] = ()) -> EpochSet:
    """Join the epochs of several recordings.

    Parameters
    ----------
    sets : sequence of EpochSet
        All with the same channels, rate and epoch length.
    skipped : sequence of str
        Sentences about recordings left out, added after those of the sets.

    Returns
    -------
    EpochSet

    Raises
    ------
    DatasetError
        When there is nothing to join, or channels, rate or epoch length differ.
    """
    if not sets:
        raise DatasetError("there are no epochs to join")
    first = sets[0]
    for other in sets[1:]:
        same = (other.channels, other.rate) == (first.channels, first.rate)
        if not same or other.signals.shape[1:] != first.signals.shape[1:]:
            raise DatasetError(
                f"recordings must share channels, rate and epoch length: {list(first.channels)} at "
                f"{first.rate:g} Hz x {first.signals.shape[2]}, got {list(other.channels)} at "
                f"{other.rate:g} Hz x {other.signals.shape[2]}"
            )
    return EpochSet(
        signals=np.concatenate([s.signals for s in sets]),
        labels=np.concatenate([s.labels for s in sets]),
        subjects=np.concatenate([s.subjects for s in sets]),
        recordings=np.concatenate([s.recordings for s in sets]),
        onsets=np.concatenate([s.onsets for s in sets]),
        channels=first.channels,
        rate=first.rate,
        skipped=tuple(line for s in sets for line in s.skipped) + tuple(skipped),
        # A note that holds for every recording is said once.
        notes=tuple(dict.fromkeys(line for s in sets for line in s.notes)),
    )
