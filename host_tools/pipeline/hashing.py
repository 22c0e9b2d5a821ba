"""Hashes that decide whether a stage is up to date."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

_SOURCES = {".py", ".c", ".h", ".s", ".ld", ".json", ".ini", ".j2", ".css", ".toml"}
_BUILT = {"__pycache__", ".pio"}


def file_hash(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(value: Mapping[str, Any]) -> str:
    """SHA-256 of JSON values; the order of keys counts, because that of channels does."""
    text = json.dumps(value, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_hash(*rooms: str) -> str:
    """SHA-256 over the sources of rooms (`training`, `codegen`, `host_tools/link`, ...), names included."""
    digest = hashlib.sha256()
    for room in rooms:
        package, _, inside = room.partition("/")
        root = Path(str(files(f"thumbnet.{package}"))) / inside
        for path in _sources(root):
            digest.update(f"{room}/{path.relative_to(root).as_posix()}\0{file_hash(path)}\n".encode())
    return digest.hexdigest()


def _sources(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    found = (path for path in root.rglob("*") if path.suffix in _SOURCES and path.is_file())
    return sorted(path for path in found if not _BUILT & set(path.relative_to(root).parts))


def versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of installed packages; one that is not installed is left out."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
