"""Write a set of generated files so that nothing is ever left half-written and nobody's own file is lost."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from .errors import HostToolsError

#: Every generated file names its generator near its beginning.
_MARK = b"thumbnet"
_MARK_WITHIN = 2048


def write_files(folder: Path, files: Mapping[str, str], *, force: bool = False) -> list[str]:
    """Bring a folder to hold the given files; other files in it stay.

    All files are first written beside the folder, then renamed into place, so that a full disk or an interrupt
    while writing changes nothing. A file that already has the right content is left alone, so that build systems
    do not rebuild.

    Parameters
    ----------
    folder
        Created when missing.
    files
        Text by path relative to the folder.
    force
        Overwrite files that this generator did not write.

    Returns
    -------
    Paths (relative) that changed.

    Raises
    ------
    HostToolsError
        When the folder is a file, or a file to be overwritten is not a generated one.
    """
    if folder.exists() and not folder.is_dir():
        raise HostToolsError(f"--output {folder} is a file; give a folder")
    changed = [name for name, text in files.items() if _differs(folder / name, text)]
    if not force:
        _refuse_foreign(folder, changed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".thumbnet-", dir=folder.parent) as name:
        staged = Path(name)
        for relative in changed:
            target = staged / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(files[relative], encoding="utf-8", newline="\n")
        _move(staged, folder, changed)
    return changed


def _move(staged: Path, folder: Path, names: list[str]) -> None:
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (staged / name).replace(target)


def _differs(path: Path, text: str) -> bool:
    return not path.is_file() or path.read_bytes() != text.encode("utf-8")


def _refuse_foreign(folder: Path, names: list[str]) -> None:
    foreign = [name for name in names if (folder / name).exists() and not _is_generated(folder / name)]
    if foreign:
        raise HostToolsError(
            f"{folder} holds {', '.join(foreign)}, not written by thumbnet; choose another folder or give --force"
        )


def _is_generated(path: Path) -> bool:
    # Kernels are copied as they are; their names are ours alone.
    return path.is_file() and (path.name.startswith("tn_") or _MARK in path.read_bytes()[:_MARK_WITHIN])
