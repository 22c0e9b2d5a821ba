"""The intermediate representation: a graph of operators over tensors, in execution order.

Everything is immutable; a pass builds a new :class:`Graph`. :func:`verify` states what every pass must keep true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ModelError

ITEM_BYTES = {"int8": 1, "uint8": 1, "bool": 1, "int16": 2, "int32": 4, "float32": 4, "int64": 8}


@dataclass(frozen=True)
class Quantization:
    """Affine quantization: real = scale * (code - zero point).

    One scale for the tensor, or one per index of `axis`; scales are the float32 values of the file, held in
    double precision as the TFLite kernels do when they derive multipliers.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def scale(self) -> float:
        """The per-tensor scale."""
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The per-tensor zero point."""
        return self.zero_points[0]


@dataclass(frozen=True)
class Kept:
    """What is left of a tensor of the model file along its last axis.

    Attributes
    ----------
    channels : tuple of int
        Position in the model's tensor of each channel that is left.
    codes : tuple of (int or None)
        None for those that hold the model's values; the code of those that only fill up, the same for every input.
    """

    channels: tuple[int, ...]
    codes: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value of the graph; `data` is set for constants only, `kept` where channels of the model's were removed."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: npt.NDArray[Any] | None = None
    kept: Kept | None = None

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        """Size in memory, bytes; 0 for types that C does not hold."""
        return self.elements * ITEM_BYTES.get(self.dtype, 0)

    @property
    def q(self) -> Quantization:
        """The quantization, which the operator needs.

        Raises
        ------
        ModelError
            When the tensor has none.
        """
        if self.quantization is None:
            raise ModelError(f"tensor {self.index} '{self.name}' has no scale and zero point")
        return self.quantization


@dataclass(frozen=True)
class Node:
    """One operator; `inputs` hold tensor indices, None where an optional input is absent."""

    index: int
    op: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]
    attrs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def with_attrs(self, **changes: Any) -> Node:
        """The same node with some attributes replaced."""
        return replace(self, attrs=MappingProxyType({**self.attrs, **changes}))


@dataclass(frozen=True)
class Graph:
    """Operators in execution order, the tensors they use by index, and the model's own inputs and outputs."""

    tensors: Mapping[int, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def input(self, node: Node, position: int) -> Tensor:
        """Input tensor of `node`; ModelError when it is absent."""
        index = node.inputs[position] if position < len(node.inputs) else None
        if index is None:
            raise ModelError(f"layer {node.index} {node.op} lacks its input {position}")
        return self.tensors[index]

    def optional(self, node: Node, position: int) -> Tensor | None:
        """Input tensor of `node`, or None."""
        index = node.inputs[position] if position < len(node.inputs) else None
        return None if index is None else self.tensors[index]

    def output(self, node: Node, position: int = 0) -> Tensor:
        """Output tensor of `node`; ModelError when it is absent."""
        if position >= len(node.outputs):
            raise ModelError(f"layer {node.index} {node.op} lacks its output {position}")
        return self.tensors[node.outputs[position]]

    def consumers(self, tensor: int) -> Iterator[Node]:
        """Nodes that read the tensor."""
        return (node for node in self.nodes if tensor in node.inputs)

    def producer(self, tensor: int) -> Node | None:
        """Node that writes the tensor; None for inputs and constants."""
        return next((node for node in self.nodes if tensor in node.outputs), None)

    def name(self, node: Node) -> str:
        """Human name of a layer: its first output's."""
        return self.tensors[node.outputs[0]].name if node.outputs else ""


def verify(graph: Graph) -> Graph:
    """Check producer and consumer links, order and liveness; gives the graph back.

    Raises
    ------
    ModelError
        When a tensor is read before it is written, written twice, or does not exist.
    """
    known = set(graph.inputs) | {i for i, t in graph.tensors.items() if t.data is not None}
    if not set(graph.inputs) <= set(graph.tensors):
        raise ModelError(f"the model's inputs {list(graph.inputs)} refer to a tensor that does not exist")
    for node in graph.nodes:
        _verify_node(graph, node, known)
        known.update(node.outputs)
    if not set(graph.outputs) <= known:
        raise ModelError(f"the model's outputs {list(graph.outputs)} refer to a tensor that nothing writes")
    return graph


def _verify_node(graph: Graph, node: Node, known: set[int]) -> None:
    layer = f"layer {node.index} {node.op}"
    for index in node.inputs:
        if index is not None and index not in known:
            raise ModelError(f"{layer} reads tensor {index} before anything writes it")
    for index in node.outputs:
        if index not in graph.tensors:
            raise ModelError(f"{layer} writes tensor {index}, which does not exist")
        if index in known:
            raise ModelError(f"{layer} writes tensor {index} a second time")
