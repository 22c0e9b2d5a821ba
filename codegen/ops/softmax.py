"""SOFTMAX over the last axis, with the exponential as a table of the distance below the row's maximum."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node
from ..reference.softmax import exponential_table
from .base import (
    PER_TENSOR,
    SAME_ELEMENTS,
    SMALL_DIMENSIONS,
    Array,
    Call,
    Constraint,
    Init,
    Lowered,
    Operator,
    int8_tensors,
    slice_by_slice,
)

#: Classes whose exponentials can sum up without leaving Q12.19.
_MAX_CLASSES = 4095
#: Limits of beta times the input's scale; TFLM stops at the lower one.
_LEAST_SLOPE, _LARGEST_SLOPE = 2.0**-26, 2.0**30


def _output_quantization(graph: Graph, node: Node) -> str | None:
    q = graph.output(node).q
    return None if (q.scale, q.zero_point) == (1 / 256, -128) else f"scale {q.scale:g}, zero point {q.zero_point}"


def _few_classes(graph: Graph, node: Node) -> str | None:
    classes = graph.input(node, 0).shape[-1] if graph.input(node, 0).shape else 0
    return None if 1 <= classes <= _MAX_CLASSES else f"got {classes}"


def _beta_counts(graph: Graph, node: Node) -> str | None:
    beta, scale = node.attrs["beta"], graph.input(node, 0).q.scale
    return None if _LEAST_SLOPE < beta * scale <= _LARGEST_SLOPE else f"got {beta:g} and {scale:g}"


def lower(graph: Graph, node: Node) -> Lowered:
    """One call of `tn_softmax_s8_run`."""
    source = graph.input(node, 0)
    table = exponential_table(node.attrs["beta"], source.q.scale)
    table = table[: max(int(np.count_nonzero(table)), 1)]
    params: dict[str, Init] = {
        "rows": source.elements // source.shape[-1],
        "classes": source.shape[-1],
        "reach": len(table),
        "exponent": "{exponent}",
    }
    return Lowered(
        kernels=("tn_softmax_s8",),
        calls=(Call("tn_softmax_s8_run", ("{params}", "{in0}", "{out0}"), "tn_softmax_s8", params),),
        arrays=(Array("exponent", "int32_t", table),),
        overlays=((0, 0),),
    )


OPERATOR = Operator(
    "SOFTMAX",
    (
        int8_tensors(1),
        PER_TENSOR,
        SMALL_DIMENSIONS,
        SAME_ELEMENTS,
        Constraint("the output has scale 1/256 and zero point -128", _output_quantization),
        Constraint("beta times the input's scale lies between 2^-26 and 2^30", _beta_counts),
        Constraint(f"the last axis has 1 to {_MAX_CLASSES} classes", _few_classes),
    ),
    lower,
    stream=slice_by_slice(lower),
    summary="softmax over the last axis",
)
