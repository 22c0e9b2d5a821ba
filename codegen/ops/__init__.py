"""The operator table: every operator that the compiler translates, in one place."""

from __future__ import annotations

from ..ir import Graph, Node
from . import (
    activations,
    arithmetic,
    conv2d,
    conv2d_max_pool2d,
    depthwise_conv2d,
    fully_connected,
    layout,
    pad,
    pooling,
    quantize,
    reduce,
    separable_conv2d,
    softmax,
    subsample,
)
from .base import Operator

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        conv2d.OPERATOR,
        depthwise_conv2d.OPERATOR,
        fully_connected.OPERATOR,
        pooling.MAX_POOL_2D,
        pooling.AVERAGE_POOL_2D,
        reduce.MEAN,
        reduce.REDUCE_MAX,
        arithmetic.ADD,
        arithmetic.SUB,
        arithmetic.MUL,
        arithmetic.SQUARED_DIFFERENCE,
        softmax.OPERATOR,
        *activations.OPERATORS,
        *quantize.OPERATORS,
        *layout.OPERATORS,
        *pad.OPERATORS,
    )
}

#: Layers that only passes make; no model file has them.
INTERNAL: dict[str, Operator] = {
    op.name: op
    for op in (conv2d_max_pool2d.OPERATOR, separable_conv2d.OPERATOR, subsample.OPERATOR, activations.LOOKUP)
}


def operator_of(node: Node) -> Operator:
    """Row of the table for a layer that the compiler has accepted or made."""
    return OPERATORS.get(node.op) or INTERNAL[node.op]


#: What to do about operators that often show up in models that were not meant for a microcontroller.
_REMEDIES = {
    "BATCH_MATMUL": "give the matrix as a constant, so that it becomes FULLY_CONNECTED",
    "SHAPE": "convert with a fixed batch of 1",
    "WHILE": "unroll the recurrent layer",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "unroll the recurrent layer",
}


def refusal(graph: Graph, node: Node) -> str | None:
    """Why the compiler cannot translate a layer, as one clause; None when it can."""
    operator = OPERATORS.get(node.op)
    if operator is None:
        remedy = _REMEDIES.get(node.op, "")
        return f"the operator is not supported{'; ' + remedy if remedy else ''}"
    for constraint in operator.constraints:
        found = constraint.check(graph, node)
        if found is not None:
            remedy = constraint.remedy or _REMEDIES.get(node.op, "")
            return f"{constraint.text}, but {found}{'; ' + remedy if remedy else ''}"
    return None
