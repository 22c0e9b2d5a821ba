"""PPG-BP (Liang et al. 2018, Sci Data 5:180020): 219 people, three fingertip segments of 2.1 s at 1 kHz each.

There is one cuff reading of each person. Read from the published folder (`PPG-BP dataset.xlsx` and a folder of text
files `ID_N.txt`), or from one `.npz` file with the arrays `ppg`, `fs`, `subject`, `sbp`, `dbp`, `hr`, `age`, `sex`;
height and weight then come from the spreadsheet beside it, where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import RecordingError
from ..windows import WindowConfig, continue_periodically, prepare
from ..windowset import PpgWindows, blank_people, join, min_max
from .arrays import load_arrays
from .xlsx import read_sheet

NAME = "PPG-BP"
TASKS = ("SBP", "DBP", "HR")
RATE = 1000.0
SEGMENT = re.compile(r"^(\d+)_(\d)$")
_SEXES = {"m": 1.0, "f": 0.0}
_LEAST_SECONDS = 1.0
_FIELDS = ("ppg", "subject", "sbp", "dbp", "hr", "age", "sex")
_COLUMNS = {
    "subject": "subject id", "sex": "sex", "age": "age", "height": "height", "weight": "weight",
    "sbp": "systolic", "dbp": "diastolic", "hr": "heart rate",
}  # fmt: skip


def read_ppg_bp(path: Path | str, config: WindowConfig | None = None) -> PpgWindows:
    """Read the data set.

    Parameters
    ----------
    path : path
        The folder as published, or a folder with `ppg_bp.npz`, or that file.
    config : WindowConfig, optional
        Filters, rate and length of a window.

    Returns
    -------
    PpgWindows
        One window for each segment, in which its whole beats are repeated (2.1 s hold two or three); SBP, DBP and HR.
        The three segments of a person are records of their own without a common clock; they share the one reading, so
        that there is no earlier one.

    Raises
    ------
    RecordingError
        When the folder is not PPG-BP.
    """
    path, config = Path(path), config or WindowConfig()
    table = _table_of(path)
    height, weight = table.get("height"), table.get("weight")
    windows, rows, skipped = [], [], []
    for row, segment in enumerate(table["ppg"]):
        window, reason = _window_of(np.asarray(segment, float), float(table["fs"]), config)
        if window is None:
            skipped.append(f"{NAME} subject {table['subject'][row]}, segment {row}: {reason}")
            continue
        windows.append(window)
        rows.append(row)
    if not windows:
        return join([], NAME, skipped)
    rows_ = np.array(rows)
    people = blank_people(len(rows))
    people[:, 0] = np.asarray(table["age"], float)[rows_]
    people[:, 1] = [_SEXES.get(str(sex).strip().lower()[:1], np.nan) for sex in np.asarray(table["sex"])[rows_]]
    for column, known in ((2, height), (3, weight)):
        if known is not None:
            people[:, column] = np.asarray(known, float)[rows_]
    subjects = np.char.mod("%03d", np.asarray(table["subject"], int)[rows_])
    return PpgWindows(
        signals=min_max(np.stack(windows)),
        labels=np.stack([np.asarray(table[name], float)[rows_] for name in ("sbp", "dbp", "hr")], axis=1),
        tasks=TASKS,
        subjects=subjects,
        records=np.char.add(subjects, np.char.mod("/%d", _numbers(subjects))),
        onsets=np.zeros(len(rows)),
        people=people,
        rate=config.rate,
        name=NAME,
        skipped=tuple(skipped),
        notes=(
            f"segments of 2.1 s are continued to {config.seconds:g} s by repeating their whole beats",
            "one cuff reading per person, shared by its segments: nobody has an earlier one",
        ),
    )


def _window_of(segment: np.ndarray, rate: float, config: WindowConfig) -> tuple[np.ndarray | None, str]:
    """A window of a segment, or None and why there is none."""
    if len(segment) < _LEAST_SECONDS * rate:
        return None, f"{len(segment) / rate:.2g} s hold no two whole beats"
    if not np.isfinite(segment).all():
        return None, f"{int((~np.isfinite(segment)).sum())} of {len(segment)} samples are missing"
    return continue_periodically(prepare(segment, rate, config), config.samples, config.rate), "no two whole beats"


def _numbers(subjects: np.ndarray) -> np.ndarray:
    """Number of each segment among those of its person, from 1."""
    return np.array([int((subjects[:row] == name).sum()) + 1 for row, name in enumerate(subjects)])


def _table_of(path: Path) -> Mapping[str, Any]:
    if path.is_dir() and (path / "ppg_bp.npz").is_file():
        path = path / "ppg_bp.npz"
    if path.is_dir():
        return _published(path)
    table = load_arrays(path)
    _check_table(table, path)
    _add_bodies(table, path.parent)
    return {"fs": RATE, **table}


def _check_table(table: Mapping[str, np.ndarray], path: Path) -> None:
    """Refuse arrays that are missing, of another length, or no numbers."""
    missing = [name for name in _FIELDS if name not in table]
    if missing:
        raise RecordingError(f"{path} must hold the arrays {list(_FIELDS)}, got none of the name {missing[0]!r}")
    rate = table.get("fs", np.array(RATE))
    if rate.shape != () or rate.dtype.kind not in "fiu" or not rate > 0:
        raise RecordingError(f"{path}: fs must be one positive number of samples per second, got {rate.tolist()!r}")
    count = len(table["ppg"]) if table["ppg"].ndim == 2 else -1
    for name in _FIELDS:
        array, shape = table[name], "(segments, samples)" if name == "ppg" else f"({max(count, 0)},)"
        if array.ndim != (2 if name == "ppg" else 1) or len(array) != count:
            raise RecordingError(f"{path}: {name} must have the shape {shape}, got {array.shape}")
        if name != "sex" and array.dtype.kind not in ("iu" if name == "subject" else "fiu"):
            kind = "whole numbers" if name == "subject" else "numbers"
            raise RecordingError(f"{path}: {name} must be {kind}, got {array.dtype}")


def _add_bodies(table: dict[str, Any], folder: Path) -> None:
    """Height and weight from a spreadsheet of the same people."""
    people = next((found for found in map(_people_of, _sheets(folder.glob("*.xlsx"))) if found), None)
    if people and "subject" in table:
        for name in ("height", "weight"):
            values = [people.get(int(subject), {}).get(name, "nan") for subject in table["subject"]]
            table.setdefault(name, np.array(values, float))


def _sheets(found: Iterable[Path]) -> list[Path]:
    """Spreadsheets without the lock files that an open one leaves beside it."""
    return sorted(path for path in found if not path.name.startswith(("~$", ".")))


def _published(folder: Path) -> dict[str, Any]:
    """The spreadsheet of people, and one text file of samples per segment."""
    sheets = _sheets(folder.rglob("*.xlsx"))
    files = sorted(path for path in folder.rglob("*.txt") if SEGMENT.match(path.stem))
    if not sheets or not files:
        raise RecordingError(
            f"{folder} must hold PPG-BP's spreadsheet and its segments (N_1.txt to N_3.txt), got {len(sheets)} .xlsx "
            f"and {len(files)} segments"
        )
    people = next((found for found in map(_people_of, sheets) if found), None)
    if people is None:
        raise RecordingError(f"{folder}: no spreadsheet has PPG-BP's columns {sorted(_COLUMNS.values())}")
    rows: dict[str, list[Any]] = {name: [] for name in ("ppg", *_COLUMNS)}
    for path in files:
        subject = int(path.stem.split("_")[0])
        if subject not in people:
            continue
        try:
            rows["ppg"].append(np.array(path.read_text(encoding="utf-8").split(), float))
        except (OSError, ValueError) as error:
            raise RecordingError(f"{path} must be numbers ({error})") from None
        for name in _COLUMNS:
            rows[name].append(people[subject][name])
    return {**rows, "fs": RATE}


def _people_of(path: Path) -> dict[int, dict[str, Any]] | None:
    """Rows of the spreadsheet by number of the person; None where it is another spreadsheet."""
    rows = read_sheet(path)
    for place, row in enumerate(rows):
        titles = [str(cell).strip().lower().replace("_", " ") for cell in row]
        columns = {name: next((i for i, title in enumerate(titles) if title.startswith(start)), -1)
                   for name, start in _COLUMNS.items()}  # fmt: skip
        if min(columns.values()) >= 0:
            whole = [line for line in rows[place + 1 :] if len(line) > max(columns.values())]
            people = [{name: line[column] for name, column in columns.items()} for line in whole]
            known = [line for line in people if all(line.values()) and _are_numbers(line)]
            return {int(float(line["subject"])): line for line in known}
    return None


def _are_numbers(line: Mapping[str, str]) -> bool:
    """Whether a row holds numbers where it should, which a footnote below the table does not."""
    try:
        return all(np.isfinite(float(value)) for name, value in line.items() if name != "sex")
    except ValueError:
        return False
