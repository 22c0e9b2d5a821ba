"""WFDB records with a photoplethysmogram and arterial pressure, as in MIMIC's waveform databases.

Labels come from the pressure, beat by beat; windows whose signals cannot be trusted are rejected and counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ...errors import DatasetError, RecordingError
from ..quality import LABELS, Rejections, labels_of_pressure, merged
from ..windows import WindowConfig, cut, prepare, starts_of
from ..windowset import PpgWindows, join, min_max
from .wfdb_header import Header, read_header, read_signals

PPG_NAMES = ("PLETH", "PPG", "PLETH L", "PLETH R")
ABP_NAMES = ("ABP", "ART", "AP", "IBP", "ABP1", "ART1", "BP")
_MIMIC_SUBJECT = re.compile(r"p\d{6,}")
_LAYOUT = "_layout"


def read_wfdb_folder(
    folder: Path | str,
    config: WindowConfig | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[PpgWindows, Rejections]:
    """Read every record of a folder and below.

    Parameters
    ----------
    folder : path
        With `.hea` files and what they name. The person is the folder's `pNNNNNN` as in MIMIC, else the folder that the
        record is in, else the record.
    config : WindowConfig, optional
        Filters, rate, length and stride of the windows.
    progress : callable, optional
        Called as progress(done, total, name) before each record.

    Returns
    -------
    windows : PpgWindows
        SBP, MAP, DBP and HR.
    rejections : Rejections
        Of all records together.

    Raises
    ------
    DatasetError
        When the folder does not exist, or holds no usable window.
    """
    folder, config = Path(folder), config or WindowConfig()
    if not folder.is_dir():
        raise DatasetError(f"data folder {folder} does not exist")
    records = _records_of(folder)
    if not records:
        raise DatasetError(f"data folder {folder} must hold WFDB records (.hea), got none")
    sets, skipped, counted = [], [], []
    for number, path in enumerate(records):
        if progress is not None:
            progress(number, len(records), path.stem)
        try:
            windows, rejections = read_wfdb_record(path, config, _subject_of(path, folder))
        except RecordingError as error:
            skipped.append(str(error))
            continue
        counted.append(rejections)
        if len(windows):
            sets.append(windows)
        else:
            skipped.append(f"{path.name}: {rejections}")
    return join(sets, folder.name, skipped), merged(counted)


def read_wfdb_record(path: Path | str, config: WindowConfig, subject: str) -> tuple[PpgWindows, Rejections]:
    """Read one record.

    Parameters
    ----------
    path : path
        Its `.hea` file.
    config : WindowConfig
        How windows are made; windows never span a gap.
    subject : str
        The person.

    Returns
    -------
    windows : PpgWindows
        Those that can be used, perhaps none.
    rejections : Rejections
        Why others cannot.

    Raises
    ------
    RecordingError
        When a file cannot be read, or there is no PPG or no arterial pressure.
    """
    path = Path(path)
    header = read_header(path)
    rejections = Rejections()
    kept, labels, onsets = [], [], []
    for start, ppg, pressure, rate in _stretches(header, path.parent):
        wave = prepare(np.nan_to_num(ppg), rate, config)
        pressures = _resampled(pressure, rate, len(wave), config.rate)
        starts = starts_of(len(wave), config)
        truths = cut(pressures, config)
        for place, window, truth in zip(starts, cut(wave, config), truths, strict=True):
            if _has_gap(ppg, rate, place, config):
                window = np.full_like(window, np.nan)
            values, reason = labels_of_pressure(window, truth, config.rate)
            if rejections.count(reason) and values is not None:
                kept.append(window)
                labels.append(values)
                onsets.append(start + place / config.rate)
    count = len(kept)
    return PpgWindows(
        signals=min_max(np.stack(kept)) if count else np.empty((0, config.samples), np.float32),
        labels=np.stack(labels) if count else np.empty((0, len(LABELS))),
        tasks=LABELS,
        subjects=np.full(count, subject),
        records=np.full(count, f"{subject}/{header.name}"),
        onsets=np.array(onsets, float),
        people=np.tile(_person(header), (count, 1)),
        rate=config.rate,
        name=header.name,
        notes=("labels from arterial pressure, beat by beat",),
    ), rejections


def _records_of(folder: Path) -> list[Path]:
    """Headers that are not a segment of another one in their folder."""
    headers = sorted(folder.rglob("*.hea"))
    segments = set()
    for path in headers:
        try:
            parts = read_header(path).segments
        except RecordingError:
            continue  # told when it is read
        segments |= {path.with_name(f"{name}.hea") for name, _ in parts}
    return [path for path in headers if path not in segments and not path.stem.endswith(_LAYOUT)]


def _subject_of(path: Path, root: Path) -> str:
    inside = path.relative_to(root).parts[:-1]
    for part in (*reversed(inside), path.stem, root.name):
        match = _MIMIC_SUBJECT.match(part)
        if match:
            return match.group()
    return inside[-1] if inside else path.stem


def _stretches(header: Header, folder: Path) -> Iterator[tuple[float, np.ndarray, np.ndarray, float]]:
    """Seconds from the start, PPG, pressure and rate of each segment that has both."""
    if not header.segments:
        found = _both(header)
        if found is None:
            names = [signal.name for signal in header.signals]
            raise RecordingError(
                f"{header.name}.hea must name a PPG ({', '.join(PPG_NAMES)}) and an arterial pressure "
                f"({', '.join(ABP_NAMES)}), got {names}"
            )
        yield (0.0, *read_signals(header, folder, list(found)), header.rate)
        return
    place, any_found = 0, False
    for name, length in header.segments:
        if name != "~" and length > 0:
            segment = read_header(folder / f"{name}.hea")
            found = _both(segment)
            if found is not None:
                any_found = True
                yield (place / header.rate, *read_signals(segment, folder, list(found)), segment.rate)
        place += length
    if not any_found:
        raise RecordingError(f"{header.name}.hea: no segment has both a PPG and an arterial pressure")


def _both(header: Header) -> tuple[int, int] | None:
    names = [signal.name.strip().upper() for signal in header.signals]
    ppg = next((names.index(name) for name in PPG_NAMES if name in names), None)
    abp = next((names.index(name) for name in ABP_NAMES if name in names), None)
    return None if ppg is None or abp is None else (ppg, abp)


def _resampled(pressure: np.ndarray, rate: float, count: int, wanted: float) -> np.ndarray:
    """Pressure at the windows' rate by straight lines; NaN stays NaN."""
    if rate == wanted:
        return pressure[:count]
    return np.interp(np.arange(count) / wanted, np.arange(len(pressure)) / rate, pressure)


def _has_gap(ppg: np.ndarray, rate: float, place: int, config: WindowConfig) -> bool:
    first = int(place / config.rate * rate)
    last = int(np.ceil((place + config.samples) / config.rate * rate))
    return not np.isfinite(ppg[first:last]).all()


def _person(header: Header) -> np.ndarray:
    """Age, sex, height and weight from comments such as "Age: 63  Sex: M", as many databases have them."""
    text = " ".join(header.comments)
    sex = re.search(r"<?(?:sex|gender)>?\s*:?\s*([MF])", text, re.IGNORECASE)
    male = np.nan if sex is None else float(sex.group(1).upper() == "M")
    return np.array([_number(text, "age"), male, _number(text, "height"), _number(text, "weight")])


def _number(text: str, name: str) -> float:
    found = re.search(rf"<?\b{name}>?\s*:?\s*(\d{{1,3}}(?:\.\d+)?)", text, re.IGNORECASE)
    return float(found.group(1)) if found else float("nan")
