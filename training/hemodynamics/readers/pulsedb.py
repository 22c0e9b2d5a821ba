"""PulseDB (Wang et al. 2023, Front Digit Health 4:1090854): its subset files, as `Generate_Subsets.m` writes them.

`Train_Subset.mat`, `CalFree_Test_Subset.mat`, `CalBased_Test_Subset.mat`, `AAMI_Test_Subset.mat` and
`AAMI_Cal_Subset.mat`, or those of VitalDB alone with `VitalDB_` before the name, are MATLAB 7.3 files (HDF5). They hold
10-s segments of ECG, PPG (filtered) and arterial pressure at 125 Hz.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError, DatasetError, RecordingError
from ..protocols import CALIBRATION_BASED, CALIBRATION_FREE, Division, from_parts
from ..windowset import RATE, SAMPLES, PpgWindows, min_max

NAME = "PulseDB"
SUBSETS = {
    "train": "Train_Subset.mat",
    "calfree": "CalFree_Test_Subset.mat",
    "calbased": "CalBased_Test_Subset.mat",
    "aami": "AAMI_Test_Subset.mat",
    "aami-cal": "AAMI_Cal_Subset.mat",
}
TESTS = {"calfree": CALIBRATION_FREE, "calbased": CALIBRATION_BASED, "aami": CALIBRATION_FREE}
"""Subset that is tested -> protocol of its figures."""

TASKS = ("SBP", "MAP", "DBP")
_COLUMNS = ("Subject", "Gender", "SBP", "DBP", "Age", "Height", "Weight")
_PPG, _ABP = 1, 2  # rows of a segment
_CHUNK = 4096


def read_pulsedb(folder: Path | str, subset: str = "train", limit: int | None = None) -> PpgWindows:
    """Read one subset.

    Parameters
    ----------
    folder : path
        Where the subset files are (those of all data before those of VitalDB alone), or one of the files.
    subset : str
        One of `SUBSETS`.
    limit : int, optional
        Windows at most, evenly taken from the file; the whole training set needs some 5 GB.

    Returns
    -------
    PpgWindows
        SBP and DBP as published, MAP as the mean of the arterial pressure. Subset files carry no times: onsets say the
        order within a person only.

    Raises
    ------
    ConfigError
        When there is no such subset.
    RecordingError
        When the file is missing or is none of PulseDB's.
    """
    if subset not in SUBSETS:
        raise ConfigError(f"subset must be one of {list(SUBSETS)}, got {subset!r}")
    path = _find(Path(folder), subset)
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path, subset, limit)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise RecordingError(f"{path} is no subset file of PulseDB, or damaged ({error})") from None


def official_division(
    folder: Path | str, test: str = "calfree", limit: int | None = None, seed: int = 0
) -> tuple[PpgWindows, Division]:
    """Return training and one test subset together, divided as PulseDB divides them.

    Parameters
    ----------
    folder : path
        Where the subset files are.
    test : str
        "calfree", "calbased" or "aami".
    limit : int, optional
        Windows of each subset at most.
    seed : int
        Decides which quarter of the training people validates.

    Returns
    -------
    windows, division
    """
    if test not in TESTS:
        raise ConfigError(f"tested subset must be one of {list(TESTS)}, got {test!r}")
    return from_parts(read_pulsedb(folder, "train", limit), read_pulsedb(folder, test, limit), TESTS[test], seed)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise RecordingError("PulseDB's files need h5py: pip install 'thumbnet[train]'") from None
    return h5py


def _find(folder: Path, subset: str) -> Path:
    if folder.is_file():
        return folder
    for prefix in ("", "VitalDB_"):
        found = sorted(folder.rglob(prefix + SUBSETS[subset]))
        if found:
            return found[0]
    raise RecordingError(f"{folder} must hold {SUBSETS[subset]} or VitalDB_{SUBSETS[subset]}, got neither")


def _read(file: Any, path: Path, subset: str, limit: int | None) -> PpgWindows:
    table = file["Subset"]
    signals = table["Signals"]  # MATLAB's (N, 3, 1250), its axes reversed
    if signals.ndim != 3 or signals.shape[:2] != (SAMPLES, 3):
        raise RecordingError(f"{path} must hold signals of the shape (N, 3, {SAMPLES}), got {signals.shape[::-1]}")
    count = signals.shape[2]
    if not count:
        raise DatasetError(f"{path} holds no segment")
    _check_columns(table, path, count)
    chosen = np.unique(np.linspace(0, count - 1, min(limit or count, count)).astype(np.int64))
    ppg = np.empty((len(chosen), SAMPLES), np.float32)
    mean = np.empty(len(chosen))
    for start in range(0, count, _CHUNK):
        rows = np.flatnonzero((chosen >= start) & (chosen < start + _CHUNK))
        if len(rows):
            block = signals[:, _PPG:, start : start + _CHUNK][:, :, chosen[rows] - start]
            ppg[rows] = min_max(block[:, 0].T)
            mean[rows] = block[:, 1].mean(axis=0)
    subjects = np.array(_texts(file, table["Subject"]))[chosen]
    labels = np.stack([_column(table, "SBP")[chosen], mean, _column(table, "DBP")[chosen]], axis=1)
    return PpgWindows(
        signals=ppg,
        labels=labels,
        tasks=TASKS,
        subjects=subjects,
        records=np.char.add(f"{subset}:", subjects),
        onsets=_order_within(subjects) * SAMPLES / RATE,
        people=_people(file, table, chosen),
        name=f"{NAME} {path.stem.removesuffix('_Subset')}",
        notes=("PPG as filtered by PulseDB (not causally); MAP is the mean of the arterial pressure",
               f"{len(chosen)} of {count} segments of {path.name}"),
    )  # fmt: skip


def _check_columns(table: Any, path: Path, count: int) -> None:
    """Refuse a subset whose columns are missing or of another length than its signals."""
    for name in _COLUMNS:
        if name not in table:
            raise RecordingError(f"{path} must hold the column {name!r}, got {sorted(table)}")
        if table[name].size != count:
            raise RecordingError(
                f"{path}: {name} must have an entry for each of {count} segments, got {table[name].size}"
            )


def _column(table: Any, name: str) -> np.ndarray:
    return np.asarray(table[name], float).reshape(-1)


def _people(file: Any, table: Any, chosen: np.ndarray) -> np.ndarray:
    sexes = np.array([text[:1].upper() for text in _texts(file, table["Gender"])])[chosen]
    male = np.where(sexes == "M", 1.0, np.where(sexes == "F", 0.0, np.nan))
    columns = {name: _column(table, name)[chosen] for name in ("Age", "Height", "Weight")}
    return np.stack([columns["Age"], male, columns["Height"], columns["Weight"]], axis=1)


def _texts(file: Any, cells: Any) -> list[str]:
    """A MATLAB cell array of strings: references to arrays of UTF-16 code units."""
    known: dict[Any, str] = {}
    texts = []
    for reference in np.asarray(cells).reshape(-1):
        if reference not in known:
            units = np.asarray(file[reference]).reshape(-1)
            known[reference] = "".join(chr(int(unit)) for unit in units if unit)
        texts.append(known[reference])
    return texts


def _order_within(subjects: np.ndarray) -> np.ndarray:
    order = np.argsort(subjects, kind="stable")
    _, starts, counts = np.unique(subjects[order], return_index=True, return_counts=True)
    number = np.empty(len(subjects))
    number[order] = np.arange(len(subjects)) - np.repeat(starts, counts)
    return number
