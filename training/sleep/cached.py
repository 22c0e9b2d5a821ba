"""A folder of recordings through the cache: each is read once, and again only when something it depends on changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ..cache import Cache, CachedSet, hash_of
from ..errors import RecordingError
from .config import SignalConfig
from .dataset import RecordingFiles, find_recordings, nothing_usable, read_night_of

_READER = ("config.py", "edf_header.py", "filters.py", "hypnogram.py", "rates.py", "recording.py", "stages.py")
_PACKAGES = ("mne", "numpy", "scipy")


def cached_folder(
    folder: Path | str,
    config: SignalConfig,
    cache_folder: Path | str,
    *,
    progress: Callable[[int, int, str], None] | None = None,
    prune: bool = False,
) -> CachedSet:
    """Bring the recordings of a folder into a cache, one at a time, and open it.

    Parameters
    ----------
    folder : path
        Recordings, as :func:`.dataset.load_folder` takes them.
    config : SignalConfig
        What to read from each.
    cache_folder : path
        Where the epochs go.
    progress : callable, optional
        Called as progress(done, total, name) before each recording.
    prune : bool
        Remove what the cache holds besides.

    Returns
    -------
    CachedSet
        Its `skipped` has one sentence for each file that could not be used.

    Raises
    ------
    DatasetError
        When the folder does not exist, or nothing in it could be used.
    CacheError
        When the cache cannot be written, or is of another version.
    """
    found, skipped = find_recordings(folder, config)
    store = Cache(Path(cache_folder))
    settings = {"reader": config.to_table(), "steps": config.steps(), **reader_identity()}
    entries = []
    for number, files in enumerate(found):
        if progress is not None:
            progress(number, len(found), files.recording)
        try:
            entries.append((files.recording, _bring(store, files, config, hash_of(settings))))
        except RecordingError as error:
            skipped.append(str(error))
    if not entries:
        raise nothing_usable(folder, skipped)
    return store.finish(entries, settings, tuple(config.channels), float(config.rate), skipped, prune=prune)


def _bring(store: Cache, files: RecordingFiles, config: SignalConfig, settings: str) -> str:
    """Read a recording unless the cache has it; returns its key."""
    sources = {path.name: file_sha256(path) for path in files.paths}
    key = hash_of([settings, sources, files.subject, files.recording, files.lights_off, list(files.sha1)])
    if not store.has(files.recording, key):
        night = read_night_of(files, config)
        store.put(files.recording, key, night.epochs, night.kept, (night.lights_off, night.lights_on), sources)
    return key


@cache
def reader_identity() -> dict[str, Any]:
    """Hash of the reader's sources, and versions of the packages that decode and filter."""
    digest = hashlib.sha256()
    for name in _READER:
        digest.update((Path(__file__).parent / name).read_bytes())
    return {"code": digest.hexdigest(), "versions": {name: metadata.version(name) for name in _PACKAGES}}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits.

    Raises
    ------
    RecordingError
        When it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecordingError(f"{path.name}: cannot be read ({error.strerror})") from None
