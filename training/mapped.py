"""Windows that stay on disk: rows of many .npy files that look like one array.

A night of four channels at 100 Hz is 60 MB as float32, so that 78 people with two nights each are 9 GB. Rows are
mapped when they are asked for and let go at once, so that pages of the file do not pile up in this process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import CacheError


@dataclass(frozen=True)
class ArrayFile:
    """An array of rows in a .npy file.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    offset : int
        Bytes before the first row.
    rows : int
        Number of rows.
    """

    path: Path
    offset: int
    rows: int


class MappedWindows:
    """Rows of several files of float32 arrays, as one array that is never whole in memory.

    Indexing with integers, a slice or a boolean mask returns those rows as a NumPy array; :meth:`take` returns
    them without reading.

    Parameters
    ----------
    files : sequence of ArrayFile
        All with rows of one shape.
    row_shape : tuple of int
        Shape of a row.
    file_of, row_of : numpy.ndarray, optional
        Index of the file and row in it for each row here; default: all rows of all files in order.
    """

    dtype = np.dtype("<f4")

    def __init__(
        self,
        files: Sequence[ArrayFile],
        row_shape: tuple[int, ...],
        file_of: np.ndarray | None = None,
        row_of: np.ndarray | None = None,
    ):
        self.files = tuple(files)
        self.row_shape = tuple(row_shape)
        counts = [file.rows for file in self.files]
        self.file_of = np.repeat(np.arange(len(counts)), counts) if file_of is None else file_of
        self.row_of = np.concatenate([np.arange(n) for n in counts] or [np.zeros(0, int)]) if row_of is None else row_of

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array that these rows would make."""
        return (len(self.file_of), *self.row_shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 1 + len(self.row_shape)

    @property
    def size(self) -> int:
        """Number of samples."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.file_of)

    def take(self, indices: np.ndarray | slice) -> MappedWindows:
        """Return some of the rows (integers, a slice or a boolean mask) without reading them."""
        return MappedWindows(self.files, self.row_shape, self.file_of[indices], self.row_of[indices])

    def __getitem__(self, indices: int | np.ndarray | slice) -> np.ndarray:
        if np.ndim(indices) == 0 and not isinstance(indices, slice):
            return self[np.asarray([indices])][0]
        places, rows = self.file_of[indices], self.row_of[indices]
        out = np.empty((len(places), *self.row_shape), np.float32)
        for place in np.unique(places):
            members = np.flatnonzero(places == place)
            out[members] = self._map(self.files[place])[rows[members]]
        return out

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def chunks(self, size: int = 512) -> Iterator[np.ndarray]:
        """Read all rows in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def _map(self, file: ArrayFile) -> np.ndarray:
        try:
            shape = (file.rows, *self.row_shape)
            return np.memmap(file.path, self.dtype, mode="r", offset=file.offset, shape=shape)
        except (OSError, ValueError) as error:
            raise CacheError(f"the cache file {file.path} cannot be read: {error}") from None


Windows = np.ndarray | MappedWindows
"""Windows in memory or on disk."""


def chunks_of(windows: Windows, size: int = 512) -> Iterator[np.ndarray]:
    """Read windows in order, `size` at a time, from memory or from disk."""
    if isinstance(windows, MappedWindows):
        yield from windows.chunks(size)
        return
    for start in range(0, len(windows), size):
        yield windows[start : start + size]
