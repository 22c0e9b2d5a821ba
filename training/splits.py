"""Leak-free division of epochs into train, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .epochs import EpochSet
from .errors import SplitError

SUBJECT_WISE = "subject-wise"
WITHIN_RECORDING = "time-within-recording (no generalisation claim)"
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Indices of the epochs of each part, and the protocol every figure must be labelled with.

    Attributes
    ----------
    train, validation, test : numpy.ndarray
        int64 indices into the EpochSet, ascending, disjoint; together they hold every epoch.
    protocol : str
        `SUBJECT_WISE` or `WITHIN_RECORDING`.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    protocol: str

    @property
    def generalises(self) -> bool:
        """Whether test figures speak about people the network has not seen."""
        return self.protocol == SUBJECT_WISE


def subject_split(epochs: EpochSet, seed: int = 0, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)) -> Split:
    """Divide epochs by person; with fewer than three persons, by time within each recording.

    No person is ever in two parts. With fewer than three persons that is impossible: each recording is then
    cut into contiguous blocks of time, and the protocol says that no claim about other people follows. The
    blocks come in the order train, validation, test unless another rotation of them (a block may then wrap
    around the end) puts more classes in train; the labels' presence, never a score, decides.

    Parameters
    ----------
    epochs : EpochSet
        At least three epochs.
    seed : int
        Decides which persons go where; the division by time does not use it.
    fractions : tuple of float
        Shares of train, validation and test, positive, summing to 1. Every part gets at least one person (or
        one epoch of each recording that has three).

    Returns
    -------
    Split

    Raises
    ------
    SplitError
        When the fractions are not shares, or there are fewer than three epochs.
    """
    _check_fractions(fractions)
    subjects = np.unique(epochs.subjects)
    if len(subjects) >= 3:
        order = np.random.default_rng(seed).permutation(subjects)
        pieces = np.split(order, np.cumsum(_sizes(len(order), fractions))[:2])
        parts = [np.flatnonzero(np.isin(epochs.subjects, piece)) for piece in pieces]
        return Split(*parts, protocol=SUBJECT_WISE)
    return Split(*_time_blocks(epochs, fractions), protocol=WITHIN_RECORDING)


def _check_fractions(fractions: tuple[float, float, float]) -> None:
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise SplitError(
            f"fractions must be three positive shares (train, validation, test) that sum to 1, got {fractions}"
        )


def _sizes(count: int, fractions: tuple[float, float, float]) -> tuple[int, int, int]:
    """Whole sizes near the fractions: validation and test get at least 1, train at least 1."""
    validation = max(1, round(count * fractions[1]))
    test = max(1, round(count * fractions[2]))
    while validation + test > count - 1:
        validation, test = (validation - 1, test) if validation > test else (validation, test - 1)
    return count - validation - test, validation, test


def _time_blocks(epochs: EpochSet, fractions: tuple[float, float, float]) -> list[np.ndarray]:
    parts: list[list[np.ndarray]] = [[], [], []]
    for recording in np.unique(epochs.recordings):
        members = np.flatnonzero(epochs.recordings == recording)
        members = members[np.argsort(epochs.onsets[members], kind="stable")]
        if len(members) < 3:
            parts[0].append(members)
            continue
        places = _best_rotation(epochs.labels[members], _sizes(len(members), fractions))
        for part, chosen in enumerate(parts):
            chosen.append(members[places == part])
    if not parts[1]:
        raise SplitError(
            f"a split by time needs a recording of at least 3 epochs, got {len(epochs)} epochs "
            f"in {len(np.unique(epochs.recordings))} recordings"
        )
    return [np.sort(np.concatenate(chosen)) for chosen in parts]


def _best_rotation(labels: np.ndarray, sizes: tuple[int, int, int]) -> np.ndarray:
    """Return the part (0, 1, 2) of each epoch: the rotation with most classes in train, then in test.

    The plain order wins ties, then the smallest rotation.
    """
    plain = np.repeat(np.arange(3), sizes)
    best, best_score = plain, (-1, -1)
    for shift in range(len(labels)):
        places = np.roll(plain, shift)
        score = (len(np.unique(labels[places == 0])), len(np.unique(labels[places == 2])))
        if score > best_score:
            best, best_score = places, score
    return best
