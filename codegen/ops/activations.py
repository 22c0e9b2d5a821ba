"""Functions of one int8 code, evaluated by the compiler into a table of 256."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..ir import Graph, Node
from ..reference import activations, quantize
from .base import (
    PER_TENSOR,
    Array,
    Call,
    Constraint,
    Lowered,
    Operator,
    int8_tensors,
    slice_by_slice,
)

_Codes = npt.NDArray[np.int8]
_ALL_CODES = np.arange(-128, 128).astype(np.int8)


def _operator(
    name: str, function: Callable[[_Codes, Graph, Node], _Codes], summary: str, *extra: Constraint
) -> Operator:
    def lower(graph: Graph, node: Node) -> Lowered:
        count = str(graph.input(node, 0).elements)
        return Lowered(
            kernels=("tn_lookup_s8",),
            calls=(Call("tn_lookup_s8_run", ("{table}", "{in0}", "{out0}", count)),),
            arrays=(Array("table", "int8_t", function(_ALL_CODES, graph, node)),),
            overlays=((0, 0),),
        )

    return Operator(name, (int8_tensors(1), PER_TENSOR, *extra), lower, stream=slice_by_slice(lower), summary=summary)


def _output_is(scale: float, zero_point: int) -> Constraint:
    def check(graph: Graph, node: Node) -> str | None:
        q = graph.output(node).q
        fits = (q.scale, q.zero_point) == (scale, zero_point)
        return None if fits else f"scale {q.scale:g}, zero point {q.zero_point}"

    return Constraint(f"the output has scale {scale:g} and zero point {zero_point}", check)


OPERATORS = (
    _operator(
        "LOGISTIC",
        lambda x, g, n: activations.logistic(x, q_in=g.input(n, 0).q),
        "1 / (1 + exp(-x))",
        _output_is(1 / 256, -128),
    ),
    _operator(
        "TANH",
        lambda x, g, n: activations.tanh(x, q_in=g.input(n, 0).q),
        "hyperbolic tangent",
        _output_is(1 / 128, 0),
    ),
    _operator(
        "RELU",
        lambda x, g, n: activations.relu(x, q_in=g.input(n, 0).q, q_out=g.output(n).q),
        "max(x, 0)",
    ),
    _operator("RELU6", lambda x, g, n: activations.relu6(x, q_in=g.input(n, 0).q), "min(max(x, 0), 6)"),
    _operator(
        "LEAKY_RELU",
        lambda x, g, n: activations.leaky_relu(x, alpha=n.attrs["alpha"], q_in=g.input(n, 0).q, q_out=g.output(n).q),
        "x where positive, alpha x elsewhere",
    ),
    _operator(
        "RSQRT",
        lambda x, g, n: activations.rsqrt(x, q_in=g.input(n, 0).q, q_out=g.output(n).q),
        "1 / sqrt(x); codes at or below the zero point give 127",
    ),
    _operator(
        "QUANTIZE",
        lambda x, g, n: quantize.quantize(x, q_in=g.input(n, 0).q, q_out=g.output(n).q),
        "change of scale and zero point, int8 to int8",
    ),
)
