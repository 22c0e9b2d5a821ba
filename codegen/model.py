"""What the compiler gives back: descriptions of tensors and layers, and the generated files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .ir import Kept, Tensor
from .memory import Plan

if TYPE_CHECKING:
    from .explain import Explanation


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of the model.

    Attributes
    ----------
    scale, zero_point : float, int
        real = scale * (code - zero_point); None for tensors that are not quantized.
    bytes : int
        Size of the tensor.
    offset : int
        Where it starts when all inputs (or outputs) are laid back to back, each padded to 4 bytes.
    tensor : int
        Its index in the .tflite file.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None
    bytes: int
    offset: int
    tensor: int


@dataclass(frozen=True)
class LayerInfo:
    """A layer that became code.

    Attributes
    ----------
    index : int
        Position in the schedule; what the device reports.
    node : int
        Position of the operator in the .tflite file.
    tensor : int or None
        Index of its first output in the .tflite file; None for a layer of the compiler's own.
    shape, dtype, bytes
        Of that output.
    macs : int
        Multiply-accumulates, padding included.
    weight_bytes : int
        Constants that the layer brings along.
    again : bool
        Whether this is another run of a layer that came before, to save what it made from being kept.
    kept : Kept or None
        Which channels of the model's tensor the layer still computes; None for all.
    """

    index: int
    node: int
    name: str
    op: str
    tensor: int | None
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    macs: int
    weight_bytes: int
    again: bool = False
    kept: Kept | None = None


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that one segment keeps whole for others."""

    name: str
    bytes: int


@dataclass(frozen=True)
class SegmentInfo:
    """One walk over the data.

    Attributes
    ----------
    slices : int
        Of the longest tensor that it walks over.
    sources : tuple of str
        Names of the tensors that it walks over; the model's input for the first.
    layers : int
        How many take part.
    stores : tuple of StoredTensor
        What it keeps whole for later segments and layers.
    again : tuple of str
        Layers that it runs although an earlier segment ran them, to save what they make from being stored.
    again_macs : int
        Multiply-accumulates of those.
    """

    slices: int
    sources: tuple[str, ...]
    layers: int
    stores: tuple[StoredTensor, ...]
    again: tuple[str, ...]
    again_macs: int


@dataclass(frozen=True)
class Alternative:
    """A schedule that was looked at: its state, and flash and instructions as estimated."""

    name: str
    state_bytes: int
    flash_bytes: int
    instructions: int


@dataclass(frozen=True)
class ScheduleInfo:
    """How the generated code walks the network.

    Attributes
    ----------
    name : str
        ``whole``, ``stream-h`` or ``stream-w``.
    axis : str or None
        ``height`` or ``width`` of the input, along which slices are pushed; the first axis behind the batch where it
        has three.
    slices : int
        Slices of one inference; 0 where nothing is pushed.
    plan_bytes, plan_bound : int
        Size of the arena, and the size below which no plan can go.
    spread : int
        Layers that fire in one push at most; 0 for as many as can.
    macs_again : int
        Multiply-accumulates of layers that run once more; 0 where everything is stored.
    instructions, push_mean, push_max, finish : int
        Estimated instructions of an inference, of a push and of ``finish``.
    flash_bytes : int
        Estimated constants and code.
    alternatives : tuple of Alternative
        All schedules that were looked at, the chosen one among them.
    """

    name: str
    axis: str | None
    slices: int
    plan_bytes: int
    plan_bound: int
    spread: int
    macs_again: int
    segments: tuple[SegmentInfo, ...]
    instructions: int
    push_mean: int
    push_max: int
    finish: int
    flash_bytes: int
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True)
class HeldWindow:
    """The window in a model's state: ``window``, which ``<prefix>_fill`` takes for pushed.

    Attributes
    ----------
    free_bytes : int
        At the start of the state, which hold nothing until then.
    """

    free_bytes: int


@dataclass(frozen=True)
class CompiledModel:
    """Generated sources and everything known about them before linking.

    Attributes
    ----------
    held : HeldWindow or None
        Where a model keeps its whole window in the state; None: nowhere.
    """

    prefix: str
    target: str
    model_hash: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: tuple[LayerInfo, ...]
    state_bytes: int
    memory: Plan
    files: Mapping[str, str]
    schedule: ScheduleInfo
    explainer: Callable[[], Explanation] = field(repr=False, compare=False)
    held: HeldWindow | None = None

    @cached_property
    def explanation(self) -> Explanation:
        """What was done to the model and why; worked out when it is asked for."""
        return self.explainer()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all constants."""
        return sum(layer.weight_bytes for layer in self.layers)

    def write(self, folder: Path | str) -> Path:
        """Write the generated library; files that already hold the same text are left untouched.

        Several models may share one folder: their kernels are the same files.
        """
        root = Path(folder)
        for name, text in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_text() != text:
                path.write_text(text)
        return root


@dataclass(frozen=True)
class LayerReport:
    """One operator of a model as :func:`~thumbnet.codegen.analyze_model` sees it."""

    index: int
    name: str
    op: str
    shape: tuple[int, ...]
    macs: int
    supported: bool
    reason: str


@dataclass(frozen=True)
class Analysis:
    """Every operator of a model, supported or not."""

    model_hash: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: tuple[LayerReport, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the supported layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def unsupported(self) -> tuple[LayerReport, ...]:
        """Layers that stand in the way of code generation."""
        return tuple(layer for layer in self.layers if not layer.supported)


def describe(tensors: list[Tensor]) -> tuple[TensorInfo, ...]:
    """Describe the model's inputs or outputs, laid back to back."""
    infos: list[TensorInfo] = []
    offset = 0
    for tensor in tensors:
        q = tensor.quantization
        scale, zero_point = (q.scale, q.zero_point) if q else (None, None)
        infos.append(
            TensorInfo(tensor.name, tensor.shape, tensor.dtype, scale, zero_point, tensor.bytes, offset, tensor.index)
        )
        offset += -(-tensor.bytes // 4) * 4
    return tuple(infos)
