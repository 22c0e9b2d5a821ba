"""What one operator of the compiler consists of: its constraints, its cost and its translation into kernel calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ir import Graph, Node, Tensor
from ..quantized_math import Multiplier, activation_range, output_size, padding_before

MAX_DIMENSION = 65535
#: Bytes of a sum over a stream: 16 bits hold those of at most so many codes.
SUM_BYTES, FEW_BYTES, FEW_CODES = 4, 2, 256
#: Rows that live on the stack while a row of output is made, at most.
STACK_ROWS_BYTES = 512


@dataclass(frozen=True)
class Constraint:
    """One thing that must hold: the check, the error text and the row of the documentation in one place.

    `check` gives None when the constraint holds, otherwise what was found instead.
    """

    text: str
    check: Callable[[Graph, Node], str | None]
    remedy: str = ""


@dataclass(frozen=True)
class Array:
    """Constant array of the generated C file."""

    name: str
    ctype: str
    values: npt.NDArray[Any]


@dataclass(frozen=True)
class Scratch:
    """Local array that a call may use, named ``{name}`` in its arguments."""

    ctype: str
    name: str
    length: int


#: Name of the form of a layer whose constants are the smallest, and which all layers of its kind can share.
SMALL = "small"

#: Value of a C initializer: a number, a symbol, a list or named fields.
Init = int | str | Sequence["Init"] | Mapping[str, "Init"]


@dataclass(frozen=True)
class Call:
    """One kernel call.

    `arguments` are C expressions with placeholders: ``{params}`` (address of the structure), ``{in0}``, ``{out0}``,
    ``{rows}`` (scratch row pointers) or the name of one of the arrays. `params` may name arrays as ``{name}`` too.
    """

    function: str
    arguments: tuple[str, ...]
    struct: str = ""
    params: Mapping[str, Init] = field(default_factory=dict)


@dataclass(frozen=True)
class Chain:
    """Two kernels in one layer: the second reads rows that the first has just made and that nothing else keeps.

    Attributes
    ----------
    first, second : Lowered
        One call each, for one row.
    rows : mapping
        `tn_axis` of the layer: its input rows under one row of output.
    made : int
        Rows that the first makes for one row of the second.
    distance : int
        Input rows between the windows of two of them.
    length : int
        Rows that the first makes in all; the last row of output may find fewer than `made`.
    row_bytes : int
        Of one of them.
    nodes : tuple of Node
        The two layers that became one.
    """

    first: Lowered
    second: Lowered
    rows: Mapping[str, Init]
    made: int
    distance: int
    length: int
    row_bytes: int
    nodes: tuple[Node, Node]

    @property
    def bytes(self) -> int:
        """Of the rows in between."""
        return self.made * self.row_bytes

    @property
    def on_stack(self) -> bool:
        """Whether these are local to the function of the layer; more of them lie in the arena."""
        return self.bytes <= STACK_ROWS_BYTES


@dataclass(frozen=True)
class Lowered:
    """Translation of one layer.

    Attributes
    ----------
    kernels : tuple of str
        Stems of the C files in ``firmware/kernels`` that the calls need.
    overlays : tuple of (int, int)
        (input position, output position) pairs where the output may lie over the input, starting at or before it.
    window_rows : int
        Row pointers that the kernel needs as scratch.
    inline : str
        Stem of the header whose inline functions are the kernel; the call then becomes a function of its own, with
        `scratch` on its stack.
    border : str
        Name of the array that row pointers of padding point at; NULL if there is none.
    multipliers : tuple of Multiplier
        TFLite's rescaling of every output channel, where the kernels' constants are proven ones.
    alias : bool
        True when the output is the input under another shape: no code at all.
    chain : Chain or None
        The two kernels of a layer that was made of two; there are no calls then.
    forms : callable or None
        Gives other translations that are as exact, by name, for networks whose layers shall share one kernel.
    """

    kernels: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    arrays: tuple[Array, ...] = ()
    overlays: tuple[tuple[int, int], ...] = ()
    window_rows: int = 0
    inline: str = ""
    scratch: tuple[Scratch, ...] = ()
    border: str = ""
    multipliers: tuple[Multiplier, ...] = ()
    alias: bool = False
    chain: Chain | None = None
    forms: Callable[[], Iterable[tuple[str, Lowered]]] | None = field(default=None, compare=False, repr=False)

    @property
    def parts(self) -> tuple[Lowered, ...]:
        """What holds the calls and constants: this translation itself, or both of its chain."""
        return (self,) if self.chain is None else (self.chain.first, self.chain.second)


@dataclass(frozen=True)
class Window:
    """Slices of the input that one output slice needs: first = y * stride - pad, then `kernel` taps."""

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    def first(self, y: int) -> int:
        """First slice under window `y`; may lie before the stream."""
        return y * self.stride - self.pad

    def last(self, y: int) -> int:
        """Last slice under window `y`; may lie behind the stream."""
        return self.first(y) + (self.kernel - 1) * self.dilation


@dataclass(frozen=True)
class StreamRule:
    """How one layer runs inside a stream; see :class:`thumbnet.codegen.streaming.Stage` for the fields."""

    window: Window
    lowered: Lowered
    finish: Lowered | None = None
    accumulator_bytes: int = 0

    def wide(self) -> StreamRule:
        """The same with sums of 32 bits in place of 16, for targets whose kernels sum in vectors of them."""
        if self.finish is None or not self.finish.calls[0].function.endswith("_few"):
            return self
        add, finish = (
            replace(part, calls=tuple(replace(c, function=c.function.removesuffix("_few")) for c in part.calls))
            for part in (self.lowered, self.finish)
        )
        return replace(self, lowered=add, finish=finish, accumulator_bytes=2 * self.accumulator_bytes)


#: Gives the graph as one slice sees it, for a node.
Slicer = Callable[[Node], Graph]
Streamer = Callable[[Graph, Node, Slicer], StreamRule | None]


def no_macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of an operator that has none."""
    return 0


@dataclass(frozen=True)
class Operator:
    """One row of the compiler's operator table."""

    name: str
    constraints: tuple[Constraint, ...]
    lower: Callable[[Graph, Node], Lowered]
    macs: Callable[[Graph, Node], int] = no_macs
    #: How the operator runs slice by slice; None where it needs its whole input.
    stream: Streamer | None = None
    #: What the operator computes and from which specification, one line for the documentation.
    summary: str = ""


# --- constraints that many operators share ------------------------------------------------------------------


def _types(positions: Sequence[int], allowed: tuple[str, ...]) -> Callable[[Graph, Node], str | None]:
    def check(graph: Graph, node: Node) -> str | None:
        tensors = [graph.optional(node, p) for p in positions] + [graph.tensors[i] for i in node.outputs]
        found = [t for t in tensors if t is not None and t.dtype not in allowed]
        return f"'{found[0].name}' is {found[0].dtype}" if found else None

    return check


def int8_tensors(inputs: int) -> Constraint:
    """The first `inputs` inputs and every output are int8."""
    return Constraint(
        "inputs and outputs are int8",
        _types(range(inputs), ("int8",)),
        "convert with full-integer quantization and int8 inputs and outputs",
    )


#: Types of values that C holds and the generated code may move.
MOVABLE_TYPES = ("int8", "uint8", "bool", "int16", "int32", "float32")


def movable_tensors(inputs: Sequence[int]) -> Constraint:
    """Values that are only moved may have any type that C holds, and every value that a C literal can have."""
    typed = _types(inputs, MOVABLE_TYPES)

    def check(graph: Graph, node: Node) -> str | None:
        for tensor in (graph.optional(node, p) for p in inputs):
            if tensor is not None and tensor.data is not None and not np.isfinite(tensor.data).all():
                return f"'{tensor.name}' holds values that are not finite"
        types = {t.dtype for t in (graph.optional(node, p) for p in inputs) if t is not None}
        types |= {graph.tensors[i].dtype for i in node.outputs}
        return typed(graph, node) or (None if len(types) == 1 else f"they are {' and '.join(sorted(types))}")

    return Constraint(f"inputs and outputs have one type out of {', '.join(MOVABLE_TYPES)}", check)


_SCALE_EXPONENT = 60  # beyond 2 to this power, ratios of scales leave what float32 holds


def per_tensor(inputs: int) -> Constraint:
    """The first `inputs` inputs and every output have one scale and an int8 zero point."""

    def check(graph: Graph, node: Node) -> str | None:
        tensors = [graph.input(node, i) for i in range(inputs)] + [graph.tensors[i] for i in node.outputs]
        for tensor in tensors:
            if tensor.quantization is None or len(tensor.quantization.scales) != 1:
                return f"'{tensor.name}' has not exactly one scale"
            if not -128 <= tensor.q.zero_point <= 127:
                return f"'{tensor.name}' has zero point {tensor.q.zero_point}"
            if not 2.0**-_SCALE_EXPONENT <= tensor.q.scale <= 2.0**_SCALE_EXPONENT:
                return f"'{tensor.name}' has scale {tensor.q.scale:g}"
        return None

    text = f"one scale from 2^-{_SCALE_EXPONENT} to 2^{_SCALE_EXPONENT} and a zero point from -128 to 127"
    return Constraint(f"inputs and outputs have {text}", check)


PER_TENSOR = per_tensor(1)

_LARGEST_SHIFT = 30


def rescaling(multipliers: Callable[[Graph, Node], Iterable[Multiplier]]) -> Constraint:
    """No value is scaled up by more bits than 32 hold."""

    def check(graph: Graph, node: Node) -> str | None:
        shift = max((m.shift for m in multipliers(graph, node)), default=0)
        return None if shift <= _LARGEST_SHIFT else f"the factor is 2^{shift}"

    return Constraint(f"the output's scale is at most 2^{_LARGEST_SHIFT} times finer than the inputs' call for", check)


def _small_dimensions(graph: Graph, node: Node) -> str | None:
    tensors = [graph.optional(node, p) for p in range(len(node.inputs))] + [graph.tensors[i] for i in node.outputs]
    for tensor in tensors:
        if tensor is not None and max(tensor.shape, default=1) > MAX_DIMENSION:
            return f"'{tensor.name}' has shape {list(tensor.shape)}"
        if tensor is not None and min(tensor.shape, default=1) < 1:
            return f"'{tensor.name}' has shape {list(tensor.shape)}"
    return None


SMALL_DIMENSIONS = Constraint(f"dimensions are 1 to {MAX_DIMENSION}", _small_dimensions)


def _same_elements(graph: Graph, node: Node) -> str | None:
    source, target = graph.input(node, 0), graph.output(node)
    return None if source.elements == target.elements else f"{list(source.shape)} to {list(target.shape)}"


SAME_ELEMENTS = Constraint("input and output have as many elements", _same_elements)


def rank(dimensions: int) -> Constraint:
    """Input 0 and the output have this many dimensions, batch 1."""

    def check(graph: Graph, node: Node) -> str | None:
        for tensor in (graph.input(node, 0), graph.output(node)):
            if len(tensor.shape) != dimensions or tensor.shape[0] != 1:
                return f"'{tensor.name}' has shape {list(tensor.shape)}"
        return None

    return Constraint(
        f"input and output have {dimensions} dimensions, batch 1", check, "convert with a fixed batch of 1"
    )


def activation(*allowed: str) -> Constraint:
    """The fused activation is one of `allowed`, and its limits fit 32 bits as codes, which TFLM asks for."""

    def check(graph: Graph, node: Node) -> str | None:
        name = node.attrs["activation"]
        if name not in allowed:
            return f"got {name}"
        tensor = graph.output(node)
        tiny = tensor.quantization is not None and tensor.q.scale < 6 * 2.0**-31
        return f"got {name} at scale {tensor.q.scale:g}" if tiny and name in ("RELU6", "RELU_N1_TO_1") else None

    return Constraint(f"fused activation is one of {', '.join(allowed)}", check)


CLAMPS = activation("NONE", "RELU", "RELU_N1_TO_1", "RELU6")


def constant_input(position: int, what: str, dtype: str = "int32") -> Constraint:
    """Input `position` is a constant of type `dtype`."""

    def check(graph: Graph, node: Node) -> str | None:
        tensor = graph.optional(node, position)
        if tensor is None:
            return "it is absent"
        if tensor.data is None:
            return f"'{tensor.name}' is computed at run time"
        return None if tensor.dtype == dtype else f"'{tensor.name}' is {tensor.dtype}"

    return Constraint(f"{what} is a constant of type {dtype}", check)


def same_quantization(inputs: Sequence[int] = (0,)) -> Constraint:
    """Moving values must not change what they mean: every tensor has one scale and zero point."""

    def check(graph: Graph, node: Node) -> str | None:
        tensors = [graph.optional(node, p) for p in inputs] + [graph.tensors[i] for i in node.outputs]
        found = {t.quantization for t in tensors if t is not None and t.dtype == "int8"}
        return None if len(found) <= 1 else "they differ"

    return Constraint("inputs and outputs have the same scale and zero point", check)


# --- pieces of translation that many operators share --------------------------------------------------------


def axis(attrs: Mapping[str, Any], which: str, size: int, out: int, kernel: int) -> dict[str, Init]:
    """Initializer of a `tn_axis` along "h" or "w"."""
    stride, dilation = attrs[f"stride_{which}"], attrs.get(f"dilation_{which}", 1)
    return {
        "in": size,
        "out": out,
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "pad": window_padding(attrs, which, size, kernel),
    }


def window_padding(attrs: Mapping[str, Any], which: str, size: int, kernel: int) -> int:
    """Padding before the first of `size` elements along "h" or "w".

    A pass that takes a PAD into the window sets `pad_h` and `pad_w` to what lies (before, after) the input.
    """
    if f"pad_{which}" in attrs:
        before: int = attrs[f"pad_{which}"][0]
        return before
    return padding_before(attrs["padding"], size, kernel, attrs[f"stride_{which}"], attrs.get(f"dilation_{which}", 1))


def windows_fit(kernel: Callable[[Graph, Node], tuple[int, int]]) -> Constraint:
    """Stride, dilation, padding and kernel lead from the input's shape to the output's."""

    def check(graph: Graph, node: Node) -> str | None:
        source, target = graph.input(node, 0), graph.output(node)
        for position, (which, size) in enumerate(zip("hw", kernel(graph, node), strict=True)):
            stride, dilation = node.attrs[f"stride_{which}"], node.attrs.get(f"dilation_{which}", 1)
            if min(stride, dilation, size) < 1 or max(stride, (size - 1) * dilation + 1) > MAX_DIMENSION:
                return f"kernel {size}, stride {stride}, dilation {dilation}"
            length = source.shape[position + 1]
            expected = output_size(node.attrs["padding"], length, size, stride, dilation)
            if expected != target.shape[position + 1]:
                return f"{length} elements give {expected}, the file says {target.shape[position + 1]}"
        return None

    return Constraint("the windows lead from the input's shape to the output's", check)


def output_limits(node: Node, tensor: Tensor) -> dict[str, Init]:
    """Initializer of a `tn_output_s8`."""
    low, high = activation_range(node.attrs.get("activation", "NONE"), tensor.q.scale, tensor.q.zero_point)
    return {"zero_point": tensor.q.zero_point, "min": low, "max": high}


def row_window(lower: Callable[[Graph, Node], Lowered]) -> Streamer:
    """Rule of operators whose kernel has a `_row` function beside the `_run` function."""

    def rule(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
        lowered = lower(graph, node)
        (call,) = lowered.calls
        rows = call.params["rows"]
        assert isinstance(rows, Mapping)
        kernel, stride, dilation, pad = (int(str(rows[key])) for key in ("kernel", "stride", "dilation", "pad"))
        row = replace(call, function=call.function.replace("_run", "_row"), arguments=("{params}", "{rows}", "{out0}"))
        return StreamRule(Window(kernel, stride, dilation, pad), replace(lowered, calls=(row,), overlays=()))

    return rule


def slice_by_slice(lower: Callable[[Graph, Node], Lowered]) -> Streamer:
    """Rule of element-wise operators: one slice in, one slice out."""

    def rule(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
        shape = graph.output(node).shape
        if len(shape) < 3 or shape[0] != 1:
            return None
        # Shapes broadcast from their ends. What the stream does not bring along must be the same for all slices.
        seen, axis = slicer(node), len(shape) - 1
        inputs = [graph.tensors[i] for i in node.inputs if i is not None and seen.tensors[i] is graph.tensors[i]]
        if any(len(t.shape) >= axis and t.shape[-axis] != 1 for t in inputs):
            return None
        return StreamRule(Window(), lower(seen, node))

    return rule


def window_overlay(attrs: Mapping[str, Any], rows: Mapping[str, Any], cols: Mapping[str, Any]) -> bool:
    """True when a pooling window has left every byte behind before its output reaches it."""
    return bool(rows["pad"] < attrs["stride_h"] and cols["pad"] < attrs["stride_w"])
