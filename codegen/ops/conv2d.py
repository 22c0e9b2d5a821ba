"""CONV_2D: https://ai.google.dev/edge/litert/models/quantization_spec (int8, per-channel weights)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..ir import Graph, Node, Tensor
from ..quantized_math import INT8_MAX, INT8_MIN, Multiplier, activation_range, conv_multipliers
from ..requantize import choose_scaling
from .base import (
    CLAMPS,
    PER_TENSOR,
    SMALL_DIMENSIONS,
    Array,
    Call,
    Constraint,
    Init,
    Lowered,
    Operator,
    axis,
    constant_input,
    int8_tensors,
    output_limits,
    rank,
    rescaling,
    row_window,
    windows_fit,
)

_Weights = npt.NDArray[np.int64]


def kernel_size(graph: Graph, node: Node) -> tuple[int, int]:
    """Height and width of the filters."""
    shape = graph.input(node, 1).shape
    return shape[1], shape[2]


def _channels_match(graph: Graph, node: Node) -> str | None:
    weights, source, target = graph.input(node, 1), graph.input(node, 0), graph.output(node)
    if len(weights.shape) != 4 or weights.shape[3] != source.shape[-1] or weights.shape[0] != target.shape[-1]:
        return f"weights {list(weights.shape)}, input {list(source.shape)}, output {list(target.shape)}"
    return None


def weight_constraints(axis: int) -> tuple[Constraint, ...]:
    """The weights are int8 constants, symmetric, with one scale or one per index of `axis`, the output channels."""

    def symmetric(graph: Graph, node: Node) -> str | None:
        return "a zero point is not 0" if any(graph.input(node, 1).q.zero_points) else None

    def scaled(graph: Graph, node: Node) -> str | None:
        weights = graph.input(node, 1)
        if len(weights.q.scales) == 1 or weights.q.axis == axis % len(weights.shape):
            return None
        return f"there are {len(weights.q.scales)} along axis {weights.q.axis}"

    return (
        constant_input(1, "the weight tensor", "int8"),
        Constraint("weights have zero point 0", symmetric),
        Constraint("weights have one scale, or one per output channel", scaled),
    )


def bias_constraint(channels: int) -> Constraint:
    """The bias is absent or a constant with one int32 per output channel, the last dimension of the output."""

    def check(graph: Graph, node: Node) -> str | None:
        bias = graph.optional(node, 2)
        if bias is None:
            return None
        if bias.data is None or bias.dtype != "int32" or bias.elements != graph.output(node).shape[channels]:
            return f"'{bias.name}' is {bias.dtype} {list(bias.shape)}"
        return None

    return Constraint("the bias is absent or one constant int32 per output channel", check)


#: Accumulators must not overflow, not even half-way with the zero point folded into the bias: |b| + 256 sum|w|.
ACCUMULATOR_LIMIT = 1 << 31


def folded_bias(weights: _Weights, axes: tuple[int, ...], bias: Tensor | None, zero_point: int) -> _Weights:
    """Bias with the input's zero point folded in: sum(w * (x - z)) + b = sum(w * x) + (b - z * sum(w))."""
    values = 0 if bias is None or bias.data is None else bias.data.astype(np.int64).reshape(-1)
    folded: _Weights = values - zero_point * weights.sum(axis=axes)
    return folded


def channel_array(graph: Graph, node: Node, axes: tuple[int, ...], multipliers: Sequence[Multiplier]) -> Array:
    """Bias and proven requantization of every output channel, as `tn_channel`."""
    source, target, data = graph.input(node, 0), graph.output(node), graph.input(node, 1).data
    assert data is not None  # a constraint
    weights = data.astype(np.int64)
    bias = folded_bias(weights, axes, graph.optional(node, 2), source.q.zero_point)
    extremes = np.stack([weights * code for code in (INT8_MIN, INT8_MAX)])
    low = bias + extremes.min(axis=0).sum(axis=axes)
    high = bias + extremes.max(axis=0).sum(axis=axes)
    limits = activation_range(node.attrs["activation"], target.q.scale, target.q.zero_point)
    prove = not node.attrs.get("round_twice", False)
    scalings = choose_scaling(multipliers, low, high, target.q.zero_point, limits, prove=prove)
    rows = [(b, s.multiplier, s.offset, s.offset_negative) for b, s in zip(bias.tolist(), scalings, strict=True)]
    return Array("channels", "tn_channel", np.array(rows, np.int64))


def accumulator_fits(axes: tuple[int, ...]) -> Constraint:
    """The int32 accumulator cannot overflow for any input."""

    def check(graph: Graph, node: Node) -> str | None:
        weights, bias = graph.input(node, 1).data, graph.optional(node, 2)
        if weights is None:
            return None
        reach = 256 * np.abs(weights.astype(np.int64)).sum(axis=axes)
        if bias is not None and bias.data is not None:
            reach = reach + np.abs(bias.data.astype(np.int64)).reshape(-1)
        return None if reach.max() < ACCUMULATOR_LIMIT else f"it could reach {int(reach.max())}"

    return Constraint("the accumulator stays within 32 bits for every input", check)


def weight_scales(graph: Graph, node: Node, channels: int) -> Sequence[float]:
    """One scale per output channel."""
    scales = graph.input(node, 1).q.scales
    return scales * channels if len(scales) == 1 else scales


def channel_multipliers(graph: Graph, node: Node, channels: int) -> list[Multiplier]:
    """Rescaling of each output channel's accumulator."""
    source, target = graph.input(node, 0).q, graph.output(node).q
    return list(conv_multipliers(source.scale, weight_scales(graph, node, channels), target.scale))


def macs(graph: Graph, node: Node) -> int:
    """One per weight and output pixel, padding included (the usual convention)."""
    height, width = kernel_size(graph, node)
    return graph.output(node).elements * height * width * graph.input(node, 0).shape[-1]


def lower(graph: Graph, node: Node) -> Lowered:
    """One call of `tn_conv2d_s8_run`."""
    source, weights, target = graph.input(node, 0), graph.input(node, 1), graph.output(node)
    height, width = kernel_size(graph, node)
    rows = axis(node.attrs, "h", source.shape[1], target.shape[1], height)
    cols = axis(node.attrs, "w", source.shape[2], target.shape[2], width)
    return lower_conv(graph, node, rows, cols, channel_multipliers(graph, node, weights.shape[0]))


def lower_conv(
    graph: Graph, node: Node, rows: dict[str, Init], cols: dict[str, Init], multipliers: Sequence[Multiplier]
) -> Lowered:
    """The call for weights [out, ..., in] and a window that is already known; FULLY_CONNECTED uses it too."""
    source, weights, target = graph.input(node, 0), graph.input(node, 1), graph.output(node)
    assert weights.data is not None  # a constraint
    axes = tuple(range(1, len(weights.shape)))
    params: dict[str, Init] = {
        "rows": rows,
        "cols": cols,
        "in_channels": weights.shape[-1],
        "out_channels": weights.shape[0],
        "in_zero_point": source.q.zero_point,
        "output": output_limits(node, target),
        **{name: "{" + name + "}" for name in ("weights", "channels")},
    }
    return Lowered(
        kernels=("tn_conv2d_s8",),
        calls=(Call("tn_conv2d_s8_run", ("{params}", "{rows}", "{in0}", "{out0}"), "tn_conv2d_s8", params),),
        arrays=(
            Array("weights", "int8_t", weights.data),
            channel_array(graph, node, axes, multipliers),
        ),
        window_rows=int(str(rows["kernel"])),
        multipliers=tuple(multipliers),
    )


def scales_down(graph: Graph, node: Node) -> Sequence[Multiplier]:
    """Rescaling of each output channel's accumulator, for a constraint."""
    return channel_multipliers(graph, node, graph.output(node).shape[-1])


OPERATOR = Operator(
    "CONV_2D",
    (
        int8_tensors(1),
        *weight_constraints(0),
        PER_TENSOR,
        SMALL_DIMENSIONS,
        rank(4),
        Constraint("the filters span all input channels (no groups)", _channels_match),
        CLAMPS,
        windows_fit(kernel_size),
        bias_constraint(-1),
        accumulator_fits((1, 2, 3)),
        rescaling(scales_down),
    ),
    lower,
    macs,
    row_window(lower),
    summary="2-D convolution, per-tensor or per-channel weights",
)
