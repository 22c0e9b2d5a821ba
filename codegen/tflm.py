"""The other engine: a TensorFlow Lite Micro application around the unchanged .tflite bytes.

Writes the model as an aligned array, a resolver that registers exactly the operators in use, the size of the tensor
arena and a small main program. TFLM itself comes from the user's own build.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from .driver import GENERATOR
from .errors import UnsupportedError
from .ir import Graph
from .library import render
from .literals import c_array, check_prefix
from .memory import Block, plan_memory
from .model import describe
from .tflite import read_graph

#: Method of ``tflite::MicroMutableOpResolver`` where it is not the operator's name in camel case.
_METHODS = {
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "CONV_2D": "AddConv2D",
    "CUMSUM": "AddCumSum",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "L2_POOL_2D": "AddL2Pool2D",
    "MAX_POOL_2D": "AddMaxPool2D",
    "PADV2": "AddPadV2",
    "REVERSE_V2": "AddReverseV2",
    "SELECT_V2": "AddSelectV2",
    "SPLIT_V": "AddSplitV",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}
#: Builtin operators that TFLM registers, beside those above.
_CAMEL_CASE = frozenset(
    """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CALL_ONCE
CAST CEIL CONCATENATION COS DEPTH_TO_SPACE DEQUANTIZE DIV ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR
FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION LEAKY_RELU
LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG
NOT_EQUAL PACK PAD PRELU QUANTIZE READ_VARIABLE REDUCE_MAX RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR
ROUND RSQRT SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE
STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNPACK VAR_HANDLE WHILE ZEROS_LIKE
""".split()
)


def resolver_method(op: str) -> str | None:
    """Method of ``MicroMutableOpResolver`` that registers a builtin operator; None where TFLM has none."""
    if op in _METHODS:
        return _METHODS[op]
    return "Add" + "".join(word.capitalize() for word in op.split("_")) if op in _CAMEL_CASE else None


def export(tflite: bytes, *, prefix: str = "model", arena_bytes: int | None = None) -> dict[str, str]:
    """Files of a TFLM application, by relative path.

    Parameters
    ----------
    tflite : bytes
        The model; it is embedded byte for byte.
    prefix : str
        Start of every generated name.
    arena_bytes : int, optional
        Measured arena. On a 64-bit host TFLM needs more than on a 32-bit core, so that figure is safe. Without it
        the arena is bounded from the tensors' lifetimes.

    Raises
    ------
    ModelError
        When the file is not a well-formed model.
    UnsupportedError
        When TFLM has no kernel for an operator.
    """
    check_prefix(prefix)
    graph = read_graph(tflite)
    source = "measured with the TFLM interpreter on a 64-bit host" if arena_bytes else "bounded from tensor lifetimes"
    values = {
        "p": prefix,
        "P": prefix.upper(),
        "generator": GENERATOR,
        "model_hash": hashlib.sha256(tflite).hexdigest(),
        "lines": c_array(_bytes_of(tflite)),
        "length": len(tflite),
        "methods": _methods(graph),
        "arena_bytes": -(-(arena_bytes or arena_bound(graph)) // 16) * 16,
        "arena_source": source,
        "inputs": describe([graph.tensors[i] for i in graph.inputs]),
        "outputs": describe([graph.tensors[i] for i in graph.outputs]),
    }
    names = ("model_data.h", "model_data.cc", "op_resolver.h", "main.cc")
    return {f"{prefix}_{name}": render(f"tflm_{name}.j2", **values) for name in names}


def _bytes_of(tflite: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(tflite, np.uint8)


def _methods(graph: Graph) -> list[str]:
    methods: dict[str, None] = {}
    for node in graph.nodes:
        method = resolver_method(node.op)
        if method is None:
            raise UnsupportedError(
                f"layer {node.index} {node.op} '{graph.name(node)}': TensorFlow Lite Micro has no such operator"
            )
        methods[method] = None
    return sorted(methods)


# Generous sizes of TFLM's own structures, checked against measured arenas in the tests.
_BASE_BYTES, _NODE_BYTES, _TENSOR_BYTES, _CHANNEL_BYTES = 2048, 256, 64, 8


def arena_bound(graph: Graph) -> int:
    """Upper bound of the arena: every tensor apart from those it may reuse, plus TFLM's structures."""
    steps = {node.index: position for position, node in enumerate(graph.nodes)}
    blocks = []
    for index, tensor in graph.tensors.items():
        if tensor.data is not None:
            continue
        users = [steps[n.index] for n in graph.nodes if index in n.inputs or index in n.outputs]
        first = 0 if index in graph.inputs else min(users, default=0)
        last = len(steps) if index in graph.outputs else max(users, default=0)
        blocks.append(Block(index, -(-tensor.bytes // 16) * 16, first, last))
    channels = sum(t.shape[0] for t in graph.tensors.values() if t.data is not None and t.dtype == "int32" and t.shape)
    structures = _BASE_BYTES + _NODE_BYTES * len(graph.nodes) + _TENSOR_BYTES * len(graph.tensors)
    return plan_memory(blocks).bytes + structures + _CHANNEL_BYTES * channels
