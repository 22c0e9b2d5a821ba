"""ADD, SUB, MUL and SQUARED_DIFFERENCE with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..ir import Graph, Node, Tensor
from ..quantized_math import (
    AddMultipliers,
    add_multipliers,
    mul_multiplier,
    squared_difference_multipliers,
    sub_multipliers,
)
from .base import (
    CLAMPS,
    SMALL_DIMENSIONS,
    Call,
    Constraint,
    Init,
    Lowered,
    Operator,
    int8_tensors,
    output_limits,
    per_tensor,
    rescaling,
    slice_by_slice,
)

_MAX_RANK = 4


def _broadcasts(graph: Graph, node: Node) -> str | None:
    shapes = [graph.input(node, 0).shape, graph.input(node, 1).shape]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        return f"{list(shapes[0])} and {list(shapes[1])} do not broadcast"
    if shape != graph.output(node).shape:
        return f"{list(shapes[0])} and {list(shapes[1])} give {list(shape)}, the file says {graph.output(node).shape}"
    return None if _rank(shape, shapes) <= _MAX_RANK else f"{list(shapes[0])} and {list(shapes[1])}"


def _strides(shape: Sequence[int], out_shape: Sequence[int]) -> list[int]:
    """Element strides of a tensor seen under the output's shape; 0 where it repeats."""
    view = np.broadcast_to(np.empty(shape, np.int8), out_shape)
    return [0 if size == 1 else stride for size, stride in zip(out_shape, view.strides, strict=True)]


def _merged(out_shape: Sequence[int], inputs: Sequence[Sequence[int]]) -> list[tuple[int, list[int]]]:
    """Dimensions as (size, strides per input), neighbours joined wherever every input walks straight through."""
    strides = [_strides(shape, out_shape) for shape in inputs]
    merged: list[tuple[int, list[int]]] = []
    for position, size in enumerate(out_shape):
        steps = [s[position] for s in strides]
        if size == 1:
            continue
        if merged and all(outer == size * inner for outer, inner in zip(merged[-1][1], steps, strict=True)):
            merged[-1] = (merged[-1][0] * size, steps)
        else:
            merged.append((size, steps))
    return merged


def _rank(out_shape: Sequence[int], inputs: Sequence[Sequence[int]]) -> int:
    return len(_merged(out_shape, inputs))


def _shape(graph: Graph, node: Node) -> dict[str, Init]:
    """Initializer of a `tn_broadcast`."""
    inputs = [graph.input(node, 0).shape, graph.input(node, 1).shape]
    merged = _merged(graph.output(node).shape, inputs)
    padded = [(1, [0, 0])] * (_MAX_RANK - len(merged)) + merged
    return {
        "size": tuple(size for size, _ in padded),
        "stride1": tuple(steps[0] for _, steps in padded),
        "stride2": tuple(steps[1] for _, steps in padded),
    }


def _overlays(graph: Graph, node: Node) -> tuple[tuple[int, int], ...]:
    out = graph.output(node).elements
    return tuple((i, 0) for i in (0, 1) if graph.input(node, i).elements == out)


def _operand(tensor: Tensor, multiplier: int, shift: int) -> dict[str, Init]:
    return {"multiplier": multiplier, "shift": shift, "zero_point": tensor.q.zero_point}


def _lower_add(
    kernel: str, scaling: Callable[[float, float, float], AddMultipliers]
) -> Callable[[Graph, Node], Lowered]:
    def lower(graph: Graph, node: Node) -> Lowered:
        in1, in2, out = graph.input(node, 0), graph.input(node, 1), graph.output(node)
        constants = scaling(in1.q.scale, in2.q.scale, out.q.scale)
        params: dict[str, Init] = {
            "shape": _shape(graph, node),
            "in1": _operand(in1, *constants.input1),
            "in2": _operand(in2, *constants.input2),
            "multiplier": constants.output.multiplier,
            "shift": constants.output.shift,
            "headroom": constants.left_shift,
            "output": output_limits(node, out),
        }
        call = Call(f"tn_{kernel}_s8_run", ("{params}", "{in0}", "{in1}", "{out0}"), "tn_add_s8", params)
        return Lowered(kernels=(f"tn_{kernel}_s8",), calls=(call,), overlays=_overlays(graph, node))

    return lower


def _scales(graph: Graph, node: Node) -> tuple[float, float, float]:
    return graph.input(node, 0).q.scale, graph.input(node, 1).q.scale, graph.output(node).q.scale


def _lower_mul(graph: Graph, node: Node) -> Lowered:
    in1, in2, out = graph.input(node, 0), graph.input(node, 1), graph.output(node)
    multiplier, shift = mul_multiplier(*_scales(graph, node))
    params: dict[str, Init] = {
        "shape": _shape(graph, node),
        "multiplier": multiplier,
        "shift": shift,
        "zero_point1": in1.q.zero_point,
        "zero_point2": in2.q.zero_point,
        "output": output_limits(node, out),
    }
    call = Call("tn_mul_s8_run", ("{params}", "{in0}", "{in1}", "{out0}"), "tn_mul_s8", params)
    return Lowered(kernels=("tn_mul_s8",), calls=(call,), overlays=_overlays(graph, node))


def _output_scale(scaling: Callable[[float, float, float], AddMultipliers]) -> Constraint:
    def check(graph: Graph, node: Node) -> str | None:
        scales = _scales(graph, node)
        return None if scaling(*scales).output.shift <= 0 else f"scales {scales[0]:g}, {scales[1]:g}, {scales[2]:g}"

    return Constraint("the output's scale is not a million times finer than the inputs'", check)


_CONSTRAINTS = (
    int8_tensors(2),
    per_tensor(2),
    SMALL_DIMENSIONS,
    Constraint(f"the inputs broadcast to the output over at most {_MAX_RANK} dimensions", _broadcasts),
)

ADD = Operator(
    "ADD",
    (*_CONSTRAINTS, CLAMPS, _output_scale(add_multipliers)),
    _lower_add("add", add_multipliers),
    stream=slice_by_slice(_lower_add("add", add_multipliers)),
    summary="element-wise sum, broadcasting",
)
SUB = Operator(
    "SUB",
    (*_CONSTRAINTS, CLAMPS, _output_scale(sub_multipliers)),
    _lower_add("sub", sub_multipliers),
    stream=slice_by_slice(_lower_add("sub", sub_multipliers)),
    summary="element-wise difference, broadcasting",
)
MUL = Operator(
    "MUL",
    (*_CONSTRAINTS, CLAMPS, rescaling(lambda graph, node: [mul_multiplier(*_scales(graph, node))])),
    _lower_mul,
    stream=slice_by_slice(_lower_mul),
    summary="element-wise product, broadcasting",
)
SQUARED_DIFFERENCE = Operator(
    "SQUARED_DIFFERENCE",
    (
        *_CONSTRAINTS,
        rescaling(lambda graph, node: [squared_difference_multipliers(*_scales(graph, node)).output]),
    ),
    _lower_add("squared_difference", squared_difference_multipliers),
    stream=slice_by_slice(_lower_add("squared_difference", squared_difference_multipliers)),
    summary="square of the element-wise difference, broadcasting",
)
