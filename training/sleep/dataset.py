"""A folder of recordings: which files belong together, who slept, what could not be used."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..epochs import EpochSet, concatenate
from ..errors import DatasetError, RecordingError
from .config import SignalConfig
from .recording import Night, read_night

__all__ = ["RecordingFiles", "SignalConfig", "find_recordings", "load_folder", "read_night_of", "subject_of"]

DATA_FILE = "thumbnet-data.json"
"""What `thumbnet data fetch` leaves beside the recordings: source, licence, checksums, lights off."""

_HYPNOGRAM = re.compile(r"[-_ ]?hypnogram$", re.IGNORECASE)
_PSG = re.compile(r"[-_ ]?psg$", re.IGNORECASE)
_SLEEP_EDF = re.compile(r"^((?:SC4|ST7)\d\d)\d[A-Z]", re.IGNORECASE)


@dataclass(frozen=True)
class RecordingFiles:
    """One recording: its signals, its hypnogram file (None where the signals bring their own), its names.

    `lights_off` is a clock time from the data set's own table, `sha1` maps file names to what they must hash to.
    """

    signals: Path
    hypnogram: Path | None
    subject: str
    recording: str
    lights_off: str | None = None
    sha1: tuple[tuple[str, str], ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Both files, or the one that there is."""
        return (self.signals,) if self.hypnogram is None else (self.signals, self.hypnogram)


def subject_of(name: str) -> str:
    """Return the person behind a file name.

    Sleep-EDF's `SC4ssNE0-PSG` and `ST7ssNJ0-PSG` give `SC4ss` and `ST7ss`: ss is the subject and N the night,
    so two nights share the person. Any other name is its own person.
    """
    match = _SLEEP_EDF.match(name)
    return match.group(1).upper() if match else _PSG.sub("", name)


def find_recordings(folder: Path | str, config: SignalConfig | None = None) -> tuple[list[RecordingFiles], list[str]]:
    """Find the recordings in a folder and below; other files are passed over.

    Parameters
    ----------
    folder : path
        A folder, or one recording.
    config : SignalConfig, optional
        Its `recordings`, `hypnogram_file` and `subjects` say how files are named; default: as in Sleep-EDF.

    Returns
    -------
    recordings : list of RecordingFiles
        In the order of their paths.
    skipped : list of str
        A sentence for each hypnogram without a recording.

    Raises
    ------
    DatasetError
        When the folder does not exist, holds no recording, or its table of contents is damaged.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DatasetError(f"data folder {folder} does not exist")
    config = config or SignalConfig(emg="raw")
    root = folder if folder.is_dir() else folder.parent
    pattern = config.recordings.lower()
    everything = sorted(root.rglob("*") if folder.is_dir() else root.iterdir())
    named = [path for path in everything if fnmatch.fnmatch(path.name.lower(), pattern) and path.is_file()]
    hypnograms = [] if config.hypnogram_file else [path for path in named if _HYPNOGRAM.search(path.stem)]
    signals = [path for path in named if path not in hypnograms] if folder.is_dir() else [folder]
    if not signals:
        raise DatasetError(f"data folder {folder} must hold at least one recording ({config.recordings}), got none")
    table = read_data_file(root)
    recordings = [_files_of(path, root, hypnograms, config, table) for path in signals]
    paired = {entry.hypnogram for entry in recordings}
    orphans = [path for path in hypnograms if path not in paired and folder.is_dir()]
    return recordings, [f"{path.name}: hypnogram without a recording" for path in orphans]


def read_data_file(root: Path) -> dict[str, Any]:
    """Read what `thumbnet data fetch` noted about a folder; empty where it noted nothing.

    Raises
    ------
    DatasetError
        When the file is damaged.
    """
    path = root / DATA_FILE
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {**table, "files": dict(table["files"]), "lights_off": dict(table.get("lights_off", {}))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is damaged ({error}); fetch the data again or remove it") from None


def _files_of(
    path: Path, root: Path, hypnograms: list[Path], config: SignalConfig, table: dict[str, Any]
) -> RecordingFiles:
    hypnogram = _hypnogram_of(path, hypnograms)
    if config.hypnogram_file:
        beside = path.with_name(config.hypnogram_file.replace("{stem}", path.stem))
        hypnogram = beside if beside.is_file() else None
    names = [path.name] + ([hypnogram.name] if hypnogram else [])
    return RecordingFiles(
        signals=path,
        hypnogram=hypnogram,
        subject=subject_of(path.stem) if config.subjects == "name" else path.resolve().parent.name,
        recording=_PSG.sub("", path.relative_to(root).with_suffix("").as_posix()),
        lights_off=table.get("lights_off", {}).get(path.name),
        sha1=tuple((name, table["files"][name]) for name in names if name in table.get("files", {})),
    )


def _hypnogram_of(signals: Path, hypnograms: list[Path]) -> Path | None:
    """Return the hypnogram beside a recording that bears its name (in Sleep-EDF: its first 7 letters)."""
    here = [path for path in hypnograms if path.parent == signals.parent]
    stem = _PSG.sub("", signals.stem)
    found = [path for path in here if _HYPNOGRAM.sub("", path.stem) == stem]
    if not found and _SLEEP_EDF.match(signals.stem):
        found = [path for path in here if path.stem[:7].upper() == signals.stem[:7].upper()]
    return found[0] if found else None


def read_night_of(files: RecordingFiles, config: SignalConfig) -> Night:
    """Read one of the recordings that :func:`find_recordings` found, its checksums first.

    Raises
    ------
    RecordingError
        When a file is not what its checksum says, or cannot be used.
    """
    expected = dict(files.sha1)
    for path in files.paths:
        if path.name in expected and file_sha1(path) != expected[path.name]:
            raise RecordingError(
                f"{path.name}: its SHA-1 is not that of the data set, the file is damaged or half-downloaded; "
                "run `thumbnet data fetch` again"
            )
    return read_night(
        files.signals,
        files.hypnogram,
        config,
        subject=files.subject,
        recording=files.recording,
        lights_off=files.lights_off,
    )


def file_sha1(path: Path) -> str:
    """SHA-1 of a file, 40 hexadecimal digits: what PhysioNet publishes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def load_folder(
    folder: Path | str,
    config: SignalConfig,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> EpochSet:
    """Read every recording of a folder.

    Parameters
    ----------
    folder : path
        Sleep-EDF pairs (`*-PSG.edf`, `*-Hypnogram.edf`), single files with a hypnogram of their own, or both.
    config : SignalConfig
        What to read from each.
    progress : callable, optional
        Called as progress(done, total, name) before each recording.

    Returns
    -------
    EpochSet
        Epochs of all subjects; `skipped` has one sentence for each file that could not be used.

    Raises
    ------
    DatasetError
        When the folder does not exist, or nothing in it could be used.
    """
    found, skipped = find_recordings(folder, config)
    sets = []
    for number, files in enumerate(found):
        if progress is not None:
            progress(number, len(found), files.recording)
        try:
            night = read_night_of(files, config)
            sets.append(night.epochs.take(night.kept))
        except RecordingError as error:
            skipped.append(str(error))
    if not sets:
        raise nothing_usable(folder, skipped)
    return concatenate(sets, skipped)


def nothing_usable(folder: Path | str, skipped: list[str]) -> DatasetError:
    """Return the error of a folder in which every recording was skipped; names the first reason."""
    others = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    return DatasetError(f"data folder {folder} holds no usable recording: {skipped[0]}{others}")
