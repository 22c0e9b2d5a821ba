"""Functions of one int8 code, evaluated by the compiler into a table of 256."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..ir import Graph, Node
from ..quantized_math import Multiplier, leaky_relu_multiplier, relu_multiplier, rescale_multiplier, rsqrt_multiplier
from ..reference import activations, quantize
from .base import (
    PER_TENSOR,
    SAME_ELEMENTS,
    Array,
    Call,
    Constraint,
    Lowered,
    Operator,
    int8_tensors,
    rescaling,
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

    constraints = (int8_tensors(1), PER_TENSOR, SAME_ELEMENTS, *extra)
    return Operator(name, constraints, lower, stream=slice_by_slice(lower), summary=summary)


def _output_is(scale: float, zero_point: int) -> Constraint:
    def check(graph: Graph, node: Node) -> str | None:
        q = graph.output(node).q
        fits = (q.scale, q.zero_point) == (scale, zero_point)
        return None if fits else f"scale {q.scale:g}, zero point {q.zero_point}"

    return Constraint(f"the output has scale {scale:g} and zero point {zero_point}", check)


def _relu(graph: Graph, node: Node) -> Multiplier:
    return relu_multiplier(graph.input(node, 0).q.scale, graph.output(node).q.scale)


def _leaky(graph: Graph, node: Node) -> Multiplier:
    return leaky_relu_multiplier(graph.input(node, 0).q.scale, node.attrs["alpha"], graph.output(node).q.scale)


def _rescale(graph: Graph, node: Node) -> Multiplier:
    return rescale_multiplier(graph.input(node, 0).q.scale, graph.output(node).q.scale)


def _rsqrt_scale(graph: Graph, node: Node) -> str | None:
    shift = rsqrt_multiplier(graph.input(node, 0).q.scale, graph.output(node).q.scale).shift
    return None if -11 <= shift <= 30 else f"the factor is 2^{shift}"


def _six_fits(graph: Graph, node: Node) -> str | None:
    scale = graph.input(node, 0).q.scale
    return None if scale > 6 * 2.0**-31 else f"got {scale:g}"


def _small_alpha(graph: Graph, node: Node) -> str | None:
    alpha = node.attrs["alpha"]
    return None if abs(alpha) <= _LARGEST_ALPHA else f"got {alpha:g}"  # NaN is refused too


_LARGEST_ALPHA = 1 << 20

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
        rescaling(lambda graph, node: [_relu(graph, node)]),
    ),
    _operator(
        "RELU6",
        lambda x, g, n: activations.relu6(x, q_in=g.input(n, 0).q),
        "min(max(x, 0), 6)",
        Constraint("the input's scale is above 6 / 2^31", _six_fits),
    ),
    _operator(
        "LEAKY_RELU",
        lambda x, g, n: activations.leaky_relu(x, alpha=n.attrs["alpha"], q_in=g.input(n, 0).q, q_out=g.output(n).q),
        "x where positive, alpha x elsewhere",
        Constraint(f"alpha is at most {_LARGEST_ALPHA}", _small_alpha),
        rescaling(lambda graph, node: [_relu(graph, node), _leaky(graph, node)]),
    ),
    _operator(
        "RSQRT",
        lambda x, g, n: activations.rsqrt(x, q_in=g.input(n, 0).q, q_out=g.output(n).q),
        "1 / sqrt(x); codes at or below the zero point give 127",
        Constraint("the output's scale suits 1 / sqrt(input scale): a factor from 2^-11 to 2^30", _rsqrt_scale),
    ),
)

#: Functions in a row as one table, its second input (:mod:`thumbnet.codegen.passes.fuse_activations`).
LOOKUP = _operator("LOOKUP", lambda x, g, n: activations.lookup(x, g.input(n, 1).data), "a table of codes")

#: QUANTIZE from int8 to int8.
REQUANTIZE = _operator(
    "QUANTIZE",
    lambda x, g, n: quantize.quantize(x, q_in=g.input(n, 0).q, q_out=g.output(n).q),
    "change of scale and zero point, int8 to int8",
    rescaling(lambda graph, node: [_rescale(graph, node)]),
)
