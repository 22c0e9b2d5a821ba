"""Preprocessed epochs on disk: one pair of files per recording, a manifest for each way of reading them.

::

    CACHE/cache.json            what this folder is, and the version of its format
    CACHE/NAME-KEY.npy          float32 epochs (N, channels, samples) of one recording, in microvolts
    CACHE/NAME-KEY.json         labels, onsets, hashes of the source files; written last, so it is the done-marker
    CACHE/set-KEY.json          the recordings of one data set read in one way, and those that were skipped

KEY is a hash of everything that decides the content: settings, sources of the reader, versions of the packages that
filter, and the hashes of the recording's own files. Every file appears whole or not at all; an interrupted
build goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .epochs import EpochSet
from .errors import CacheError
from .mapped import ArrayFile, MappedWindows

SCHEMA = "thumbnet.cache/1"
ROOT_FILE = "cache.json"
_PARTIAL = ".partial-"


@dataclass(frozen=True)
class CachedNight:
    """One recording in the cache: the fields of its .json file, arrays as arrays.

    Attributes
    ----------
    recording, subject : str
        Identifiers.
    labels, onsets, kept : numpy.ndarray
        One entry per epoch: class (or -1), seconds from the start, whether it is one to learn from.
    lights_off, lights_on : float or None
        Seconds from the start of the recording.
    notes : tuple of str
        What was done to the signals.
    array : ArrayFile
        Where the signals are.
    """

    recording: str
    subject: str
    labels: np.ndarray
    onsets: np.ndarray
    kept: np.ndarray
    lights_off: float | None
    lights_on: float | None
    notes: tuple[str, ...]
    array: ArrayFile


@dataclass(frozen=True)
class CachedSet:
    """A data set in the cache.

    Attributes
    ----------
    manifest : pathlib.Path
        Its `set-KEY.json`, from which another process opens the same set.
    channels, rate, samples
        Of every epoch.
    nights : tuple of CachedNight
        In the order of the recordings.
    skipped : tuple of str
        A sentence for each recording that could not be used.
    """

    manifest: Path
    channels: tuple[str, ...]
    rate: float
    samples: int
    nights: tuple[CachedNight, ...]
    skipped: tuple[str, ...]

    def epochs(self) -> EpochSet:
        """Return the epochs to learn from, their signals on disk."""
        return self.everything().take(np.flatnonzero(self.kept()))

    def kept(self, recordings: Sequence[str] | None = None) -> np.ndarray:
        """Return the mask of the epochs to learn from among those of :meth:`everything`, bool."""
        return np.concatenate([n.kept for n in self.nights if recordings is None or n.recording in recordings])

    def everything(self, recordings: Sequence[str] | None = None) -> EpochSet:
        """Return all epochs of some recordings (default: of all), those in bed without a stage included."""
        nights = [n for n in self.nights if recordings is None or n.recording in recordings]
        return EpochSet(
            signals=MappedWindows([night.array for night in nights], (len(self.channels), self.samples)),
            labels=np.concatenate([night.labels for night in nights]),
            subjects=np.concatenate([np.full(len(n.labels), n.subject) for n in nights]),
            recordings=np.concatenate([np.full(len(n.labels), n.recording) for n in nights]),
            onsets=np.concatenate([night.onsets for night in nights]),
            channels=self.channels,
            rate=self.rate,
            skipped=self.skipped,
            notes=tuple(dict.fromkeys(line for night in nights for line in night.notes)),
        )


class Cache:
    """A folder of preprocessed epochs.

    Parameters
    ----------
    folder : pathlib.Path
        Made when missing.

    Raises
    ------
    CacheError
        When the folder holds something else, or a cache of another version.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        root = folder / ROOT_FILE
        if root.is_file():
            _check_version(root)
        elif folder.is_dir() and any(folder.iterdir()):
            other = sorted(path.name for path in folder.iterdir())[0]
            raise CacheError(f"the cache folder {folder} holds {other} but no {ROOT_FILE}; choose another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for rest in folder.glob(f"{_PARTIAL}*"):
                rest.unlink()
            if not root.is_file():
                _write_json(root, {"schema": SCHEMA, "content": "epochs preprocessed by thumbnet; safe to remove"})
        except OSError as error:
            raise _failed(folder, ROOT_FILE, error, 0) from None

    def has(self, name: str, key: str) -> bool:
        """Whether a recording is there, whole."""
        entry = self._entry_path(name, key)
        return entry.is_file() and _is_whole(entry)

    def put(
        self,
        name: str,
        key: str,
        epochs: EpochSet,
        kept: np.ndarray,
        lights: tuple[float | None, float | None] = (None, None),
        sources: Mapping[str, str] | None = None,
    ) -> None:
        """Write one recording.

        Parameters
        ----------
        name, key : str
            Its identifier, and the hash of all that decides its content.
        epochs : EpochSet
            Of this recording alone.
        kept : numpy.ndarray
            bool, the epochs to learn from.
        lights : tuple of float or None
            Seconds from the start of the recording to lights off and lights on.
        sources : mapping of str to str
            Name and SHA-256 of the files that it was read from.

        Raises
        ------
        CacheError
            When the disk is full or refuses; recordings written before stay, this one leaves nothing behind.
        """
        entry = self._entry_path(name, key)
        array = entry.with_suffix(".npy")
        signals = np.ascontiguousarray(epochs.signals, "<f4")
        beside = array.with_name(f"{_PARTIAL}{os.getpid()}-{array.name}")
        try:
            with beside.open("wb") as file:
                np.save(file, signals)
                file.flush()
                os.fsync(file.fileno())
            size = beside.stat().st_size
            beside.replace(array)
            _write_json(entry, {
                "recording": name,
                "subject": str(epochs.subjects[0]),
                "key": key,
                "file": array.name,
                "bytes": size,
                "offset": size - signals.nbytes,
                "shape": list(signals.shape),
                "labels": epochs.labels.tolist(),
                "onsets": epochs.onsets.tolist(),
                "kept": np.asarray(kept, int).tolist(),
                "lights_off": lights[0],
                "lights_on": lights[1],
                "notes": list(epochs.notes),
                "sources": dict(sources or {}),
            })  # fmt: skip
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise _failed(self.folder, name, error, signals.nbytes) from None

    def finish(
        self,
        entries: Sequence[tuple[str, str]],
        settings: Mapping[str, Any],
        channels: Sequence[str],
        rate: float,
        skipped: Sequence[str] = (),
        *,
        prune: bool = False,
    ) -> CachedSet:
        """Note which recordings make a data set, and open it.

        Parameters
        ----------
        entries : sequence of (name, key)
            The recordings, in order; each was put before.
        settings : mapping
            How they were read, as JSON values.
        channels, rate
            Of every epoch.
        skipped : sequence of str
            A sentence for each recording left out.
        prune : bool
            Remove recordings of other sets from the folder.

        Returns
        -------
        CachedSet
        """
        content = {
            "schema": SCHEMA,
            "channels": list(channels),
            "rate": rate,
            "settings": dict(settings),
            "recordings": [self._entry_path(name, key).name for name, key in entries],
            "skipped": list(skipped),
        }
        path = self.folder / f"set-{hash_of(content)[:16]}.json"
        try:
            _write_json(path, content)
        except OSError as error:
            raise _failed(self.folder, path.name, error, 0) from None
        if prune:
            self._prune({path.name, *content["recordings"]})
        return open_set(path)

    def _prune(self, wanted: set[str]) -> None:
        keep = wanted | {name.removesuffix(".json") + ".npy" for name in wanted} | {ROOT_FILE}
        for path in self.folder.iterdir():
            if path.name not in keep and path.suffix in (".json", ".npy"):
                path.unlink()

    def _entry_path(self, name: str, key: str) -> Path:
        slug = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[-60:]
        return self.folder / f"{slug}-{hash_of([name, key])[:16]}.json"


def open_set(manifest: Path) -> CachedSet:
    """Open a data set by its manifest.

    Raises
    ------
    CacheError
        When it is missing, damaged, of another version, or a file of it is not whole.
    """
    content = _read_json(manifest)
    if content.get("schema") != SCHEMA:
        raise _other_version(manifest, content)
    try:
        channels, rate = tuple(content["channels"]), float(content["rate"])
        nights = tuple(_open_night(manifest.parent / name) for name in content["recordings"])
        samples = nights[0][1][2]
        return CachedSet(manifest, channels, rate, samples, tuple(n for n, _ in nights), tuple(content["skipped"]))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CacheError(f"the cache file {manifest} is damaged ({error}); remove it and run again") from None


def _open_night(path: Path) -> tuple[CachedNight, list[int]]:
    entry = _read_json(path)
    if not _is_whole(path):
        raise CacheError(f"the cache file {path.parent / entry['file']} is not whole; run again to write it anew")
    return CachedNight(
        recording=entry["recording"],
        subject=entry["subject"],
        labels=np.asarray(entry["labels"], np.int64),
        onsets=np.asarray(entry["onsets"], float),
        kept=np.asarray(entry["kept"], bool),
        lights_off=entry["lights_off"],
        lights_on=entry["lights_on"],
        notes=tuple(entry["notes"]),
        array=ArrayFile(path.parent / entry["file"], entry["offset"], entry["shape"][0]),
    ), entry["shape"]


def hash_of(value: Any) -> str:
    """SHA-256 of a JSON value; the order of keys counts, because that of channels does."""
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def _is_whole(entry: Path) -> bool:
    try:
        content = _read_json(entry)
        array = entry.parent / content["file"]
        return array.is_file() and array.stat().st_size == content["bytes"]
    except (CacheError, KeyError, TypeError):
        return False


def _check_version(root: Path) -> None:
    content = _read_json(root)
    if content.get("schema") != SCHEMA:
        raise _other_version(root, content)


def _other_version(path: Path, content: Mapping[str, Any]) -> CacheError:
    return CacheError(
        f"{path} has the schema {content.get('schema')!r}, this version reads {SCHEMA!r}; give another cache folder, "
        "or remove this one (it is made again from the recordings)"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CacheError(f"the cache file {path} cannot be read ({error}); remove it and run again") from None
    if not isinstance(content, dict):
        raise CacheError(f"the cache file {path} is damaged; remove it and run again")
    return content


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    beside = path.with_name(f"{_PARTIAL}{os.getpid()}-{path.name}")
    try:
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _failed(folder: Path, name: str, error: OSError, wanted: int) -> CacheError:
    reason = error.strerror or str(error)
    try:
        free = f", {shutil.disk_usage(folder).free / 1e6:,.0f} MB are free"
    except OSError:
        free = ""
    need = f" ({wanted / 1e6:,.0f} MB wanted{free})" if wanted else ""
    return CacheError(
        f"{name} cannot be written to the cache {folder}: {reason}{need}; what was cached before stays, "
        "run again to go on"
    )
