"""Parity: whether a device computes, byte for byte, what the oracle computes.

This module compares; who the device is and how it was built is the caller's affair (`workbench.py`).
What a parity run proves: for the windows that were run, every byte of every output is the oracle's. What it
does not: other windows, timing, or anything about the model's quality.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from thumbnet.codegen.ir import Kept

from .errors import DeviceError
from .link.checksum import layer_checksum
from .oracle import Oracle
from .tensors import Array, TensorSpec, pack, unpack
from .windows import Windows

Progress = Callable[[int], None]


class ParityReply(Protocol):
    """The device's answer in parity mode."""

    @property
    def outputs(self) -> bytes: ...  # noqa: D102
    @property
    def checksums(self) -> Sequence[int]: ...  # noqa: D102


class Device(Protocol):
    """The part of the device link that a comparison uses."""

    def infer(self, block: bytes) -> bytes: ...  # noqa: D102
    def parity(self, block: bytes) -> ParityReply: ...  # noqa: D102


@dataclass(frozen=True)
class Layer:
    """A layer as generated, and the tensor of the model that it must equal (None when it has no counterpart).

    `kept` says which channels of that tensor the layer computes, where the compiler removed some.
    """

    index: int
    name: str
    op: str
    tensor: int | None
    kept: Kept | None = None

    def checksum(self, tensor: Array) -> int:
        """What the device must report for the model's whole tensor."""
        if self.kept is not None:
            tensor = tensor[..., list(self.kept.channels)]
            for position, code in enumerate(self.kept.codes):
                if code is not None:
                    tensor[..., position] = code
        return layer_checksum(tensor)


@dataclass(frozen=True)
class Divergence:
    """The first layer whose output differs, in the first window that shows it."""

    index: int
    name: str
    op: str
    window: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"index": self.index, "name": self.name, "op": self.op, "window": self.window}


@dataclass
class Comparison:
    """What differed over all windows."""

    windows: int = 0
    bytes: int = 0
    mismatches: int = 0
    max_abs_diff: float = 0.0
    bad_windows: list[int] = field(default_factory=list)
    device_classes: list[int] = field(default_factory=list)
    oracle_classes: list[int] = field(default_factory=list)
    diverging: Divergence | None = None

    def add(self, got: Sequence[Array], expected: Sequence[Array]) -> None:
        """Take in the outputs of the next window."""
        bad = 0
        for a, b in zip(got, expected, strict=True):
            self.bytes += b.nbytes
            bad += _differing_bytes(a, b)
            self.max_abs_diff = max(self.max_abs_diff, _largest_difference(a, b))
        if bad:
            self.bad_windows.append(self.windows)
        self.mismatches += bad
        self.device_classes.append(int(np.argmax(got[0])))
        self.oracle_classes.append(int(np.argmax(expected[0])))
        self.windows += 1


def _differing_bytes(got: Array, expected: Array) -> int:
    a = np.frombuffer(np.ascontiguousarray(got).tobytes(), np.uint8)
    b = np.frombuffer(np.ascontiguousarray(expected).tobytes(), np.uint8)
    return int(np.count_nonzero(a != b))


def _largest_difference(got: Array, expected: Array) -> float:
    if not got.size or np.array_equal(got, expected):
        return 0.0
    difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    # A NaN from the device is as far off as can be told.
    return float(np.nan_to_num(difference, nan=np.finfo(np.float64).max).max())


class Expected:
    """The oracle's outputs, computed once however many boards ask for them.

    Safe to use from several threads; the interpreters behind it are not, hence the lock.
    """

    def __init__(self, oracle: Oracle, windows: Windows) -> None:
        self.windows = windows
        self.oracle_name = oracle.name
        self._oracle = oracle
        self._lock = threading.Lock()
        self._outputs: dict[int, list[Array]] = {}

    def outputs(self, window: int, inputs: Sequence[Array]) -> list[Array]:
        """Outputs of one window, whose inputs the caller has at hand."""
        with self._lock:
            if window not in self._outputs:
                self._outputs[window] = [np.array(a) for a in self._oracle.run(inputs)]
            return self._outputs[window]

    def checksums(self, inputs: Sequence[Array], layers: Sequence[Layer]) -> list[int | None]:
        """Checksum of each layer's tensor; None for a layer that the model itself does not have."""
        with self._lock:
            tensors = self._oracle.run_all(inputs)
            return [None if layer.tensor is None else layer.checksum(tensors[layer.tensor]) for layer in layers]


def compare(
    device: Device, expected: Expected, outputs: Sequence[TensorSpec], progress: Progress = lambda _: None
) -> Comparison:
    """Run every window on the device and compare every output byte.

    Parameters
    ----------
    device
        Connected, running the model.
    expected
        The oracle with the windows.
    outputs
        The model's outputs.
    progress
        Called with 1 after each window.

    Raises
    ------
    DeviceError
        When the device stops answering or answers rubbish; the message names the window.
    """
    found = Comparison()
    for window in range(len(expected.windows)):
        inputs = expected.windows[window]
        got = _ask(window, device.infer, inputs)
        found.add(unpack(got, outputs), expected.outputs(window, inputs))
        progress(1)
    return found


def compare_layers(
    device: Device,
    expected: Expected,
    outputs: Sequence[TensorSpec],
    layers: Sequence[Layer],
    progress: Progress = lambda _: None,
) -> Comparison:
    """As :func:`compare`, with a device built to observe its layers; every layer of every window is compared."""
    found = Comparison()
    for window in range(len(expected.windows)):
        inputs = expected.windows[window]
        reply = _ask(window, device.parity, inputs)
        found.add(unpack(reply.outputs, outputs), expected.outputs(window, inputs))
        if found.diverging is None:
            found.diverging = _diverging(window, reply.checksums, expected.checksums(inputs, layers), layers)
        progress(1)
    return found


def first_divergence(
    device: Device, expected: Expected, layers: Sequence[Layer], windows: Sequence[int]
) -> Divergence | None:
    """Find the first layer that differs, in the first of the given windows that shows one.

    Parameters
    ----------
    device
        Built to observe its layers.
    expected
        The oracle with the windows.
    layers
        The layers in the order the device runs them.
    windows
        Windows whose outputs differed.

    Returns
    -------
    The divergence, or None when all layers agree in the observing build: then the fault only exists without
    observation.
    """
    for window in windows:
        inputs = expected.windows[window]
        reply = _ask(window, device.parity, inputs)
        found = _diverging(window, reply.checksums, expected.checksums(inputs, layers), layers)
        if found:
            return found
    return None


def differs(device: Device, expected: Expected, outputs: Sequence[TensorSpec], windows: Sequence[int]) -> bool:
    """Whether any output byte of the given windows differs."""
    found = Comparison()
    for window in windows:
        inputs = expected.windows[window]
        found.add(unpack(_ask(window, device.infer, inputs), outputs), expected.outputs(window, inputs))
    return found.mismatches > 0


def _diverging(
    window: int, got: Sequence[int], expected: Sequence[int | None], layers: Sequence[Layer]
) -> Divergence | None:
    if len(got) != len(layers):
        raise DeviceError(f"the device observed {len(got)} layers, the generated code has {len(layers)}")
    for layer, b in zip(layers, expected, strict=True):
        if b is not None and got[layer.index] != b:
            return Divergence(layer.index, layer.name, layer.op, window)
    return None


def _ask(window: int, call: Callable[[bytes], Any], inputs: Sequence[Array]) -> Any:
    try:
        return call(pack(inputs))
    except DeviceError as error:
        raise type(error)(f"window {window}: {error}") from error
