"""The choice of a schedule: which ones there are, what each costs, and which meets the limits.

A stream may go along either spatial axis, and at every border between two segments what feeds back may be stored or
made again. Borders are improved one by one until nothing gets better; what counts as better is the caller's question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from . import passes
from .cost import CostModel, Estimate
from .errors import OptionError
from .ir import Graph
from .ops import operator_of
from .partition import Partition, partition
from .passes.fuse_depthwise import joinable, lean
from .passes.late_links import links
from .passes.swap_axes import swap_axes
from .schedule import Draft, Schedule, check_outputs, make_schedule
from .segments import STORE_ALL, Builder, find_walks
from .targets import Target

SCHEDULES = ("whole", "stream", "stream-h", "stream-w", "auto", "min-ram", "min-instructions")
#: Fusions that are made only where memory times instructions falls, with the layers that can take part.
OPTIONAL: Mapping[str, Callable[[Graph], frozenset[int]]] = {"fuse-depthwise": joinable, "late-links": links}
_SWEEPS = 2
_MOST_OPTIONS = 6
#: Layers at which a stream is tried to end.
_MOST_ENDS = 6
#: Estimates cannot tell instructions that lie closer together than this.
_ALIKE = 0.97
_TIGHTER = (0.94, 0.86, 0.77, 0.6)
"""Shares of a limit of RAM that are tried where a search does not keep it."""


@dataclass(frozen=True)
class Limits:
    """Bytes that a board can spare for a model; None where nobody asks.

    With `holds_input` the input counts against RAM too, where all of it has to be there at once.
    """

    ram: int | None = None
    flash: int | None = None
    holds_input: bool = False

    def excess(self, state: int, flash: int) -> int:
        """Bytes by which both are exceeded."""
        over = [used - most for used, most in ((state, self.ram), (flash, self.flash)) if most is not None]
        return sum(max(bytes_, 0) for bytes_ in over)

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return self.ram is not None or self.flash is not None


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Candidate:
    """One way to run the model.

    Attributes
    ----------
    name : str
        ``whole``, ``stream-h`` or ``stream-w``.
    swapped : frozenset of int
        Tensors whose spatial axes are exchanged in the graph that is run.
    state_bytes : int
        Exact.
    ram_bytes : int
        State, and the input where it counts.
    borders : mapping of int to int
        Position behind which layers run again, by number of the segment.
    apart : frozenset of int
        Layers, by number of the node, that :data:`OPTIONAL` fusions leave as they are because it would not pay.
    late : frozenset of int
        Layers, by number of the node, that run by whole tensors although they could be streamed.
    paired : bool
        Whether layers of a stream make two slices at a time where they have a kernel for it.
    others : tuple of Candidate
        Those that it was preferred to.
    """

    name: str
    schedule: Schedule
    swapped: frozenset[int]
    state_bytes: int
    ram_bytes: int
    estimate: Estimate
    borders: Mapping[int, int]
    apart: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()
    paired: bool = False
    others: tuple[Candidate, ...] = ()

    @property
    def asked(self) -> tuple[int, int, int]:
        """RAM and flash in bytes, and instructions."""
        return self.ram_bytes, self.estimate.flash_bytes, self.estimate.instructions


#: Smaller is better; given RAM and flash in bytes and instructions.
_Rank = Callable[[float, float, float], tuple[float, ...]]


def choose(
    graph: Graph, name: str, target: Target, limits: Limits, disable: Collection[str] = (), spread: int = 0
) -> Candidate:
    """The best schedule of those that `name` allows.

    Raises
    ------
    OptionError
        When there is none, or none that keeps within the limits.
    UnsupportedError
        When an output of the model is computed by no layer.
    """
    check_outputs(graph)
    best = _best(graph, name, target, limits, disable, spread)
    keeps = not limits.excess(*best.asked[:2])
    if name == "auto" and limits.given and not (keeps and best.name == "whole"):
        best = _searched_again(best, graph, target, limits, disable, spread)
    if limits.excess(*best.asked[:2]):
        raise OptionError(_no_room(best, limits))
    return best


def _searched_again(
    best: Candidate, graph: Graph, target: Target, limits: Limits, disable: Collection[str], spread: int
) -> Candidate:
    """What other searches find within the limits: one goes step after step, and may miss or pass them."""
    others = [replace(limits, ram=None, flash=None)]
    if limits.excess(*best.asked[:2]) and limits.ram is not None:
        others += [replace(limits, ram=int(limits.ram * share)) for share in _TIGHTER]
    for other in others:
        found = _best(graph, "auto", target, other, disable, spread)
        fewer = found.estimate.instructions < best.estimate.instructions
        if not limits.excess(*found.asked[:2]) and (fewer or limits.excess(*best.asked[:2])):
            return found
    return best


def _best(graph: Graph, name: str, target: Target, limits: Limits, disable: Collection[str], spread: int) -> Candidate:
    """What comes out of one search; it may exceed the limits."""
    rank = _rank(name, limits)
    # Estimates cannot tell the few instructions of an optional fusion: what it saves in memory counts too.
    pays = _rank("stream", NO_LIMITS) if _by_work(name, limits) else rank
    found = [_along(graph, axis, target, rank, pays, limits, disable, spread) for axis in _axes(name)]
    candidates = tuple(candidate for candidate in found if candidate is not None)
    if _by_work(name, limits):
        candidates = _with_ends(graph, candidates, target, rank, pays, limits, disable, spread)
    if not candidates:
        raise OptionError(f"schedule '{name}' is not possible: the model's first layer needs its whole input")
    best = min(candidates, key=lambda c: rank(*c.asked))
    if _by_work(name, limits):
        near = [c for c in candidates if _ALIKE * c.estimate.instructions <= best.estimate.instructions]
        best = min(near, key=lambda c: (limits.excess(*c.asked[:2]), c.ram_bytes))
    return replace(best, others=tuple(c for c in candidates if c is not best))


def _axes(name: str) -> tuple[str, ...]:
    fixed = {"whole": ("",), "stream": ("h", "w"), "stream-h": ("h",), "stream-w": ("w",)}
    return fixed.get(name, ("h", "w", ""))


def _by_work(name: str, limits: Limits) -> bool:
    return name == "min-instructions" or (name == "auto" and limits.given)


def _rank(name: str, limits: Limits) -> _Rank:
    def excess(ram: float, flash: float) -> int:
        return limits.excess(int(ram), int(flash))

    if name == "min-ram":
        return lambda ram, flash, work: (excess(ram, flash), ram, work)
    if _by_work(name, limits):
        return lambda ram, flash, work: (excess(ram, flash), work, ram)
    # Making again has to save a larger share of the state than it adds to the work.
    return lambda ram, flash, work: (excess(ram, flash), ram * work)


def _no_room(best: Candidate, limits: Limits) -> str:
    asked = [f"{n:,} bytes of {what}" for n, what in ((limits.ram, "RAM"), (limits.flash, "flash")) if n is not None]
    return (
        f"no schedule fits {' and '.join(asked)}: '{best.name}' comes nearest with {best.ram_bytes:,} bytes of RAM and "
        f"about {best.estimate.flash_bytes:,} of flash"
    )


def _along(
    graph: Graph,
    axis: str,
    target: Target,
    rank: _Rank,
    pays: _Rank,
    limits: Limits,
    disable: Collection[str],
    spread: int,
    late: frozenset[int] = frozenset(),
) -> Candidate | None:
    """The best way to stream along an axis, if there is any; the only one by whole tensors for the axis ''.

    Layers of `late` run by whole tensors.
    """
    variant, swapped = swap_axes(graph, late) if axis == "w" else (graph, frozenset[int]())
    model = CostModel(target)

    def searched(apart: frozenset[int], paired: bool = False) -> _Search | None:
        part, _ = _parted(graph, axis, target, disable, apart, late, paired)
        return None if part is None else _Search(part, target, model, rank, pays, spread, paired)

    plain = passes.fuse(variant, target, {*disable, *OPTIONAL})
    optional = {name: frozenset[int]() if name in disable else find(plain) for name, find in OPTIONAL.items()}
    apart = frozenset[int]().union(*optional.values())
    search = searched(apart)
    for name in OPTIONAL if search is not None else ():
        fewer = apart - (optional[name] if axis else optional[name] & lean(plain))
        other = searched(fewer) if fewer != apart else None
        if search is not None and other is not None and other.worth() < search.worth():
            search, apart = other, fewer
    if search is None:
        return None
    if axis and not spread and "pair-slices" not in disable:
        other = searched(apart, paired=True)
        if other is not None and other.value({}) < search.value({}):
            search = other
    borders = search.borders()
    schedule = make_schedule(search.builder.program(borders), target)
    state = schedule.state_bytes(target)
    held = sum(graph.tensors[i].bytes for i in graph.inputs) if limits.holds_input and not axis else 0
    name = f"stream-{axis}" if axis else "whole"
    estimate, paired = model.estimate(schedule), search.builder.paired
    return Candidate(name, schedule, swapped, state, state + held, estimate, borders, apart, late, paired)


def _with_ends(
    graph: Graph,
    candidates: tuple[Candidate, ...],
    target: Target,
    rank: _Rank,
    pays: _Rank,
    limits: Limits,
    disable: Collection[str],
    spread: int,
) -> tuple[Candidate, ...]:
    """Each stream, or the best of those that end early where that is better: what comes behind runs by whole tensors.

    Layers by whole tensors take fewer instructions; where a network gets narrower towards its end they cost no memory.
    """
    found = []
    for candidate in candidates:
        walks = sum(segment is not None for segment in candidate.schedule.program.segments)
        best = candidate
        for late in _ends(graph) if walks > 1 else ():
            other = _along(graph, candidate.name[-1], target, rank, pays, limits, disable, spread, late)
            if other is not None and rank(*other.asked) < rank(*best.asked):
                best = other
        found.append(best)
    return tuple(found)


def _ends(graph: Graph) -> list[frozenset[int]]:
    """Layers from each of the heaviest on."""
    macs = {node.index: operator_of(node).macs(graph, node) for node in graph.nodes}
    heavy = sorted(macs, key=lambda index: -macs[index])[:_MOST_ENDS]
    order = [node.index for node in graph.nodes]
    return [frozenset(order[order.index(index) :]) for index in heavy if order.index(index)]


def _parted(
    graph: Graph,
    axis: str,
    target: Target,
    disable: Collection[str],
    apart: Collection[int],
    late: Collection[int] = (),
    paired: bool = False,
) -> tuple[Partition | None, frozenset[int]]:
    variant, swapped = swap_axes(graph, late) if axis == "w" else (graph, frozenset[int]())
    fused = passes.fuse(variant, target, disable, apart)
    return partition(fused, target, streamed=bool(axis), late=late, paired=paired), swapped


def draft_like(graph: Graph, chosen: Candidate, target: Target, disable: Collection[str] = ()) -> Draft | None:
    """The draft of a graph that runs the way that was chosen for another of its structure; None where it cannot."""
    axis = "" if chosen.name == "whole" else chosen.name[-1]
    part, _ = _parted(graph, axis, target, disable, chosen.apart, chosen.late, chosen.paired)
    return None if part is None else Draft(Builder(part, paired=chosen.paired).program(chosen.borders), target)


def _rows_on_stack(draft: Draft) -> int:
    """Bytes that a layer of two keeps on the stack between them: they are no part of the state, but of RAM."""
    chains = [step.lowered.chain for step in draft.steps]
    return max((chain.bytes for chain in chains if chain is not None and chain.on_stack), default=0)


class _Search:
    """Improves the borders between segments, one at a time."""

    def __init__(
        self,
        part: Partition,
        target: Target,
        model: CostModel,
        rank: _Rank,
        pays: _Rank,
        spread: int,
        paired: bool = False,
    ) -> None:
        self.part = part
        self.target = target
        self.model = model
        self.rank = rank
        self.pays = pays
        self.builder = Builder(part, spread, paired)
        self.macs = {p: operator_of(s.node).macs(part.graph, s.node) for p, s in part.stages.items()}

    def borders(self) -> Mapping[int, int]:
        """The best ones found, by number of the segment."""
        best: dict[int, int] = {}
        value = self.value(best)
        for _ in range(_SWEEPS):
            before = value
            for number in reversed(range(1, self.part.walks)):
                for option in self._options(best, number):
                    trial = {**best, number: option}
                    found = self.value(trial)
                    if found < value:
                        best, value = trial, found
            if value == before:
                break
        return best

    def value(self, borders: Mapping[int, int]) -> tuple[float, ...]:
        """How good the schedule with these borders is; smaller is better."""
        return self.rank(*self._asked(borders))

    def worth(self) -> tuple[float, ...]:
        """What tells whether an optional fusion pays; smaller is better."""
        return self.pays(*self._asked({}))

    def _asked(self, borders: Mapping[int, int]) -> tuple[int, float, float]:
        """RAM and flash in bytes, and instructions."""
        draft = Draft(self.builder.program(borders), self.target)
        work = sum(self.model.instructions(self.part.graph, step) for step in draft.steps)
        return draft.least_state() + _rows_on_stack(draft), self.model.flash(draft.steps), work

    def _options(self, borders: Mapping[int, int], number: int) -> list[int]:
        """Borders worth trying: no other stores less for the same work."""
        positions = [p for p in self.part.stages if self.part.level_of(p) < number]
        found: dict[tuple[int, int], int] = {}
        for border in [STORE_ALL, *sorted(positions, reverse=True), -1]:
            walks = find_walks(self.part, {**borders, number: border})
            stored = {t for walk in walks for t in walk.stored}
            kept = sum(self.part.graph.tensors[t].bytes for t in stored)
            again = sum(self.macs[p] for walk in walks for p in walk.again)
            found.setdefault((kept, again), border)
        best = [k for k in found if not any(o != k and o[0] <= k[0] and o[1] <= k[1] for o in found)]
        return [found[key] for key in sorted(best)[:_MOST_OPTIONS]]
