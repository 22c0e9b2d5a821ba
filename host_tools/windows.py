"""Where the windows of a parity run come from: a seed, or the user's arrays.

Random windows mix uniform noise with structured signals, because noise alone drives a network into one
corner of its range: constants at both ends and at the zero point reach the clamps and the padding, smooth
walks look like biosignals, and sparse impulses leave most of the accumulators at their bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .errors import HostToolsError
from .tensors import Array, TensorSpec, dequantize, quantize

Scaling = Callable[[Array], Array]
_CONSTANTS = ("lowest", "highest", "zero point")
_CYCLE = ("walk", "noise", "impulses", "noise")


class Windows(Protocol):
    """A source of windows; window `k` is the same whatever was asked for before."""

    @property
    def description(self) -> str: ...  # noqa: D102
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> list[Array]: ...
    def real(self, index: int) -> list[Array]: ...  # noqa: D102


def kind_of(index: int) -> str:
    """Name the kind of the random window `index`."""
    return _CONSTANTS[index] if index < len(_CONSTANTS) else _CYCLE[(index - len(_CONSTANTS)) % len(_CYCLE)]


@dataclass(frozen=True)
class RandomWindows:
    """Windows made from a seed; the same seed and index give the same bytes on every machine."""

    inputs: Sequence[TensorSpec]
    count: int
    seed: int

    @property
    def description(self) -> str:
        """What was compared, for reports."""
        return f"random, seed {self.seed}"

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> list[Array]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        rng = np.random.Generator(np.random.PCG64([self.seed, index]))
        return [_random_tensor(rng, spec, kind_of(index)) for spec in self.inputs]

    def real(self, index: int) -> list[Array]:
        """Window `index` as a float model takes it."""
        return [dequantize(codes, spec) for codes, spec in zip(self[index], self.inputs, strict=True)]


def _random_tensor(rng: np.random.Generator, spec: TensorSpec, kind: str) -> Array:
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, spec.shape).astype(dtype)
    if dtype.kind == "f":
        return rng.standard_normal(spec.shape).astype(dtype)
    limits = np.iinfo(dtype)
    low, high, centre = int(limits.min), int(limits.max), spec.zero_point or 0
    if kind in _CONSTANTS:
        constant = {"lowest": low, "highest": high, "zero point": centre}[kind]
        return np.full(spec.shape, constant, dtype)
    if kind == "noise":
        return rng.integers(low, high, spec.shape, dtype, endpoint=True)
    if kind == "impulses":
        codes = np.full(spec.shape, centre, np.int64)
        hits = rng.random(spec.shape) < 0.02
        return np.where(hits, rng.integers(low, high, spec.shape, endpoint=True), codes).astype(dtype)
    return _walk(rng, spec.shape, centre, (low, high)).astype(dtype)


def _walk(rng: np.random.Generator, shape: tuple[int, ...], centre: int, limits: tuple[int, int]) -> Array:
    """Integer random walks along the longest axis, folded back at the limits as a reflecting wall does."""
    low, high = limits
    axis = int(np.argmax(shape)) if shape else 0
    step = max(1, (high - low) // 40)
    steps = rng.integers(-step, step, shape, endpoint=True)
    path = centre - low + np.cumsum(steps, axis=axis if shape else None).reshape(shape)
    span = high - low
    folded = np.abs(path) % (2 * span)
    return np.asarray(np.where(folded > span, 2 * span - folded, folded) + low)


@dataclass(frozen=True)
class ArrayWindows:
    """Windows from the user's arrays, one per model input, first axis the window."""

    inputs: Sequence[TensorSpec]
    arrays: Sequence[Array]
    description: str
    count: int
    scaling: Scaling | None = None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> list[Array]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return [self._tensor(array[index], spec) for array, spec in zip(self.arrays, self.inputs, strict=True)]

    def real(self, index: int) -> list[Array]:
        """Window `index` as a float model takes it: scaled, and never quantized when it came as real numbers."""
        return [
            dequantize(array[index].reshape(spec.shape), spec)
            if array.dtype == np.dtype(spec.dtype)
            else self._scaled(array[index]).reshape(spec.shape).astype(np.float32)
            for array, spec in zip(self.arrays, self.inputs, strict=True)
        ]

    def _scaled(self, values: Array) -> Array:
        return self.scaling(values[None])[0] if self.scaling and values.dtype.kind == "f" else values

    def _tensor(self, values: Array, spec: TensorSpec) -> Array:
        if values.dtype == np.dtype(spec.dtype):
            return values.reshape(spec.shape)
        return quantize(self._scaled(values).reshape(spec.shape), spec)


def load_windows(
    paths: Sequence[Path], inputs: Sequence[TensorSpec], count: int | None, scaling: Scaling | None = None
) -> ArrayWindows:
    """Open the user's arrays and check them against the model's inputs.

    Parameters
    ----------
    paths
        One .npy file per model input, in the model's order; first axis the window. Integer arrays hold
        codes and must have the input's type; float arrays hold what the float model takes and are
        quantized with the input's scale and zero point (after the bundle's channel scaling, when there is
        one).
    inputs
        The model's inputs.
    count
        How many windows to use from the start; None for all.
    scaling
        From the bundle's channel unit (microvolts) to the model's input.

    Raises
    ------
    HostToolsError
        A missing or unreadable file, a wrong number of files, a shape or type that does not fit, NaN or
        infinity.
    """
    if len(paths) != len(inputs):
        raise HostToolsError(f"the model has {len(inputs)} inputs, --inputs was given {len(paths)} times")
    arrays = [_load_array(path, spec) for path, spec in zip(paths, inputs, strict=True)]
    available = min(len(array) for array in arrays)
    if count is not None and count > available:
        raise HostToolsError(f"--windows asks for {count} windows, {paths[0]} holds {available}")
    names = ", ".join(path.name for path in paths)
    return ArrayWindows(inputs, arrays, names, available if count is None else count, scaling)


def read_npy(path: Path) -> Array:
    """Read one .npy file, refusing pickles.

    Raises
    ------
    HostToolsError
        When the file is missing or is not a NumPy array.
    """
    if not path.is_file():
        raise HostToolsError(f"there is no file {path}")
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise HostToolsError(f"{path} is not a NumPy .npy file of numbers: {error}") from error
    if not isinstance(loaded, np.ndarray) or loaded.dtype.kind not in "iufb":
        raise HostToolsError(f"{path} must hold one array of numbers (.npy)")
    return loaded


def _load_array(path: Path, spec: TensorSpec) -> Array:
    array = read_npy(path)
    elements = int(np.prod(spec.shape))
    if array.ndim < 1 or len(array) == 0 or array[0].size != elements:
        raise HostToolsError(
            f"{path} has shape {list(array.shape)}, the input '{spec.name}' needs {elements} values "
            f"{list(spec.shape)} a window"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise HostToolsError(f"{path} holds NaN or infinite values")
    if array.dtype.kind != "f" and array.dtype != np.dtype(spec.dtype):
        raise HostToolsError(
            f"{path} holds {array.dtype} values, the input '{spec.name}' takes {spec.dtype} codes or real numbers"
        )
    return array


def load_labels(path: Path, count: int) -> Array:
    """Read the class index of each window.

    Raises
    ------
    HostToolsError
        When the file does not hold at least `count` integers.
    """
    labels = read_npy(path)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) < count:
        raise HostToolsError(
            f"{path} must hold one class index per window ({count} integers), got {labels.dtype} of shape "
            f"{list(labels.shape)}"
        )
    return labels[:count]
