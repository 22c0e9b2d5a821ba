"""Sleep-EDF Expanded by name, through MNE's downloader, every file checked against PhysioNet's SHA-1.

The cassette study (Mourtazaev et al. 1995; Kemp et al. 2000): 78 people of 25 to 101 years, 153 recordings of about
20 hours. "Sleep-EDF-20" means its first 20 subjects, "Sleep-EDF-78" all of them.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, DownloadError
from .dataset import DATA_FILE, file_sha1

NAMES = {"sleep-edf": None, "sleep-edf-20": range(20), "sleep-edf-78": range(83)}
"""Data set -> its subjects; None: those that the user names."""

ABSENT = (39, 68, 69, 78, 79)
"""Numbers that PhysioNet never gave to anybody."""

LICENCE = "ODC-BY 1.0"
SOURCE = (
    "Sleep-EDF Database Expanded 1.0.0, sleep cassette study, PhysioNet "
    "(Kemp et al. 2000, IEEE Trans Biomed Eng 47:1185-1194; Goldberger et al. 2000, Circulation 101:e215-e220)"
)
_FOLDER = "physionet-sleep-data"


@dataclass(frozen=True)
class Entry:
    """One file of the data set, as MNE's table has it; `lights_off` is a clock time."""

    subject: int
    night: int
    name: str
    sha1: str
    lights_off: str


@dataclass(frozen=True)
class Fetched:
    """What a download left: the files, how many of them were there before, and those that were replaced."""

    folder: Path
    files: tuple[Path, ...]
    already_there: int
    replaced: tuple[str, ...]


Say = Callable[[str], None]


def fetch_sleep_edf(
    name: str,
    output: Path,
    subjects: Sequence[int] | None = None,
    recordings: Sequence[int] = (1, 2),
    *,
    mirror: str | None = None,
    say: Say = lambda line: None,
) -> Fetched:
    """Fetch recordings of Sleep-EDF that are not there yet, and note source, licence and checksums beside them.

    A file whose checksum is right is never fetched again, so that an interrupted download goes on where it stopped;
    a file whose checksum is wrong is replaced.

    Parameters
    ----------
    name : str
        "sleep-edf", "sleep-edf-20" or "sleep-edf-78".
    output : pathlib.Path
        Folder for the files; give it to `--data` or `signals.folder`.
    subjects : sequence of int, optional
        Numbers 0 to 82; default: those of the name.
    recordings : sequence of int
        Nights, 1 and 2.
    mirror : str, optional
        Address of a folder with the same files; default: PhysioNet.
    say : callable
        Takes a line of progress.

    Returns
    -------
    Fetched

    Raises
    ------
    ConfigError
        When the name, a subject or a night is unknown.
    DownloadError
        When a file cannot be fetched or is not what its checksum says; those fetched before stay.
    """
    entries = select(name, subjects, recordings)
    folder = Path(output) / _FOLDER
    there, replaced = _check_present(entries, folder)
    missing = [entry for entry in entries if entry.name not in there]
    present = len(there)
    for subject, night in dict.fromkeys((entry.subject, entry.night) for entry in missing):
        say(f"subject {subject}, night {night} ({present} of {len(entries)} files are there)")
        _fetch_night(subject, night, Path(output), mirror, present, len(entries))
        present += sum((entry.subject, entry.night) == (subject, night) for entry in missing)
    for entry in missing:
        if file_sha1(folder / entry.name) != entry.sha1:
            raise DownloadError(f"{entry.name}: its SHA-1 is not that of PhysioNet's table; run the command again")
    _note(Path(output), entries)
    return Fetched(Path(output), tuple(folder / entry.name for entry in entries), len(there), tuple(replaced))


def select(name: str, subjects: Sequence[int] | None, recordings: Sequence[int]) -> list[Entry]:
    """Return the files that a name, subjects and nights mean.

    Raises
    ------
    ConfigError
        When one of them is unknown, or nothing is left.
    """
    if name not in NAMES:
        raise ConfigError(f"data set must be one of {list(NAMES)}, got {name!r}")
    chosen = list(NAMES[name] or ()) if subjects is None else list(subjects)
    if not chosen:
        raise ConfigError("--subjects must name at least one subject of sleep-edf (0 to 82), got none")
    wrong = [s for s in chosen if not 0 <= s <= 82 or (s in ABSENT and subjects is not None)]
    if wrong:
        raise ConfigError(f"--subjects must be numbers from 0 to 82 without {list(ABSENT)}, got {wrong}")
    nights = [n for n in recordings if n not in (1, 2)]
    if nights or not recordings:
        raise ConfigError(f"--recording must be 1, 2 or 1,2, got {list(recordings)}")
    table = sorted(read_table(), key=lambda entry: (entry.subject, entry.night, entry.name))
    found = [entry for entry in table if entry.subject in chosen and entry.night in recordings]
    if not found:
        raise ConfigError(f"subjects {chosen} have no night {list(recordings)} in Sleep-EDF")
    return found


def read_table() -> list[Entry]:
    """Return MNE's table of the cassette study."""
    from mne.datasets.sleep_physionet import age

    with Path(age.AGE_SLEEP_RECORDS).open(encoding="utf-8", newline="") as file:
        return [
            Entry(int(row["subject"]), int(row["night"]), row["fname"], row["sha"], row["lights off"])
            for row in csv.DictReader(file)
        ]


def _check_present(entries: Sequence[Entry], folder: Path) -> tuple[set[str], list[str]]:
    """Return the names of the whole files; others are moved away, so that MNE fetches them again."""
    whole: set[str] = set()
    replaced = []
    for entry in entries:
        path = folder / entry.name
        if not path.is_file():
            continue
        if file_sha1(path) == entry.sha1:
            whole.add(entry.name)
        else:
            path.replace(path.with_name(f"{path.name}.damaged"))
            replaced.append(entry.name)
    return whole, replaced


def _fetch_night(subject: int, night: int, output: Path, mirror: str | None, there: int, total: int) -> None:
    from mne.datasets.sleep_physionet import age

    address = (mirror or age.BASE_URL).rstrip("/")
    try:
        output.mkdir(parents=True, exist_ok=True)
        with _quiet():
            age.fetch_data([subject], recording=[night], path=str(output), base_url=address, verbose="ERROR")
    # pooch passes on whatever requests, the server or the disk say.
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise DownloadError(
            f"subject {subject}, night {night} cannot be fetched from {address} ({reason}); {there} of {total} files "
            "are there, run the same command again to go on"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _note(output: Path, entries: Sequence[Entry]) -> None:
    """Write source, licence, checksums and lights off beside the data, added to what is noted there."""
    path = output / DATA_FILE
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    content = {
        "schema": "thumbnet.data/1",
        "source": SOURCE,
        "licence": LICENCE,
        "files": {**before.get("files", {}), **{entry.name: entry.sha1 for entry in entries}},
        "lights_off": {
            **before.get("lights_off", {}),
            **{entry.name: entry.lights_off for entry in entries if entry.name.endswith("-PSG.edf")},
        },
    }
    beside = path.with_name(f".{path.name}")
    beside.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    beside.replace(path)
