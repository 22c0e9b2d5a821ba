"""k folds under a protocol: who trains, who validates, who is tested, and what that figure is worth.

``subject-wise`` (the default) keeps every person in one part, and picks the checkpoint on people of their own.
``published`` divides as the public code of ULW-SleepNet does, to compare with its figures; its leaks are named in
:attr:`FoldPlan.label` and counted in :attr:`FoldPlan.leaks`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .epochs import EpochSet
from .errors import SplitError
from .splits import SUBJECT_WISE

PUBLISHED = "published"
PROTOCOLS = (SUBJECT_WISE, PUBLISHED)
DEFAULT_VALIDATION = 0.2


@dataclass(frozen=True)
class Fold:
    """One division: indices into the EpochSet, ascending.

    Attributes
    ----------
    number : int
        From 0.
    train, validation, test : numpy.ndarray
        int64; under `published`, validation is the test part.
    recordings : tuple of str
        Those that are tested.
    """

    number: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    recordings: tuple[str, ...]


@dataclass(frozen=True)
class FoldPlan:
    """All folds of a protocol.

    Attributes
    ----------
    protocol : str
        One of `PROTOCOLS`.
    folds : tuple of Fold
        Each recording is tested once, but for those left out.
    label : str
        What must stand beside every figure.
    leaks : tuple of str
        A sentence for each thing that makes the figure too good, counted on these recordings.
    selection : str
        What picks the checkpoint: "loss" or "accuracy", on the validation part.
    """

    protocol: str
    folds: tuple[Fold, ...]
    label: str
    leaks: tuple[str, ...]
    selection: str

    @property
    def generalises(self) -> bool:
        """Whether the figures speak about people the network has not seen."""
        return not self.leaks


def plan_folds(
    epochs: EpochSet,
    protocol: str = SUBJECT_WISE,
    count: int = 5,
    seed: int = 0,
    validation: float = DEFAULT_VALIDATION,
    selection: str = "loss",
) -> FoldPlan:
    """Divide epochs into folds.

    Parameters
    ----------
    epochs : EpochSet
        Subjects, recordings and onsets are used, never a signal.
    protocol : str
        "subject-wise" or "published".
    count : int
        Number of folds; as many as there are people leaves one out at a time.
    seed : int
        Decides which people are tested together (`subject-wise`; `published` goes by the order of the recordings).
    validation : float
        Share of the people besides those of the test who validate, at least one (`subject-wise`).
    selection : str
        Which pass counts (`subject-wise`), see :class:`.loop.TrainingSettings`; the published protocol has its own.

    Returns
    -------
    FoldPlan

    Raises
    ------
    SplitError
        An unknown protocol, fewer people (`subject-wise`: 3) or recordings than folds need, or a share out of range.
    """
    if protocol not in PROTOCOLS:
        raise SplitError(f"folds.protocols must be among {list(PROTOCOLS)}, got {protocol!r}")
    if count < 2:
        raise SplitError(f"folds.count must be at least 2, got {count}")
    if protocol == PUBLISHED:
        return _published(epochs, count)
    if not 0 < validation < 1:
        raise SplitError(f"folds.validation must be a share between 0 and 1, got {validation}")
    return _subject_wise(epochs, count, seed, validation, selection)


def _subject_wise(epochs: EpochSet, count: int, seed: int, validation: float, selection: str) -> FoldPlan:
    people = np.unique(epochs.subjects)
    # Two folds of three people would test two at once and leave nobody to train.
    least = max(3, count) if count > 2 else 4
    if len(people) < least:
        raise SplitError(
            f"{count} subject-wise folds need at least {least} subjects (test, validation and training are "
            f"different people), got {len(people)}"
        )
    order = np.random.default_rng(seed).permutation(people)
    groups = np.array_split(order, count)
    folds = []
    for number, tested in enumerate(groups):
        # Those who follow in the order validate, so that over all folds everybody does about as often.
        start = sum(len(group) for group in groups[: number + 1])
        rest = np.roll(order, -start)[: len(order) - len(tested)]
        picked = rest[: min(len(rest) - 1, max(1, round(validation * len(rest))))]
        folds.append(_fold(epochs, number, tested, picked))
    picked_how = "the last pass counts" if selection == "last" else "checkpoint picked on validation subjects"
    label = f"{SUBJECT_WISE}, {count} folds: test subjects seen by nothing, {picked_how}"
    return FoldPlan(SUBJECT_WISE, tuple(folds), label, (), selection)


def _fold(epochs: EpochSet, number: int, tested: np.ndarray, validating: np.ndarray) -> Fold:
    test, validation = np.isin(epochs.subjects, tested), np.isin(epochs.subjects, validating)
    return Fold(
        number,
        np.flatnonzero(~test & ~validation),
        np.flatnonzero(validation),
        np.flatnonzero(test),
        _names(epochs, test),
    )


def _published(epochs: EpochSet, count: int) -> FoldPlan:
    """Equal runs of recordings in order; the rest is in no part at all; the test fold picks the checkpoint."""
    recordings = np.unique(epochs.recordings)
    size = len(recordings) // count
    if size < 1:
        raise SplitError(f"{count} published folds need as many recordings, got {len(recordings)}")
    used = recordings[: size * count]
    known = np.isin(epochs.recordings, used)
    folds = []
    for number in range(count):
        test = np.isin(epochs.recordings, used[number * size : (number + 1) * size])
        members = np.flatnonzero(test)
        folds.append(Fold(number, np.flatnonzero(known & ~test), members, members, _names(epochs, test)))
    left_out = recordings[size * count :]
    label = f"{PUBLISHED}, {count} folds by recording, checkpoint picked on the test fold (leaks; not a claim)"
    return FoldPlan(PUBLISHED, tuple(folds), label, _leaks(epochs, folds, left_out), "accuracy")


def _leaks(epochs: EpochSet, folds: list[Fold], left_out: np.ndarray) -> tuple[str, ...]:
    leaks = ["the checkpoint is the one with the best accuracy on the test fold itself"]
    shared = [f for f in folds if np.intersect1d(epochs.subjects[f.train], epochs.subjects[f.test]).size]
    if shared:
        leaks.append(
            f"folds are by recording: in {len(shared)} of {len(folds)} a tested person has another night in training"
        )
    if len(left_out):
        names = ", ".join(left_out[:5]) + (", ..." if len(left_out) > 5 else "")
        leaks.append(f"{len(left_out)} recordings beyond equal folds are left out ({names})")
    return tuple(leaks)


def _names(epochs: EpochSet, mask: np.ndarray) -> tuple[str, ...]:
    return tuple(np.unique(epochs.recordings[mask]).tolist())
