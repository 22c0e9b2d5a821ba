"""NumPy's files, with one sentence for whatever is wrong with one."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ...errors import RecordingError

_DAMAGE = (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def load_array(path: Path) -> np.ndarray:
    """Read a `.npy` file.

    Raises
    ------
    RecordingError
        When it is missing, empty, cut off, or no array of numbers or names.
    """
    found = _load(path, ".npy array")
    if not isinstance(found, np.ndarray):
        raise RecordingError(f"{path} must hold one array (.npy), got several (.npz)")
    return found


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of a `.npz` file.

    Raises
    ------
    RecordingError
        When it is missing, empty, cut off or damaged.
    """
    found = _load(path, ".npz file")
    if isinstance(found, np.ndarray):
        raise RecordingError(f"{path} must hold several named arrays (.npz), got one (.npy)")
    return found


def _load(path: Path, kind: str) -> np.ndarray | dict[str, np.ndarray]:
    if path.is_file() and path.stat().st_size == 0:
        raise RecordingError(f"{path} is empty")
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            return {name: found[name] for name in found.files}
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from None
    except _DAMAGE as error:
        # NumPy takes any text for pickled objects, and advises to unpickle them.
        reason = "it holds text or Python objects" if "pickle" in str(error) else str(error) or "it is cut off"
        raise RecordingError(f"{path} is no {kind}, or damaged ({reason})") from None
