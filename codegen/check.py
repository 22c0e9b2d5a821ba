"""What of a model the compiler can translate."""

from __future__ import annotations

from .errors import UnsupportedError
from .ir import Graph
from .model import LayerReport
from .ops import OPERATORS, refusal
from .ops.base import MOVABLE_TYPES


def layer_reports(graph: Graph) -> tuple[LayerReport, ...]:
    """Every operator of a graph, supported or not."""
    layers = []
    for node in graph.nodes:
        reason = refusal(graph, node)
        macs = OPERATORS[node.op].macs(graph, node) if reason is None else 0
        shape = graph.output(node).shape if node.outputs else ()
        layers.append(LayerReport(node.index, graph.name(node), node.op, shape, macs, reason is None, reason or ""))
    return tuple(layers)


def check_graph(graph: Graph) -> None:
    """Whether every layer can be translated and the inputs and outputs be pointers; UnsupportedError otherwise."""
    refused = [(node, reason) for node in graph.nodes if (reason := refusal(graph, node)) is not None]
    if not refused:
        _check_ports(graph)
        return
    node, reason = refused[0]
    more = f" (and {len(refused) - 1} more layers; 'thumbnet analyze' lists them all)" if len(refused) > 1 else ""
    raise UnsupportedError(f"layer {node.index} {node.op} '{graph.name(node)}': {reason}{more}")


def _check_ports(graph: Graph) -> None:
    """Inputs and outputs become pointers of the generated interface."""
    for what, indices in (("input", graph.inputs), ("output", graph.outputs)):
        if not indices:
            raise UnsupportedError(f"the model has no {what}")
        if len(set(indices)) != len(indices):
            raise UnsupportedError(f"the model lists one tensor as an {what} twice")
        for tensor in (graph.tensors[i] for i in indices):
            if tensor.dtype not in MOVABLE_TYPES:
                allowed = ", ".join(MOVABLE_TYPES)
                raise UnsupportedError(f"the model's {what} '{tensor.name}' is {tensor.dtype}: allowed are {allowed}")
            if tensor.elements == 0:
                raise UnsupportedError(f"the model's {what} '{tensor.name}' of shape {list(tensor.shape)} is empty")
    constants = [graph.tensors[i].name for i in graph.inputs if graph.tensors[i].data is not None]
    if constants:
        raise UnsupportedError(f"the model's input '{constants[0]}' is a constant")
