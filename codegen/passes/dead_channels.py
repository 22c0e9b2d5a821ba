"""Remove channels that say nothing: those that hold one code whatever the input, and those that nobody uses.

Filters that are all zero, or that the fused activation clamps to one code for every possible input, give constants.
What a constant adds to the layers that read it moves into their biases. At a border, where padding stands in for it,
that is only exact if the constant equals the padding's code or the taps of the border add up to the same; otherwise
the channel stays.

Groups of channels go together (:mod:`.channel_ties`). A group is removed when every convolution and dense layer that
reads one of its channels can do without: it holds a constant that can move into the bias, or its weights are zero in
every output that is itself kept. The largest set of groups for which that holds is found by starting from all and
giving back those that fail, until nothing changes.

Kernels that work on several channels at once want full groups of lanes. With `lanes` above 1 each tensor keeps some of
its dead channels as filling: their filters are zero and nobody reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..ir import Graph, Node, verify
from ..ranges import Range, channels, find_ranges, windows
from .channel_ties import MIXERS, Channel, Ties
from .drop_unused import drop_unused
from .fold_constants import fold_constants
from .remove_channels import Removal, remove_channels

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]


def dead_channels(graph: Graph, lanes: int = 1) -> Graph:
    """Remove constant tensors and dead channels.

    Parameters
    ----------
    graph : Graph
        As read; layers that only passes make are not known here.
    lanes : int
        Channels of a tensor that lost some come in multiples of this, as far as it had as many.

    Returns
    -------
    Graph
        With the same outputs for every input. Tensors that lost channels say which in `kept`.
    """
    graph = verify(drop_unused(fold_constants(_constants_known(graph))))
    search = _Search(graph, find_ranges(graph))
    removal = search.removal(lanes)
    shrinks = any(len(kept) < channels(graph.tensors[index]) for index, kept in removal.kept.items())
    return remove_channels(graph, removal) if shrinks else graph


def _constants_known(graph: Graph) -> Graph:
    """Tensors all of whose channels hold one code each become constants; outputs of the model stay computed."""
    found = find_ranges(graph)
    tensors = dict(graph.tensors)
    nodes = []
    for node in graph.nodes:
        ranges = [found.get(index) for index in node.outputs]
        known = all(r is not None and r.constant.all() for r in ranges) and not set(node.outputs) & set(graph.outputs)
        if not known:
            nodes.append(node)
            continue
        for index, codes in zip(node.outputs, ranges, strict=True):
            assert codes is not None
            data = np.broadcast_to(codes.low.astype(np.int8), tensors[index].shape)
            tensors[index] = replace(tensors[index], data=np.ascontiguousarray(data))
    return replace(graph, tensors=tensors, nodes=tuple(nodes))


@dataclass(frozen=True)
class _Reader:
    """A convolution or dense layer.

    Attributes
    ----------
    uses : ndarray of bool, (outputs, input channels)
        Where any weight is not zero.
    varies : ndarray of bool, (outputs, input channels)
        Where the sum of the taps inside the input depends on the window.
    """

    source: int
    target: int
    uses: _Bools
    varies: _Bools


def _reader(graph: Graph, node: Node) -> _Reader | None:
    source, data = graph.input(node, 0), graph.input(node, 1).data
    if source.data is not None or data is None or channels(graph.input(node, 1)) % channels(source):
        return None
    uses = (data.reshape(data.shape[0], -1, channels(source)) != 0).any(axis=1)
    varies = _varies(graph, node, data.astype(np.int64)) if node.op == "CONV_2D" else np.zeros_like(uses)
    return _Reader(source.index, node.outputs[0], uses, varies)


def _varies(graph: Graph, node: Node, weights: _Ints) -> _Bools:
    rows, cols = windows(graph, node)
    sums = np.stack([weights[:, r][:, :, c].sum(axis=(1, 2)) for r in rows for c in cols])
    varies: _Bools = (sums != sums[0]).any(axis=0)
    return varies


class _Search:
    """Groups are numbered; `gone` says which of them are removed, `group` holds those of a tensor's channels."""

    def __init__(self, graph: Graph, ranges: Mapping[int, Range]) -> None:
        self.graph = graph
        self.ranges = ranges
        ties = Ties(graph)
        numbers: dict[Channel, int] = {}
        self.group: dict[int, _Ints] = {}
        for index in ties.tensors():
            roots = (ties.root((index, c)) for c in range(channels(graph.tensors[index])))
            self.group[index] = np.array([numbers.setdefault(root, len(numbers)) for root in roots])
        self.gone = np.ones(len(numbers), bool)
        for index in ties.whole & set(self.group):
            self.gone[self.group[index]] = False
        found = [_reader(graph, node) for node in graph.nodes if node.op in MIXERS]
        self.readers = [reader for reader in found if reader is not None and reader.source in self.group]

    def removal(self, lanes: int) -> Removal:
        """What to remove: the largest set that holds, less what fills up lanes."""
        while self._give_back():
            pass
        dead = self.gone.copy()
        while self._fill(lanes):
            pass
        changed = [index for index, group in self.group.items() if dead[group].any()]
        kept = {index: np.flatnonzero(self._alive(index)) for index in changed}
        filling = {index: dead[self.group[index][kept[index]]] for index in changed}
        return Removal(kept, filling, {index: self._moved(index, dead) for index in changed})

    def _alive(self, index: int) -> _Bools:
        alive: _Bools = ~self.gone[self.group[index]]
        return alive

    def _give_back(self) -> bool:
        """Keep groups that some layer cannot do without; whether there were any."""
        before = int(self.gone.sum())
        for reader in self.readers:
            codes = self.ranges[reader.source]
            outputs = self._alive(reader.target)
            unused = ~reader.uses[outputs].any(axis=0)
            pads_alike = codes.low == self.graph.tensors[reader.source].q.zero_point
            movable = codes.constant & (pads_alike | ~reader.varies[outputs].any(axis=0))
            self.gone[self.group[reader.source][~(unused | movable)]] = False
        return int(self.gone.sum()) < before

    def _fill(self, lanes: int) -> bool:
        """Give dead groups back so that every tensor has a channel, and full lanes where it had them."""
        before = int(self.gone.sum())
        for index, group in self.group.items():
            for number in group:
                alive = self._alive(index)
                count = int(alive.sum())
                if count and (count % lanes == 0 or -(-count // lanes) * lanes > len(alive)):
                    break
                self.gone[number] = False
        return int(self.gone.sum()) < before

    def _moved(self, index: int, dead: _Bools) -> _Ints:
        """Code minus zero point of the channels that are dead; 0 for the others."""
        codes = self.ranges[index]
        moves = codes.constant & dead[self.group[index]]
        return np.where(moves, codes.low - self.graph.tensors[index].q.zero_point, 0)
