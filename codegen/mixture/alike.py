"""Networks of one structure: the same layers and shapes, other constants."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .. import passes
from ..ir import Graph, Tensor
from ..targets import Target

#: Passes that look at weights, and may take another way in each network; left out one more at a time until they agree.
_SEE_WEIGHTS = ("dead-channels", "fuse-clamps", "merge-lookups", "fuse-pad", "drop-reshapes", "fold-constants")
#: Fusions whose layers are more than one call, or a call without parameters, which hold an expert's constants.
_ONE_CALL = frozenset({"fuse-depthwise", "late-links"})


def difference(first: Graph, other: Graph) -> str | None:
    """How the structure of `other` differs from that of `first`; None where it does not."""
    if len(first.nodes) != len(other.nodes):
        return f"{len(other.nodes)} layers instead of {len(first.nodes)}"
    for a, b in zip(first.nodes, other.nodes, strict=True):
        if a.op != b.op:
            return f"layer {b.index} is {b.op} instead of {a.op}"
        if dict(a.attrs) != dict(b.attrs):
            return f"layer {b.index} {b.op} has other attributes"
        if [i is None for i in a.inputs] != [i is None for i in b.inputs] or len(a.outputs) != len(b.outputs):
            return f"layer {b.index} {b.op} has other inputs"
    pairs = _pairs(first, other)
    # Constants that happen to be equal may be one tensor in one file and two in another.
    links = {(a, b) for a, b in pairs if first.tensors[a].data is None}
    if len({a for a, _ in links}) != len(links) or len({b for _, b in links}) != len(links):
        return "its layers are connected in another way"
    for mine, theirs in pairs:
        found = _tensor_difference(first.tensors[mine], other.tensors[theirs])
        if found is not None:
            return f"'{other.tensors[theirs].name}' {found}"
    return None


def _pairs(first: Graph, other: Graph) -> list[tuple[int, int]]:
    pairs = [*zip(first.inputs, other.inputs, strict=False), *zip(first.outputs, other.outputs, strict=False)]
    for a, b in zip(first.nodes, other.nodes, strict=True):
        both = zip((*a.inputs, *a.outputs), (*b.inputs, *b.outputs), strict=True)
        pairs += [(x, y) for x, y in both if x is not None and y is not None]
    return pairs


def _tensor_difference(a: Tensor, b: Tensor) -> str | None:
    if a.shape != b.shape:
        return f"has shape {list(b.shape)} instead of {list(a.shape)}"
    if a.dtype != b.dtype:
        return f"is {b.dtype} instead of {a.dtype}"
    if (a.data is None) != (b.data is None):
        return "is a constant in one of them only"
    return None


def transform(graphs: Sequence[Graph], target: Target, disable: Collection[str]) -> tuple[list[Graph], frozenset[str]]:
    """All graphs after the passes, and the switches that were off: as many more as it takes to keep one structure."""
    off = frozenset(disable) | _ONE_CALL
    for name in ("", *_SEE_WEIGHTS):
        off = off | {name} - {""}
        found = [passes.run(graph, target, off) for graph in graphs]
        if all(difference(found[0], graph) is None for graph in found):
            break
    return found, off
