"""One part of a mixture compiled: a network, or several of one structure that share their code."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from .. import passes
from ..choose import NO_LIMITS, Candidate, Limits, choose, draft_like
from ..describe import describe_schedule
from ..emit import emit_files, emitter_stack, layer_infos
from ..emit_steps import Emitter
from ..errors import CompositionError, OptionError
from ..explain import Explanation, explain
from ..ir import Graph
from ..model import LayerInfo, ScheduleInfo, describe
from ..targets import Target
from .agree import agree
from .alike import transform
from .emitter import TablesEmitter


@dataclass(frozen=True)
class Settings:
    """How all parts are compiled: as :func:`thumbnet.codegen.compile_model` takes it."""

    target: Target
    generator: str
    model_hash: str
    optimize: str
    disable: Collection[str]


@dataclass(frozen=True)
class Part:
    """A compiled part.

    Attributes
    ----------
    role, prefix : str
        ``bottom``, ``gate``, ``expert`` or ``towers``, and the start of its C names.
    graphs : tuple of Graph
        As read.
    settings : Settings
        How it was compiled.
    off : frozenset of str
        Optimisations left out, those included that would make alike networks differ.
    """

    role: str
    prefix: str
    graphs: tuple[Graph, ...]
    settings: Settings
    after: Graph
    off: frozenset[str]
    chosen: Candidate
    emitter: Emitter

    @property
    def member(self) -> str:
        """Its state's name in the state of the whole."""
        return self.role

    @property
    def many(self) -> bool:
        """Whether several networks share the code."""
        return len(self.graphs) > 1

    @property
    def state_bytes(self) -> int:
        """Size of its state."""
        return self.emitter.state_bytes()

    @property
    def holds_pointers(self) -> bool:
        """Whether there are pointers in its state."""
        return self.many or self.chosen.schedule.window_rows > 0

    @property
    def stack_bytes(self) -> int:
        """Stack of one call."""
        return emitter_stack(self.emitter)

    @property
    def info(self) -> ScheduleInfo:
        """How it is walked."""
        return describe_schedule(self.chosen)

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Layers of one run, with the constants of all networks."""
        infos = layer_infos(self.graphs[0], self.after, self.chosen.schedule)
        return tuple(replace(info, weight_bytes=self._weights(info)) for info in infos)

    def _weights(self, info: LayerInfo) -> int:
        if not isinstance(self.emitter, TablesEmitter):
            return info.weight_bytes
        return 0 if info.again else self.emitter.layer_bytes(info.index)

    def files(self, first_layer: int) -> dict[str, str]:
        """Generated sources; `first_layer` is the number of its first layer."""
        if not self.many:
            self.emitter.first_layer = str(first_layer) if first_layer else ""
        graph = self.graphs[0]
        files = emit_files(
            self.emitter,
            generator=self.settings.generator,
            model_hash=self.settings.model_hash,
            inputs=describe([graph.tensors[i] for i in graph.inputs]),
            outputs=describe([graph.tensors[i] for i in graph.outputs]),
            layers=self.layers,
            schedule_info=self.info,
            app=False,
        )
        return {name: text for name, text in files.items() if name.startswith("src/")}

    def explain(self) -> Explanation:
        """What was done to it."""
        return explain(self.graphs[0], self.after, self.chosen, self.settings.target, self.off)


def compile_part(
    role: str, prefix: str, graphs: Sequence[Graph], settings: Settings, schedule: str, spread: int, limits: Limits
) -> Part:
    """Compile a part by a schedule, or by whole tensors where it cannot be streamed; `limits` are for its state.

    Raises
    ------
    CodegenError
        Names the part.
    """
    target = settings.target
    try:
        if len(graphs) == 1:
            transformed, off = [passes.run(graphs[0], target, settings.disable)], frozenset(settings.disable)
        else:
            # Layers that share their constants' tables stay one kernel each.
            transformed, off = transform(graphs, target, {*settings.disable, "fuse-depthwise"})
        chosen = _choose(transformed[0], schedule, target, limits, off, spread)
    except OptionError as error:
        raise OptionError(f"{role}: {error}") from error
    emitter: Emitter
    if len(graphs) == 1:
        emitter = Emitter(chosen.schedule, prefix, target, chosen.swapped)
        emitter.share_kernels(size=settings.optimize == "size")
    else:
        drafts = [draft_like(graph, chosen, target, off) for graph in transformed]
        alike = [[] if draft is None else [(s.node.op, s.stage is None) for s in draft.steps] for draft in drafts]
        for number, found in enumerate(alike):
            if found != alike[0]:
                raise CompositionError(
                    f"{role} {number} cannot share the code of {role} 0: its layers run in another way"
                )
        kept = [draft for draft in drafts if draft is not None]
        agree(kept)
        steps = tuple(replace(s, lowered=kept[0].steps[s.index].lowered) for s in chosen.schedule.steps)
        emitter = TablesEmitter(replace(chosen.schedule, steps=steps), prefix, target, chosen.swapped, kept)
    return Part(role, prefix, tuple(graphs), settings, transformed[0], off, chosen, emitter)


def _choose(
    graph: Graph, schedule: str, target: Target, limits: Limits, off: Collection[str], spread: int
) -> Candidate:
    try:
        return choose(graph, schedule, target, limits, off, spread)
    except OptionError:
        if limits.given:  # whether all parts together fit is for the caller to say
            return choose(graph, "min-ram", target, NO_LIMITS, off, spread)
        if not schedule.startswith("stream"):
            raise
        return choose(graph, "whole", target, NO_LIMITS, off)
