"""A bounds-checked reader of FlatBuffers tables.

The ``flatbuffers`` package trusts its input: a damaged offset raises whatever NumPy or ``struct`` happens to
raise, or loops over a billion-element vector. Models come from strangers, so every access here is checked against
the file and ends in :class:`~thumbnet.codegen.errors.ModelError`.

Format: https://flatbuffers.dev/internals (soffset to the vtable, 16-bit field offsets, 32-bit references).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ModelError

#: Bytes of lists that may be read per byte of the file: lists may share their bytes, but not without end.
_SHARING = 4


@dataclass
class Buffer:
    """The whole file, read by checked little-endian access."""

    data: bytes
    listed: int = 0

    def unpack(self, code: str, at: int) -> Any:
        """One scalar of `struct` type `code` at byte `at`."""
        size = struct.calcsize(code)
        if at < 0 or at + size > len(self.data):
            raise ModelError(f"the model file is damaged: it points to byte {at} of {len(self.data)}")
        return struct.unpack_from("<" + code, self.data, at)[0]

    def follow(self, at: int) -> int:
        """Target of the 32-bit forward reference at byte `at`."""
        return at + int(self.unpack("I", at))

    def vector(self, at: int, item_size: int) -> tuple[int, int]:
        """Start and length of the vector referred to at byte `at`, checked to lie inside the file."""
        start = self.follow(at)
        length = int(self.unpack("I", start))
        if start + 4 + length * item_size > len(self.data):
            raise ModelError(f"the model file is damaged: a list of {length} items at byte {start} runs past its end")
        return start + 4, length

    def walk(self, at: int, item_size: int) -> tuple[int, int]:
        """A vector that will be walked item by item; a damaged file must not make that long."""
        start, length = self.vector(at, item_size)
        self.listed += length * item_size
        if self.listed > _SHARING * len(self.data):
            raise ModelError(f"the model file is damaged: its lists overlap, {self.listed} bytes of {len(self.data)}")
        return start, length


@dataclass(frozen=True)
class Table:
    """One FlatBuffers table; fields are read by their number in the schema, absent ones give the default."""

    buffer: Buffer
    at: int

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The root table of a file."""
        buffer = Buffer(data)
        return cls(buffer, buffer.follow(0))

    def _field(self, number: int) -> int | None:
        vtable = self.at - int(self.buffer.unpack("i", self.at))
        slot = 4 + 2 * number
        if slot + 2 > int(self.buffer.unpack("H", vtable)):
            return None
        offset = int(self.buffer.unpack("H", vtable + slot))
        return self.at + offset if offset else None

    def scalar(self, number: int, code: str, default: Any) -> Any:
        """Scalar field of `struct` type `code`."""
        at = self._field(number)
        return default if at is None else self.buffer.unpack(code, at)

    def table(self, number: int) -> Table | None:
        """Sub-table field."""
        at = self._field(number)
        return None if at is None else Table(self.buffer, self.buffer.follow(at))

    def tables(self, number: int) -> list[Table]:
        """Field that is a vector of tables."""
        at = self._field(number)
        if at is None:
            return []
        start, length = self.buffer.walk(at, 4)
        return [Table(self.buffer, self.buffer.follow(start + 4 * i)) for i in range(length)]

    def array(self, number: int, dtype: npt.DTypeLike) -> npt.NDArray[Any] | None:
        """Field that is a vector of scalars, as a read-only array; None when absent."""
        return self._array(number, dtype, self.buffer.walk)

    def payload(self, number: int) -> npt.NDArray[Any] | None:
        """Field that is a vector of bytes which nobody walks: tensors may share one."""
        return self._array(number, np.uint8, self.buffer.vector)

    def _array(
        self, number: int, dtype: npt.DTypeLike, read: Callable[[int, int], tuple[int, int]]
    ) -> npt.NDArray[Any] | None:
        at = self._field(number)
        if at is None:
            return None
        kind = np.dtype(dtype).newbyteorder("<")
        start, length = read(at, kind.itemsize)
        return np.frombuffer(self.buffer.data, kind, length, start)

    def integers(self, number: int) -> tuple[int, ...]:
        """Field that is a vector of int32."""
        values = self.array(number, np.int32)
        return () if values is None else tuple(int(v) for v in values)

    def string(self, number: int) -> str:
        """String field; bytes that are not UTF-8 are replaced."""
        values = self.array(number, np.uint8)
        return "" if values is None else values.tobytes().decode("utf-8", "replace")
