"""Which layers run slice by slice, and in which walk over the data.

A reduction over the stream is known when the stream has ended. Where its result feeds back (an attention that scales
the very features it was taken from), what follows belongs to the next walk. Layers that need whole tensors run between
two walks. Every layer gets the earliest walk that it can be part of: its level.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from .ir import Graph, Node, Tensor
from .ops import operator_of
from .ops.base import Lowered
from .streaming import Stage, is_stream, sliced
from .targets import Target
from .tiers import arrange, arrange_two


@dataclass
class Partition:
    """The layers of a graph by the way they run.

    Attributes
    ----------
    graph : Graph
        With copies added for outputs of the model that are streamed.
    stages : dict of int to Stage
        Layers that run slice by slice, by their position in the graph.
    levels : dict of int to int
        Walk that a streamed tensor is first made in.
    groups : dict of int to int
        Walk after which a whole tensor is there; -1 for the model's inputs where they are whole.
    wholes : dict of int to int
        Layers that run by whole tensors, by position, with the walk that they follow.
    lowered : dict of int to Lowered
        Kernel calls of those layers.
    roots : dict of int to int
        Streamed tensors that are another one under a different shape.
    """

    graph: Graph
    stages: dict[int, Stage] = field(default_factory=dict)
    levels: dict[int, int] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=dict)
    wholes: dict[int, int] = field(default_factory=dict)
    lowered: dict[int, Lowered] = field(default_factory=dict)
    roots: dict[int, int] = field(default_factory=dict)

    @property
    def walks(self) -> int:
        """How many there are."""
        return 1 + max([*self.levels.values(), *self.groups.values(), 0])

    def level_of(self, position: int) -> int:
        """Walk of a streamed layer."""
        stage = self.stages[position]
        held = self.groups if stage.finish else self.levels
        return held[stage.outputs[0]]

    def root(self, tensor: int) -> int:
        """The streamed tensor whose bytes these are."""
        return self.roots.get(tensor, tensor)


def partition(
    graph: Graph, target: Target, *, streamed: bool, late: Collection[int] = (), paired: bool = False
) -> Partition | None:
    """Sort the layers of a graph; those of `late`, numbers of nodes, run by whole tensors.

    With `paired`, stages know how they would make two slices at a time.

    Returns
    -------
    Partition or None
        None when `streamed` is asked for and no layer can take the slices of the input.
    """
    found = Partition(graph)
    found.groups = dict.fromkeys(graph.inputs, -1)
    if streamed:
        if len(graph.inputs) != 1 or not is_stream(graph.tensors[graph.inputs[0]]):
            return None
        found.groups = {}
        found.levels = {graph.inputs[0]: 0}
    position = 0
    while position < len(found.graph.nodes):  # copies join at the end
        node = found.graph.nodes[position]
        if not (streamed and node.index not in late and _streams(found, target, position, node, paired)):
            _runs_whole(found, target, position, node)
        position += 1
    if streamed and not any(found.level_of(position) == 0 for position in found.stages):
        return None
    return found


def _dynamic(graph: Graph, node: Node) -> list[int]:
    return [i for i in dict.fromkeys(node.inputs) if i is not None and graph.tensors[i].data is None]


def _runs_whole(found: Partition, target: Target, position: int, node: Node) -> None:
    found.lowered[position] = arrange(target, operator_of(node).lower(found.graph, node))
    groups = [0]
    for index in _dynamic(found.graph, node):
        groups.append(found.levels[index] if index in found.levels else found.groups[index])
    found.wholes[position] = max(groups)
    found.groups |= dict.fromkeys(node.outputs, max(groups))


def _streams(found: Partition, target: Target, position: int, node: Node, paired: bool) -> bool:
    """Make the layer part of a walk, if it can be."""
    graph = found.graph
    rule = operator_of(node).stream
    inputs = _dynamic(graph, node)
    walking = [i for i in inputs if i in found.levels]
    sources = walking + [i for i in inputs if i in found.groups and _can_begin(graph.tensors[i])]
    if rule is None or not sources or len({graph.tensors[i].shape[1] for i in sources}) != 1:
        return False
    made = rule(graph, node, lambda n: sliced(graph, n, frozenset(sources)))
    if made is not None and "mve" in target.tiers:
        made = made.wide()
    if made is None or not all(is_stream(graph.tensors[o]) or made.finish for o in node.outputs):
        return False
    if made.lowered.alias:
        return _renames(found, node)
    level = max(found.levels[i] if i in found.levels else found.groups[i] + 1 for i in inputs)
    if made.finish is None and level == 0 and not _leaves_early(found, node):
        return False
    slices = graph.tensors[sources[0]].shape[1] if made.finish else graph.output(node).shape[1]
    after = tuple(found.root(i) for i in (node.attrs.get("after"),) if i is not None and found.levels.get(i) == level)
    found.stages[position] = Stage(
        position,
        node,
        tuple(dict.fromkeys((*(found.root(i) for i in sources), *after))),
        node.outputs,
        made.window,
        slices,
        arrange(target, made.lowered),
        made.finish,
        made.accumulator_bytes,
        after,
        arrange_two(target, made.lowered) if paired and made.finish is None else None,
    )
    (found.groups if made.finish else found.levels).update(dict.fromkeys(node.outputs, level))
    return True


def _can_begin(tensor: Tensor) -> bool:
    """Whether a walk can go over a whole tensor; one slice is no walk."""
    return is_stream(tensor) and tensor.shape[1] > 1


def _renames(found: Partition, node: Node) -> bool:
    """Take a layer that only changes a shape for the tensor it reads."""
    source, target = node.inputs[0], node.outputs[0]
    if source not in found.levels or target in found.graph.outputs:
        return False
    assert source is not None
    found.roots[target] = found.root(source)
    found.levels[target] = found.levels[source]
    return True


def _leaves_early(found: Partition, node: Node) -> bool:
    """Decide on outputs of the model that would be made before the caller says where they go.

    They are kept and copied in the end where they are not larger than what the layer reads; otherwise the layer waits.
    """
    graph = found.graph
    outputs = [i for i in node.outputs if i in graph.outputs]
    if not outputs:
        return True
    kept = sum(graph.tensors[i].bytes for i in outputs)
    if kept > sum(graph.tensors[i].bytes for i in _dynamic(graph, node)):
        return False
    for index in outputs:
        _copy_in_the_end(found, index)
    return True


def _copy_in_the_end(found: Partition, tensor: int) -> None:
    graph = found.graph
    copy = max(graph.tensors) + 1
    tensors = {**graph.tensors, copy: replace(graph.tensors[tensor], index=copy)}
    number = 1 + max(node.index for node in graph.nodes)
    node = Node(number, "RESHAPE", (tensor,), (copy,))
    outputs = tuple(copy if index == tensor else index for index in graph.outputs)
    found.graph = replace(graph, tensors=tensors, nodes=(*graph.nodes, node), outputs=outputs)
