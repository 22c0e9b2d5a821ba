"""Public PPG data sets by name: VitalDB and MIMIC through their own libraries, PPG-BP from its repository.

* ``vitaldb`` (Lee et al. 2022, Sci Data 9:279): PLETH and ART of surgical cases at 125 Hz, through the package
  `vitaldb`, kept as WFDB records, one folder per person
* ``mimic`` (MIMIC-III Waveform Database, Moody et al. 2020, PhysioNet): records by name, through the package `wfdb`
* ``ppg-bp`` (Liang et al. 2018): the published archive, its MD5 verified

PulseDB is handed out by its authors' online drives, which no program can fetch: download its subset files by hand.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DownloadError
from .readers.wfdb_write import write_record

NAMES = ("vitaldb", "mimic", "ppg-bp")
LICENCES = {
    "vitaldb": "CC BY-NC-SA 4.0, VitalDB's data use agreement",
    "mimic": "ODbL 1.0",
    "ppg-bp": "CC BY 4.0",
}
EXTRA = "pip install 'thumbnet[ppg]'"
RATE = 125.0
MIMIC = "mimic3wdb"
FIGSHARE = "https://api.figshare.com/v2/articles/5459299"
_TRACKS = ("SNUADC/PLETH", "SNUADC/ART")
_LAST_CASE = 6388
_SECONDS = 60

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    """What a download left: the folder, its files, and how many were there before."""

    folder: Path
    files: tuple[Path, ...]
    already_there: int
    licence: str


def fetch_vitaldb(output: Path, cases: Sequence[int], *, say: Say = lambda line: None) -> Fetched:
    """Fetch surgical cases that are not there yet.

    Parameters
    ----------
    output : pathlib.Path
        Folder for the records, `sNNNNN/caseNNNN.hea` and `.dat`; a source `wfdb` reads it.
    cases : sequence of int
        Numbers 1 to 6388.
    say : callable
        Takes a line of progress.

    Returns
    -------
    Fetched

    Raises
    ------
    ConfigError
        When a number is unknown, or the package `vitaldb` is missing.
    DownloadError
        When a case cannot be fetched; those before stay.
    """
    wrong = [case for case in cases if not 1 <= case <= _LAST_CASE]
    if wrong or not cases:
        raise ConfigError(f"--subjects must be numbers of cases from 1 to {_LAST_CASE}, got {wrong or 'none'}")
    vitaldb = _library("vitaldb")
    files, there = [], 0
    for case in cases:
        found = sorted(output.glob(f"*/case{case:04d}.hea"))
        if found:
            there += 2
            files += [found[0], found[0].with_suffix(".dat")]
            continue
        say(f"case {case} ({len(files) // 2} of {len(cases)} are there)")
        try:
            files += _vitaldb_case(vitaldb, case, output)
        # The package passes on whatever the server, pandas or the disk say.
        except Exception as error:
            raise _failed(f"case {case}", "VitalDB", error) from error
    return Fetched(output, tuple(files), there, LICENCES["vitaldb"])


def _vitaldb_case(vitaldb: Any, case: int, output: Path) -> tuple[Path, Path]:
    signals = np.asarray(vitaldb.load_case(case, list(_TRACKS), 1 / RATE), float)
    if signals.ndim != 2 or signals.shape[1] != len(_TRACKS) or not np.isfinite(signals).any(axis=0).all():
        raise ValueError(f"no {' or '.join(_TRACKS)}")
    table = vitaldb.load_clinical_data([case], ["subjectid", "age", "sex", "height", "weight"]).iloc[0]
    comment = f"Age: {table['age']}  Sex: {table['sex']}  Height: {table['height']}  Weight: {table['weight']}"
    ppg, art = signals.T
    return write_record(output / f"s{int(table['subjectid']):05d}" / f"case{case:04d}",
                        {"PLETH": (ppg, "NU"), "ART": (art, "mmHg")}, RATE, comment)  # fmt: skip


def fetch_mimic(output: Path, records: Sequence[str], database: str = MIMIC) -> Fetched:
    """Fetch records of a MIMIC waveform database, their segments included.

    Parameters
    ----------
    output : pathlib.Path
        Folder for the records; a source `wfdb` reads it.
    records : sequence of str
        As PhysioNet names them: "30/3000063/3000063", or a folder "30/3000063/".
    database : str
        PhysioNet's name of the database.

    Returns
    -------
    Fetched

    Raises
    ------
    ConfigError
        When no record is named, or the package `wfdb` is missing.
    DownloadError
        When a record cannot be fetched; the same command goes on where it stopped.
    """
    if not records:
        raise ConfigError("--records must name at least one record such as 30/3000063/, got none")
    wfdb = _library("wfdb")
    output.mkdir(parents=True, exist_ok=True)
    before = set(output.rglob("*.*"))
    try:
        wfdb.dl_database(database, str(output), records=list(records), annotators=None)
    # The package passes on whatever the server or the disk say.
    except Exception as error:
        raise _failed(", ".join(records), database, error) from error
    files = sorted(path for path in output.rglob("*.*") if path.is_file())
    return Fetched(output, tuple(files), len(before & set(files)), LICENCES["mimic"])


def fetch_ppg_bp(output: Path, mirror: str | None = None, *, say: Say = lambda line: None) -> Fetched:
    """Fetch PPG-BP and unpack it.

    Parameters
    ----------
    output : pathlib.Path
        Folder for the archive and its content.
    mirror : str, optional
        Address of a table of files as figshare's API gives it (`files` with `name`, `download_url`, `computed_md5`).
    say : callable
        Takes a line of progress.

    Returns
    -------
    Fetched

    Raises
    ------
    DownloadError
        When a file cannot be fetched, or is not what its MD5 says.
    """
    address = mirror or FIGSHARE
    try:
        table = json.loads(_get(address))
        entries = [(str(row["name"]), str(row["download_url"]), str(row["computed_md5"])) for row in table["files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _failed("the list of files", address, error) from None
    output.mkdir(parents=True, exist_ok=True)
    there = 0
    for name, url, md5 in entries:
        path = output / Path(name).name
        if path.is_file() and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == md5:
            there += 1
        else:
            say(path.name)
            _download(url, path, md5)
        if path.suffix == ".zip":
            _unpack(path, output)
    files = sorted(path for path in output.rglob("*") if path.is_file())
    return Fetched(output, tuple(files), there, LICENCES["ppg-bp"])


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=_SECONDS) as answer:
        content: bytes = answer.read()
    return content


def _download(address: str, path: Path, md5: str) -> None:
    beside = path.with_name(f".{path.name}")
    try:
        content = _get(address)
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise DownloadError(f"{path.name}: its MD5 is not that of the table; run the command again")
        beside.write_bytes(content)
        beside.replace(path)
    except (OSError, ValueError) as error:
        beside.unlink(missing_ok=True)
        raise _failed(path.name, address, error) from None


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack what is not there yet; names that lead out of the folder are refused."""
    try:
        with zipfile.ZipFile(archive) as content:
            for entry in content.infolist():
                target = (folder / entry.filename).resolve()
                if not target.is_relative_to(folder.resolve()):
                    raise DownloadError(f"{archive.name} holds {entry.filename!r}, which leads out of its folder")
                if entry.is_dir() or (target.is_file() and target.stat().st_size == entry.file_size):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with content.open(entry) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
    except zipfile.BadZipFile as error:
        raise _failed(archive.name, str(archive), error) from None


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"fetching needs the package {name}: {EXTRA}") from None


def _failed(what: str, where: str, error: Exception) -> DownloadError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return DownloadError(f"{what} cannot be fetched from {where} ({reason}); run the same command again to go on")
