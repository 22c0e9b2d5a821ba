"""A folder of recordings: which files belong together, who slept, what could not be used."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..epochs import EpochSet, concatenate
from ..errors import DatasetError, RecordingError
from .config import SignalConfig
from .recording import read_recording

__all__ = ["RecordingFiles", "SignalConfig", "find_recordings", "load_folder", "subject_of"]

_HYPNOGRAM = re.compile(r"[-_ ]?hypnogram$", re.IGNORECASE)
_PSG = re.compile(r"[-_ ]?psg$", re.IGNORECASE)
_SLEEP_EDF = re.compile(r"^((?:SC4|ST7)\d\d)\d[A-Z]", re.IGNORECASE)


@dataclass(frozen=True)
class RecordingFiles:
    """One recording: its signals, its hypnogram file (None where the signals bring their own), its names."""

    signals: Path
    hypnogram: Path | None
    subject: str
    recording: str


def subject_of(name: str) -> str:
    """Return the person behind a file name.

    Sleep-EDF's `SC4ssNE0-PSG` and `ST7ssNJ0-PSG` give `SC4ss` and `ST7ss`: ss is the subject and N the night,
    so two nights share the person. Any other name is its own person.
    """
    match = _SLEEP_EDF.match(name)
    return match.group(1).upper() if match else _PSG.sub("", name)


def find_recordings(folder: Path | str) -> tuple[list[RecordingFiles], list[str]]:
    """Find the recordings in a folder and below; files that are no EDF are passed over.

    Parameters
    ----------
    folder : path
        A folder, or one .edf file.

    Returns
    -------
    recordings : list of RecordingFiles
        In the order of their paths.
    skipped : list of str
        A sentence for each hypnogram without a recording.

    Raises
    ------
    DatasetError
        When the folder does not exist or holds no recording.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DatasetError(f"data folder {folder} does not exist")
    root = folder if folder.is_dir() else folder.parent
    files = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    files = [path for path in files if path.suffix.lower() == ".edf" and path.is_file()]
    beside = [path for path in root.iterdir() if path.suffix.lower() == ".edf"] if folder.is_file() else files
    hypnograms = [path for path in beside if _HYPNOGRAM.search(path.stem)]
    recordings = [
        RecordingFiles(
            signals=path,
            hypnogram=_hypnogram_of(path, hypnograms),
            subject=subject_of(path.stem),
            recording=_PSG.sub("", path.relative_to(root).with_suffix("").as_posix()),
        )
        for path in files
        if not _HYPNOGRAM.search(path.stem)
    ]
    if not recordings:
        raise DatasetError(f"data folder {folder} must hold at least one recording (.edf), got none")
    paired = {entry.hypnogram for entry in recordings}
    orphans = [path for path in hypnograms if path not in paired and folder.is_dir()]
    return recordings, [f"{path.name}: hypnogram without a recording" for path in orphans]


def _hypnogram_of(signals: Path, hypnograms: list[Path]) -> Path | None:
    """Return the hypnogram beside a recording that bears its name (in Sleep-EDF: its first 7 letters)."""
    here = [path for path in hypnograms if path.parent == signals.parent]
    stem = _PSG.sub("", signals.stem)
    found = [path for path in here if _HYPNOGRAM.sub("", path.stem) == stem]
    if not found and _SLEEP_EDF.match(signals.stem):
        found = [path for path in here if path.stem[:7].upper() == signals.stem[:7].upper()]
    return found[0] if found else None


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
    found, skipped = find_recordings(folder)
    sets = []
    for number, files in enumerate(found):
        if progress is not None:
            progress(number, len(found), files.recording)
        try:
            sets.append(
                read_recording(
                    files.signals,
                    files.hypnogram,
                    config,
                    subject=files.subject,
                    recording=files.recording,
                )
            )
        except RecordingError as error:
            skipped.append(str(error))
    if not sets:
        others = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
        raise DatasetError(f"data folder {folder} holds no usable recording: {skipped[0]}{others}")
    return concatenate(sets, skipped)
