"""Windows as bytes: the block layout of the device application, and float to integer and back.

A window is one set of input tensors, a list of arrays. On the wire it is one block: tensors back to back
in the model's order, each padded with zeros to a multiple of 4 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import HostToolsError, LinkError

Array = npt.NDArray[Any]
ALIGNMENT = 4


class TensorSpec(Protocol):
    """What the host tools need to know of a model's input or output (`codegen.TensorInfo` has it)."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> str: ...  # noqa: D102
    @property
    def scale(self) -> float | None: ...  # noqa: D102
    @property
    def zero_point(self) -> int | None: ...  # noqa: D102
    @property
    def bytes(self) -> int: ...  # noqa: D102


def padded(size: int) -> int:
    """Round a tensor's size up to the block's alignment, bytes."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def block_bytes(specs: Sequence[TensorSpec]) -> int:
    """Size of the block that holds these tensors, bytes."""
    return sum(padded(spec.bytes) for spec in specs)


def pack(arrays: Sequence[Array]) -> bytes:
    """Lay tensors out as the device application expects them."""
    parts = [np.ascontiguousarray(array).tobytes() for array in arrays]
    return b"".join(part.ljust(padded(len(part)), b"\0") for part in parts)


def unpack(block: bytes, specs: Sequence[TensorSpec]) -> list[Array]:
    """Cut a block back into tensors.

    Raises
    ------
    LinkError
        When the block is not exactly as long as the tensors need.
    """
    if len(block) != block_bytes(specs):
        raise LinkError(f"the device answered {len(block)} bytes, the model's outputs need {block_bytes(specs)}")
    arrays, start = [], 0
    for spec in specs:
        flat = np.frombuffer(
            block, np.dtype(spec.dtype).newbyteorder("<"), spec.bytes // np.dtype(spec.dtype).itemsize, start
        )
        arrays.append(flat.reshape(spec.shape))
        start += padded(spec.bytes)
    return arrays


def quantize(values: Array, spec: TensorSpec) -> Array:
    """Turn real values into the codes of a tensor: round half to even, then saturate.

    Raises
    ------
    HostToolsError
        When the tensor is integer but has no scale.
    """
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return values.astype(dtype)
    if spec.scale is None:
        raise HostToolsError(f"the input '{spec.name}' has no scale: give {spec.dtype} codes, not real numbers")
    limits = np.iinfo(dtype)
    codes = np.round(values.astype(np.float64) / spec.scale) + (spec.zero_point or 0)
    return np.clip(codes, limits.min, limits.max).astype(dtype)


def dequantize(codes: Array, spec: TensorSpec) -> npt.NDArray[np.float32]:
    """Turn the codes of a tensor into real values; without a scale a code is the value."""
    if spec.scale is None:
        return codes.astype(np.float32)
    return ((codes.astype(np.int64) - (spec.zero_point or 0)) * spec.scale).astype(np.float32)
