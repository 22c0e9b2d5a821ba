"""DEPTHWISE_CONV_2D: https://ai.google.dev/edge/litert/models/quantization_spec (int8, per-channel weights)."""

from __future__ import annotations

from ..ir import Graph, Node
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
    int8_tensors,
    output_limits,
    rank,
    rescaling,
    row_window,
    windows_fit,
)
from .conv2d import (
    accumulator_fits,
    bias_constraint,
    channel_array,
    channel_multipliers,
    kernel_size,
    scales_down,
    weight_constraints,
)


def _channels_match(graph: Graph, node: Node) -> str | None:
    weights, source, target = graph.input(node, 1), graph.input(node, 0), graph.output(node)
    channels = target.shape[-1]
    fits = len(weights.shape) == 4 and weights.shape[0] == 1 and weights.shape[3] == channels
    if fits and channels % source.shape[-1] == 0:
        return None
    return f"weights {list(weights.shape)}, input {list(source.shape)}, output {list(target.shape)}"


def macs(graph: Graph, node: Node) -> int:
    """One per tap and output code, padding included."""
    height, width = kernel_size(graph, node)
    return graph.output(node).elements * height * width


def lower(graph: Graph, node: Node) -> Lowered:
    """One call of `tn_depthwise_conv2d_s8_run`."""
    source, weights, target = graph.input(node, 0), graph.input(node, 1), graph.output(node)
    assert weights.data is not None  # a constraint
    height, width = kernel_size(graph, node)
    multipliers = channel_multipliers(graph, node, target.shape[3])
    params: dict[str, Init] = {
        "rows": axis(node.attrs, "h", source.shape[1], target.shape[1], height),
        "cols": axis(node.attrs, "w", source.shape[2], target.shape[2], width),
        "in_channels": source.shape[3],
        # The shapes decide: some writers leave the attribute at 0.
        "depth_multiplier": target.shape[3] // source.shape[3],
        "in_zero_point": source.q.zero_point,
        "output": output_limits(node, target),
        **{name: "{" + name + "}" for name in ("weights", "channels")},
    }
    return Lowered(
        kernels=("tn_depthwise_conv2d_s8",),
        calls=(
            Call(
                "tn_depthwise_conv2d_s8_run",
                ("{params}", "{rows}", "{in0}", "{out0}"),
                "tn_depthwise_conv2d_s8",
                params,
            ),
        ),
        arrays=(
            Array("weights", "int8_t", weights.data),
            channel_array(graph, node, (0, 1, 2), multipliers),
        ),
        window_rows=height,
        multipliers=tuple(multipliers),
    )


OPERATOR = Operator(
    "DEPTHWISE_CONV_2D",
    (
        int8_tensors(1),
        *weight_constraints(-1),
        PER_TENSOR,
        SMALL_DIMENSIONS,
        rank(4),
        Constraint(
            "weights are [1, height, width, output channels], a multiple of the input channels", _channels_match
        ),
        CLAMPS,
        windows_fit(kernel_size),
        bias_constraint(-1),
        accumulator_fits((0, 1, 2)),
        rescaling(scales_down),
    ),
    lower,
    macs,
    row_window(lower),
    summary="depthwise 2-D convolution, any depth multiplier",
)
