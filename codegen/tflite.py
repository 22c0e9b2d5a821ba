"""Read a .tflite file into a :class:`~thumbnet.codegen.ir.Graph`.

Reading only decodes and checks form; whether the compiler can translate what it read is judged operator by operator
in :mod:`thumbnet.codegen.ops`, so that :func:`thumbnet.codegen.analyze_model` can list every unsupported layer at
once.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ModelError, UnsupportedError
from .flatbuffer import Table
from .ir import ITEM_BYTES, Graph, Node, Quantization, Tensor, verify
from .schema import OPERATORS, OPTIONS, TYPES, Option

_IDENTIFIER = b"TFL3"
_VERSION = 3
#: Larger than anything a microcontroller holds; stops a damaged shape before it allocates memory.
_MAX_ELEMENTS = 1 << 28


def read_graph(data: bytes) -> Graph:
    """Decode the first subgraph of a .tflite file.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    Graph
        Verified: every tensor is written before it is read.

    Raises
    ------
    ModelError
        When the bytes are not a well-formed model of schema version 3.
    UnsupportedError
        When it has several subgraphs or weights kept outside the file.
    """
    if len(data) < 8 or data[4:8] != _IDENTIFIER:
        raise ModelError("the file is not a .tflite model: bytes 4 to 8 must be 'TFL3', got " + repr(data[4:8])[1:])
    model = Table.root(data)
    version = model.scalar(0, "I", 0)
    if version != _VERSION:
        raise ModelError(f"the model has schema version {version}, this compiler reads version {_VERSION}")
    subgraphs = model.tables(2)
    if len(subgraphs) != 1:
        raise UnsupportedError(f"the model has {len(subgraphs)} subgraphs, this compiler takes exactly 1")
    buffers = model.tables(4)
    tensors = {index: _tensor(index, table, buffers) for index, table in enumerate(subgraphs[0].tables(0))}
    codes = [_operator_name(table) for table in model.tables(1)]
    nodes = tuple(_node(i, table, codes) for i, table in enumerate(subgraphs[0].tables(3)))
    graph = Graph(tensors, nodes, subgraphs[0].integers(1), subgraphs[0].integers(2))
    return verify(_drop_unused_constants(graph))


def _operator_name(table: Table) -> str:
    # Old writers only fill the 8-bit field; new ones put 127 there for large codes.
    code = max(int(table.scalar(3, "i", 0)), int(table.scalar(0, "b", 0)))
    if not 0 <= code < len(OPERATORS):
        raise ModelError(f"the model uses operator code {code}, which the schema does not define")
    name = OPERATORS[code]
    return f"CUSTOM({table.string(1)})" if name == "CUSTOM" else name


def _tensor(index: int, table: Table, buffers: list[Table]) -> Tensor:
    name = table.string(3)
    shape = table.integers(0)
    code = int(table.scalar(1, "b", 0))
    if not 0 <= code < len(TYPES):
        raise ModelError(f"tensor {index} '{name}' has type code {code}, which the schema does not define")
    if min(shape, default=0) < 0 or np.prod([float(d) for d in shape], initial=1.0) > _MAX_ELEMENTS:
        raise ModelError(f"tensor {index} '{name}' has the impossible shape {list(shape)}")
    dtype = TYPES[code]
    data = _constant(index, name, shape, dtype, int(table.scalar(2, "I", 0)), buffers)
    return Tensor(index, name, shape, dtype, _quantization(index, name, shape, table.table(4)), data)


def _constant(
    index: int, name: str, shape: tuple[int, ...], dtype: str, buffer: int, buffers: list[Table]
) -> npt.NDArray[Any] | None:
    if buffer == 0:
        return None
    if buffer >= len(buffers):
        raise ModelError(f"tensor {index} '{name}' refers to buffer {buffer} of {len(buffers)}")
    if buffers[buffer].scalar(1, "Q", 0) > 1:
        raise UnsupportedError(f"tensor {index} '{name}' keeps its values outside the flatbuffer")
    raw = buffers[buffer].payload(0)
    if raw is None or len(raw) == 0:
        return None
    if dtype not in ITEM_BYTES:
        return raw
    values = int(np.prod(shape, dtype=np.int64))
    if len(raw) != values * ITEM_BYTES[dtype]:
        raise ModelError(
            f"tensor {index} '{name}' of shape {list(shape)} and type {dtype} needs "
            f"{values * ITEM_BYTES[dtype]} bytes, its buffer has {len(raw)}"
        )
    return raw.view(np.dtype(dtype).newbyteorder("<")).reshape(shape)


def _quantization(index: int, name: str, shape: tuple[int, ...], table: Table | None) -> Quantization | None:
    scales = None if table is None else table.array(2, np.float32)
    if table is None or scales is None or len(scales) == 0:
        return None
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ModelError(f"tensor {index} '{name}' has a scale that is not a positive number")
    zeros = table.array(3, np.int64)
    zero_points = (0,) * len(scales) if zeros is None else tuple(int(z) for z in zeros)
    axis = int(table.scalar(6, "i", 0))
    if len(zero_points) != len(scales):
        raise ModelError(f"tensor {index} '{name}' has {len(scales)} scales but {len(zero_points)} zero points")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        raise ModelError(f"tensor {index} '{name}' of shape {list(shape)} has {len(scales)} scales along axis {axis}")
    return Quantization(tuple(float(s) for s in scales), zero_points, axis)


def _node(index: int, table: Table, codes: list[str]) -> Node:
    code = int(table.scalar(0, "I", 0))
    if code >= len(codes):
        raise ModelError(f"layer {index} refers to operator code {code} of {len(codes)}")
    op = codes[code]
    options = table.table(4)
    attrs = {row[0]: _option(index, op, row, options) for row in OPTIONS.get(op, ())}
    inputs = tuple(None if i < 0 else i for i in table.integers(1))
    return Node(index, op, inputs, table.integers(2), MappingProxyType(attrs))


def _option(index: int, op: str, row: Option, options: Table | None) -> Any:
    name, number, kind, default = row
    if isinstance(kind, str):
        return default if options is None else options.scalar(number, kind, default)
    code = default if options is None else int(options.scalar(number, "b", default))
    if not 0 <= code < len(kind):
        raise ModelError(f"layer {index} {op} has {name} code {code}, the schema defines 0 to {len(kind) - 1}")
    return kind[code]


def _drop_unused_constants(graph: Graph) -> Graph:
    used = {i for node in graph.nodes for i in (*node.inputs, *node.outputs) if i is not None}
    used.update(graph.inputs, graph.outputs)
    kept = {i: t for i, t in graph.tensors.items() if i in used}
    return Graph(kept, graph.nodes, graph.inputs, graph.outputs)
