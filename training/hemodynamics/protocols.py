"""Who trains, who validates, who is tested, and what the figure is worth.

``calibration-free`` (the default) tests people of whom nothing was ever seen. ``calibration-based`` tests later windows
of people whose earlier readings are known, as with a cuff at the start. ``random-segment`` deals windows out at random,
as many papers do: a tested person's neighbouring windows are in training, so that the figure speaks about nobody new.

No two windows that share samples are ever in different parts: those that would are left out and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import SplitError
from .windowset import PpgWindows, join

CALIBRATION_FREE = "calibration-free"
CALIBRATION_BASED = "calibration-based"
RANDOM_SEGMENT = "random-segment"
PROTOCOLS = (CALIBRATION_FREE, CALIBRATION_BASED, RANDOM_SEGMENT)
FRACTIONS = (0.6, 0.2, 0.2)
FEW = 20
"""Windows of a part below which figures mean nothing."""

_LABELS = {
    CALIBRATION_FREE: "calibration-free: test subjects seen by nothing, checkpoint picked on validation subjects",
    CALIBRATION_BASED: "calibration-based: earlier readings of the tested subjects are known",
    RANDOM_SEGMENT: "random-segment (leaky: windows of tested subjects are in training; not a claim)",
}


@dataclass(frozen=True)
class Division:
    """Indices of the windows of each part.

    Attributes
    ----------
    protocol : str
        One of `PROTOCOLS`.
    train, validation, test : numpy.ndarray
        int64 indices into the windows, ascending, disjoint.
    known : numpy.ndarray
        int64, windows whose readings a device may use for tested people: earlier ones of the same people. None of
        them is tested.
    label : str
        What must stand beside every figure.
    leaks : tuple of str
        A sentence for each thing that makes the figure too good, counted on these windows.
    dropped : int
        Windows in no part, because they share samples with one of another part.
    """

    protocol: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    known: np.ndarray
    label: str
    leaks: tuple[str, ...] = ()
    dropped: int = 0

    @property
    def generalises(self) -> bool:
        """Whether the figures speak about people of whom nothing was seen."""
        return self.protocol == CALIBRATION_FREE and not self.leaks


def divide(
    windows: PpgWindows,
    protocol: str = CALIBRATION_FREE,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Division:
    """Divide windows under a protocol.

    Parameters
    ----------
    windows : PpgWindows
        Subjects, records and onsets are used, never a signal or a label.
    protocol : str
        One of `PROTOCOLS`.
    seed : int
        Decides who goes where; `calibration-based` goes by time and does not use it.
    fractions : tuple of float
        Shares of train, validation and test, positive, summing to 1: of people (`calibration-free`), of each person's
        windows in time order (`calibration-based`), of windows (`random-segment`).

    Returns
    -------
    Division

    Raises
    ------
    SplitError
        An unknown protocol, shares that are none, or too few people or windows.
    """
    if protocol not in PROTOCOLS:
        raise SplitError(f"protocol must be one of {list(PROTOCOLS)}, got {protocol!r}")
    _check_fractions(fractions)
    if protocol == CALIBRATION_FREE:
        return _by_subject(windows, seed, fractions)
    parts = _by_time(windows, fractions) if protocol == CALIBRATION_BASED else _at_random(windows, seed, fractions)
    kept = _without_straddling(windows, parts)
    if any(not (kept == part).any() for part in range(3)):
        raise SplitError(
            f"{protocol} leaves a part of {len(windows)} windows of {len(np.unique(windows.subjects))} subjects empty; "
            "it needs at least 3 windows of a subject that share no samples"
        )
    train, validation, test = (np.flatnonzero(kept == part) for part in range(3))
    leaks = _leaks(windows, train, test) if protocol == RANDOM_SEGMENT else ()
    known = np.flatnonzero(np.isin(windows.subjects, windows.subjects[test]) & (kept == 0))
    if protocol == RANDOM_SEGMENT:
        known = known[:0]
    return Division(protocol, train, validation, test, known, _LABELS[protocol], leaks, int((kept < 0).sum()))


def few_windows(train: int, validation: int, test: int) -> str | None:
    """Say what a handful of windows is good for; None where there are more.

    Parameters
    ----------
    train, validation, test : int
        Windows of each part.
    """
    if min(train, test) >= FEW and validation >= FEW // 2:
        return None
    return (
        f"{train} windows train, {validation} validate, {test} are tested: enough to see that every step works, too "
        f"few for any figure to mean something (below {FEW}, one window moves them all)"
    )


def from_parts(train: PpgWindows, test: PpgWindows, protocol: str, seed: int = 0) -> tuple[PpgWindows, Division]:
    """Join two sets that somebody else divided, or two data sets, and say how they may be used.

    A quarter of the people of `train` validate. With the same people in both sets, the protocol must say so.

    Parameters
    ----------
    train, test : PpgWindows
        With the same tasks, rate and length.
    protocol : str
        `calibration-free` or `calibration-based`.
    seed : int
        Decides who validates.

    Returns
    -------
    windows : PpgWindows
        Both, `train` first.
    division : Division

    Raises
    ------
    SplitError
        When people are in both sets of a `calibration-free` division, in neither of a `calibration-based` one, or
        there are fewer than two to train.
    """
    both = join([train, test], f"{train.name} to {test.name}" if train.name != test.name else train.name)
    shared = np.intersect1d(train.subjects, test.subjects)
    if protocol not in (CALIBRATION_FREE, CALIBRATION_BASED):
        raise SplitError(f"sets that are divided already take calibration-free or calibration-based, got {protocol!r}")
    if protocol == CALIBRATION_FREE and len(shared):
        raise SplitError(f"calibration-free takes no subject in both sets, got {len(shared)}, {shared[0]} among them")
    if protocol == CALIBRATION_BASED and not len(shared):
        raise SplitError("calibration-based needs subjects that are in both sets, got none")
    people = np.random.default_rng(seed).permutation(np.unique(train.subjects))
    if len(people) < 2:
        raise SplitError(f"training needs at least 2 subjects, one of them to validate, got {len(people)}")
    validating = np.isin(train.subjects, people[: max(1, round(len(people) / 4))])
    count = len(train)
    known = np.flatnonzero(np.isin(train.subjects, shared))
    division = Division(
        protocol,
        np.flatnonzero(~validating),
        np.flatnonzero(validating),
        np.arange(count, count + len(test)),
        known,
        _LABELS[protocol] + (f"; trained on {train.name}, tested on {test.name}" if train.name != test.name else ""),
    )
    return both, division


def _check_fractions(fractions: tuple[float, float, float]) -> None:
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise SplitError(
            f"fractions must be three positive shares (train, validation, test) that sum to 1, got {fractions}"
        )


def _by_subject(windows: PpgWindows, seed: int, fractions: tuple[float, float, float]) -> Division:
    people = np.unique(windows.subjects)
    if len(people) < 3:
        raise SplitError(
            f"{CALIBRATION_FREE} needs at least 3 subjects (training, validation and test are different people), "
            f"got {len(people)}"
        )
    order = np.random.default_rng(seed).permutation(people)
    sizes = _sizes(len(order), fractions)
    pieces = np.split(order, np.cumsum(sizes)[:2])
    parts = [np.flatnonzero(np.isin(windows.subjects, piece)) for piece in pieces]
    leaks = () if windows.subjects_known else (
        "the file does not say whose windows these are: each counts as a person of its own, so that one person may be "
        "in training and test",
    )  # fmt: skip
    return Division(CALIBRATION_FREE, *parts, np.empty(0, np.int64), _LABELS[CALIBRATION_FREE], leaks)


def _sizes(count: int, fractions: tuple[float, float, float]) -> tuple[int, int, int]:
    """Whole sizes near the fractions, each at least 1."""
    validation, test = max(1, round(count * fractions[1])), max(1, round(count * fractions[2]))
    while validation + test > count - 1:
        validation, test = (validation - 1, test) if validation > test else (validation, test - 1)
    return count - validation - test, validation, test


def _by_time(windows: PpgWindows, fractions: tuple[float, float, float]) -> np.ndarray:
    """Part of each window: each person's first windows train, the last are tested; too few of them train."""
    parts = np.zeros(len(windows), np.int64)
    for subject in np.unique(windows.subjects):
        members = np.flatnonzero(windows.subjects == subject)
        times = np.unique(windows.onsets[members])
        if len(times) < 3:
            continue
        sizes = _sizes(len(times), fractions)
        part_of_time = np.repeat(np.arange(3), sizes)
        parts[members] = part_of_time[np.searchsorted(times, windows.onsets[members])]
    return parts


def _at_random(windows: PpgWindows, seed: int, fractions: tuple[float, float, float]) -> np.ndarray:
    if len(windows) < 3:
        raise SplitError(f"{RANDOM_SEGMENT} needs at least 3 windows, got {len(windows)}")
    places = np.random.default_rng(seed).permutation(len(windows))
    parts = np.empty(len(windows), np.int64)
    parts[places] = np.repeat(np.arange(3), _sizes(len(windows), fractions))
    return parts


def _without_straddling(windows: PpgWindows, parts: np.ndarray) -> np.ndarray:
    """Return parts with -1 for windows that share samples with one of a later part (test is the last)."""
    kept = parts.copy()
    keys = np.unique(windows.records, return_inverse=True)[1]
    order = np.lexsort((windows.onsets, keys))
    tolerance = 0.5 / windows.rate
    for place, index in enumerate(order):
        for other in order[place + 1 :]:
            if keys[other] != keys[index]:
                break
            if windows.onsets[other] - windows.onsets[index] > windows.seconds - tolerance:
                break
            if parts[other] != parts[index]:
                kept[index if parts[index] < parts[other] else other] = -1
    return kept


def _leaks(windows: PpgWindows, train: np.ndarray, test: np.ndarray) -> tuple[str, ...]:
    seen = np.isin(windows.subjects[test], windows.subjects[train])
    return (f"{int(seen.sum())} of {len(test)} tested windows are of people who are in training",)
