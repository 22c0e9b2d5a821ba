"""QUANTIZE and DEQUANTIZE: between float32 and int8, and from one int8 scale to another."""

from __future__ import annotations

from ..ir import Graph, Node, Tensor
from .activations import REQUANTIZE
from .base import SAME_ELEMENTS, Call, Constraint, Init, Lowered, Operator, Slicer, StreamRule, per_tensor

_REMEDY = "convert with full-integer quantization and int8 inputs and outputs"


def _is_float(graph: Graph, node: Node) -> bool:
    return graph.input(node, 0).dtype == "float32"


def _typed(sources: tuple[str, ...], target: str) -> Constraint:
    def check(graph: Graph, node: Node) -> str | None:
        found = graph.input(node, 0).dtype, graph.output(node).dtype
        return None if found[0] in sources and found[1] == target else f"got {found[0]} to {found[1]}"

    return Constraint(f"the input is {' or '.join(sources)}, the output {target}", check, _REMEDY)


def _when_float(constraint: Constraint, expected: bool) -> Constraint:
    """The constraint, for one of the two kinds of QUANTIZE only."""
    return Constraint(
        f"{'from float32' if expected else 'from int8'}: {constraint.text}",
        lambda graph, node: constraint.check(graph, node) if _is_float(graph, node) == expected else None,
        constraint.remedy,
    )


def _call(function: str, codes: Tensor) -> Call:
    params: dict[str, Init] = {"scale": f"{codes.q.scale.hex()}f", "zero_point": codes.q.zero_point}
    return Call(function, ("{params}", "{in0}", "{out0}", str(codes.elements)), "tn_quantize_f32_s8", params)


def _lower_quantize(graph: Graph, node: Node) -> Lowered:
    if not _is_float(graph, node):
        return REQUANTIZE.lower(graph, node)
    call = _call("tn_quantize_f32_s8_run", graph.output(node))
    return Lowered(kernels=("tn_quantize_f32_s8",), calls=(call,), overlays=((0, 0),))


def _stream(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
    """Streams carry codes, not floats."""
    assert REQUANTIZE.stream is not None
    return None if _is_float(graph, node) else REQUANTIZE.stream(graph, node, slicer)


def _lower_dequantize(graph: Graph, node: Node) -> Lowered:
    call = _call("tn_dequantize_s8_f32_run", graph.input(node, 0))
    return Lowered(kernels=("tn_dequantize_s8_f32",), calls=(call,))


def _codes_are_quantized(graph: Graph, node: Node) -> str | None:
    source = graph.input(node, 0)
    if source.quantization is None or len(source.q.scales) != 1 or not -128 <= source.q.zero_point <= 127:
        return f"'{source.name}' has not"
    return None


OPERATORS = (
    Operator(
        "QUANTIZE",
        (
            _typed(("float32", "int8"), "int8"),
            SAME_ELEMENTS,
            _when_float(per_tensor(0), True),
            *(_when_float(constraint, False) for constraint in REQUANTIZE.constraints[1:]),
        ),
        _lower_quantize,
        stream=_stream,
        summary="float32 to int8, half away from zero; or change of scale and zero point, int8 to int8",
    ),
    Operator(
        "DEQUANTIZE",
        (
            _typed(("int8",), "float32"),
            SAME_ELEMENTS,
            Constraint("the input has one scale and a zero point from -128 to 127", _codes_are_quantized),
        ),
        _lower_dequantize,
        summary="int8 to float32",
    ),
)
