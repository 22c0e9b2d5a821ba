"""The published format: `ppg.npy` (N, 1250) at 125 Hz and `labels.npy` (N, tasks), and who the windows are of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import DatasetError, RecordingError
from ..tasks import NAMES, check_tasks, task_of
from ..windowset import PEOPLE, RATE, SAMPLES, PpgWindows, blank_people, min_max
from .arrays import load_array

USUAL_TASKS = {1: ("SBP",), 2: ("SBP", "DBP"), 3: ("SBP", "MAP", "DBP"), 4: ("SBP", "MAP", "DBP", "HR"), 10: NAMES}
"""Meaning of so many columns, where nobody names them."""

PRESSURES = ("SBP", "MAP", "DBP")
"""From high to low."""

PPG_FILE, LABELS_FILE, SUBJECTS_FILE, PEOPLE_FILE = "ppg.npy", "labels.npy", "subjects.npy", "people.npy"


def read_npy_pair(
    ppg: Path | str,
    labels: Path | str,
    tasks: Sequence[str] | None = None,
    subjects: Path | str | None = None,
    people: Path | str | None = None,
) -> PpgWindows:
    """Read windows and labels.

    Parameters
    ----------
    ppg : path
        Numbers, shape (N, 1250), at 125 Hz.
    labels : path
        Numbers, shape (N, tasks), in the units of :mod:`~thumbnet.training.hemodynamics.tasks`.
    tasks : sequence of str, optional
        Names of the columns; default: 2 columns are SBP and DBP, 3 with MAP between, 10 all.
    subjects, people : path, optional
        Shape (N,), whose window each is, and (N, 4): age, 1 for men, height, weight. Default: `subjects.npy` and
        `people.npy` beside the labels where they are, else every window is a person of its own.

    Returns
    -------
    PpgWindows
        Normalised anew. Windows of one subject count as consecutive.

    Raises
    ------
    RecordingError
        When a file is missing or no array.
    DatasetError
        When arrays do not fit together, windows hold NaN or nothing but flat lines, or labels cannot be what their
        columns are named. NaN is a label that was not measured.
    """
    ppg, labels = Path(ppg), Path(labels)
    signals, values = _load(ppg, "numbers"), _load(labels, "numbers")
    values = values[:, None] if values.ndim == 1 else values
    if signals.ndim != 2 or signals.shape[1] != SAMPLES:
        raise DatasetError(f"{ppg} must have the shape (windows, {SAMPLES}), got {signals.shape}")
    if not len(signals):
        raise DatasetError(f"{ppg} holds no window")
    if values.ndim != 2 or len(values) != len(signals):
        raise DatasetError(
            f"{labels} must have a row for each of the {len(signals)} windows of {ppg.name}, got {values.shape}"
        )
    names = _names(labels, values.shape[1], tasks)
    flat = _check_signals(ppg, signals)
    _check_labels(labels, names, values)
    whose = _subjects(_beside(subjects, labels, SUBJECTS_FILE), len(signals))
    table = _people(_beside(people, labels, PEOPLE_FILE), len(signals))
    known = whose is not None
    who = whose if whose is not None else np.char.mod("window %06d", np.arange(len(signals)))
    return PpgWindows(
        signals=min_max(signals.astype(float)),
        labels=values.astype(float),
        tasks=names,
        subjects=who,
        records=who,
        onsets=_consecutive(who) * SAMPLES / RATE,
        people=blank_people(len(signals)) if table is None else table,
        name=ppg.parent.name or ppg.stem,
        subjects_known=known,
        notes=(*(() if known else ("the file does not say whose windows these are",)),
               *((f"{flat} of {len(signals)} windows are flat",) if flat else ())),
    )  # fmt: skip


def write_npy_pair(windows: PpgWindows, folder: Path | str) -> tuple[Path, Path]:
    """Write windows as `ppg.npy`, `labels.npy`, `subjects.npy` and `people.npy` and return the first two."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / PPG_FILE, windows.signals)
    np.save(folder / LABELS_FILE, windows.labels)
    np.save(folder / SUBJECTS_FILE, windows.subjects)
    np.save(folder / PEOPLE_FILE, windows.people)
    return folder / PPG_FILE, folder / LABELS_FILE


def _load(path: Path, kind: str) -> np.ndarray:
    array = load_array(path)
    if kind == "numbers" and array.dtype.kind not in "fiu":
        raise RecordingError(f"{path} must be an array of numbers, got {array.dtype}")
    return array


def _check_signals(path: Path, signals: np.ndarray) -> int:
    """Refuse what is no signal; returns how many windows are flat."""
    if not np.isfinite(signals).all():
        others = ~np.isfinite(signals)
        raise DatasetError(
            f"{path} must hold finite numbers, got {int(others.sum())} others in {int(others.any(axis=1).sum())} of "
            f"{len(signals)} windows"
        )
    flat = int((np.ptp(signals, axis=1) == 0).sum())
    if flat == len(signals):
        raise DatasetError(f"{path} must hold pulses, got {flat} flat windows and no other")
    return flat


def _check_labels(path: Path, names: Sequence[str], values: np.ndarray) -> None:
    """Refuse columns that are empty, or in another unit or order than their names say."""
    if np.isinf(values).any():
        raise DatasetError(f"{path} must hold finite labels, NaN where there is none, got infinity")
    for name, column in zip(names, values.T, strict=True):
        known, task = column[np.isfinite(column)], task_of(name)
        if not len(known):
            raise DatasetError(f"{path} holds no label of {name}: its column is NaN from end to end")
        middle = float(np.median(known))
        if not task.low <= middle <= task.high:
            raise DatasetError(
                f"{path}: {name} must be in {task.unit}, {task.low:g} to {task.high:g}, got a median of {middle:g}; "
                "the unit or the order of the columns (--tasks) is another one"
            )
    for above, below in itertools.pairwise([name for name in PRESSURES if name in names]):
        higher, lower = values[:, names.index(above)], values[:, names.index(below)]
        known = np.isfinite(higher) & np.isfinite(lower)
        if known.any() and (higher <= lower)[known].mean() > 0.5:
            raise DatasetError(
                f"{path}: {above} must lie above {below}, but does not in {int((higher <= lower)[known].sum())} of "
                f"{int(known.sum())} windows; name the columns in their order (--tasks)"
            )


def _names(labels: Path, columns: int, tasks: Sequence[str] | None) -> tuple[str, ...]:
    names = USUAL_TASKS.get(columns) if tasks is None else check_tasks(tasks)
    if names is None:
        raise DatasetError(
            f"{labels} has {columns} columns; name them (--tasks), as only {sorted(USUAL_TASKS)} are known"
        )
    if len(names) != columns:
        raise DatasetError(f"{labels} has {columns} columns, got the names {list(names)}")
    return names


def _beside(given: Path | str | None, labels: Path, name: str) -> Path | None:
    beside = labels.with_name(name)
    return Path(given) if given is not None else beside if beside.is_file() else None


def _subjects(path: Path | None, count: int) -> np.ndarray | None:
    if path is None:
        return None
    array = _load(path, "names")
    if array.shape != (count,) or array.dtype.kind not in "iuUS":
        raise DatasetError(f"{path} must name a subject for each of {count} windows, got {array.dtype} {array.shape}")
    return array.astype(str)


def _people(path: Path | None, count: int) -> np.ndarray | None:
    if path is None:
        return None
    array = _load(path, "numbers")
    if array.shape != (count, len(PEOPLE)):
        raise DatasetError(
            f"{path} must have the shape {(count, len(PEOPLE))} ({', '.join(PEOPLE)}), got {array.shape}"
        )
    return array.astype(float)


def _consecutive(who: np.ndarray) -> np.ndarray:
    """Number of each window among those of its person."""
    order = np.argsort(who, kind="stable")
    _, starts, counts = np.unique(who[order], return_index=True, return_counts=True)
    number = np.empty(len(who))
    number[order] = np.arange(len(who)) - np.repeat(starts, counts)
    return number
