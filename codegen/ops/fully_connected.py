"""FULLY_CONNECTED as a 1x1 convolution over a column of batches; TFLM's arithmetic is the same but for the scales."""

from __future__ import annotations

from ..ir import Graph, Node
from ..quantized_math import Multiplier, fully_connected_multiplier
from .base import (
    CLAMPS,
    MAX_DIMENSION,
    PER_TENSOR,
    SMALL_DIMENSIONS,
    Constraint,
    Init,
    Lowered,
    Operator,
    Slicer,
    StreamRule,
    int8_tensors,
    rescaling,
    row_window,
)
from .conv2d import accumulator_fits, bias_constraint, channel_multipliers, lower_conv, weight_constraints

_BIAS_SCALE_TOLERANCE = 0.02  # TFLM refuses a bias whose scale is further off, relative to the output's


def _shapes_match(graph: Graph, node: Node) -> str | None:
    source, weights, target = graph.input(node, 0), graph.input(node, 1), graph.output(node)
    shapes = f"weights {list(weights.shape)}, input {list(source.shape)}, output {list(target.shape)}"
    if len(weights.shape) != 2 or target.shape[-1:] != weights.shape[:1]:
        return shapes
    batches = target.elements // weights.shape[0]
    return None if source.elements == batches * weights.shape[1] and batches <= MAX_DIMENSION else shapes


def _bias_scale(graph: Graph, node: Node) -> str | None:
    bias, scales = graph.optional(node, 2), graph.input(node, 1).q.scales
    if bias is None or bias.quantization is None or len(scales) > 1:
        return None
    error = abs(graph.input(node, 0).q.scale * scales[0] - bias.q.scale) / graph.output(node).q.scale
    return None if error <= _BIAS_SCALE_TOLERANCE else f"it is off by {error:.3g} output steps"


def macs(graph: Graph, node: Node) -> int:
    """One per weight and batch."""
    weights = graph.input(node, 1)
    return weights.elements * (graph.output(node).elements // weights.shape[0])


def lower(graph: Graph, node: Node) -> Lowered:
    """A 1x1 convolution: batches along the columns, features as channels."""
    weights, target = graph.input(node, 1), graph.output(node)
    outputs = weights.shape[0]
    one: dict[str, Init] = {"in": 1, "out": 1, "kernel": 1, "stride": 1, "dilation": 1, "pad": 0}
    batches = target.elements // outputs
    return lower_conv(graph, node, one, {**one, "in": batches, "out": batches}, multipliers(graph, node, outputs))


def multipliers(graph: Graph, node: Node, outputs: int) -> list[Multiplier]:
    """Rescaling of each output's accumulator."""
    weights = graph.input(node, 1)
    if len(weights.q.scales) > 1:
        return channel_multipliers(graph, node, outputs)
    source, target = graph.input(node, 0), graph.output(node)
    return [fully_connected_multiplier(source.q.scale, weights.q.scale, target.q.scale)] * outputs


def _stream(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
    """A dense layer over the last axis only."""
    source, target = graph.input(node, 0).shape, graph.output(node).shape
    if len(target) < 3 or source[:-1] != target[:-1] or source[0] != 1:
        return None
    seen, outputs = slicer(node), graph.input(node, 1).shape[0]
    one: dict[str, Init] = {"in": 1, "out": 1, "kernel": 1, "stride": 1, "dilation": 1, "pad": 0}
    rows, batches = {**one, "in": source[1], "out": source[1]}, seen.output(node).elements // outputs
    cols = {**one, "in": batches, "out": batches}
    return row_window(lambda g, n: lower_conv(g, n, rows, cols, multipliers(g, n, outputs)))(seen, node, slicer)


OPERATOR = Operator(
    "FULLY_CONNECTED",
    (
        int8_tensors(1),
        *weight_constraints(0),
        PER_TENSOR,
        SMALL_DIMENSIONS,
        Constraint(f"weights are [outputs, inputs], the shapes agree, at most {MAX_DIMENSION} rows", _shapes_match),
        Constraint(
            "weights have the default format",
            lambda graph, node: "they are shuffled" if node.attrs["weights_format"] else None,
        ),
        CLAMPS,
        bias_constraint(-1),
        Constraint("the bias has the scale of input times weights", _bias_scale),
        accumulator_fits((1,)),
        rescaling(lambda graph, node: multipliers(graph, node, graph.input(node, 1).shape[0])),
    ),
    lower,
    macs,
    _stream,
    summary="dense layer, per-tensor or per-channel weights",
)
