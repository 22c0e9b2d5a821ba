"""The compiler from the first byte to the last: read, check, transform, schedule, plan, emit."""

from __future__ import annotations

import hashlib

from . import passes
from .emit import Emitter, emit_files, layer_infos
from .errors import OptionError, UnsupportedError
from .ir import Graph, verify
from .model import Analysis, CompiledModel, LayerReport, describe
from .ops import OPERATORS, refusal
from .ops.base import MOVABLE_TYPES
from .passes.swap_axes import swap_axes
from .schedule import make_schedule
from .targets import Target, find_target
from .tflite import read_graph

GENERATOR = "thumbnet 0.1.0"
SCHEDULES = ("whole", "stream", "stream-h", "stream-w", "auto")


def compile_model(
    tflite: bytes,
    *,
    target: str = "cortex-m4",
    prefix: str = "model",
    schedule: str = "whole",
    app: bool = False,
) -> CompiledModel:
    """Compile an int8 .tflite model to C.

    Parameters
    ----------
    tflite : bytes
        The model file.
    target : str
        Core to generate for, one of :data:`thumbnet.codegen.targets.TARGETS`.
    prefix : str
        Start of every generated name.
    schedule : str
        ``whole`` runs layer after layer; ``stream`` runs the head of the network slice by slice, along the spatial
        axis that needs less memory, ``stream-h`` and ``stream-w`` along height or width; ``auto`` takes whichever of
        all needs least memory.
    app : bool
        Also write ``tn_app_model.h``, which binds the model to the device application.

    Returns
    -------
    CompiledModel
        The same input gives the same bytes.

    Raises
    ------
    ModelError
        When the file is not a well-formed model.
    UnsupportedError
        When it holds something that the compiler does not translate; names every such layer.
    OptionError
        When `target`, `schedule` or `prefix` is not allowed, or the model cannot be streamed at all.
    """
    core = find_target(target)
    if schedule not in SCHEDULES:
        raise OptionError(f"unknown schedule '{schedule}': allowed are {', '.join(SCHEDULES)}")
    graph = read_graph(tflite)
    _check(graph)
    graph = passes.run(graph)
    emitter = _cheapest(graph, schedule, prefix, core)
    model_hash = hashlib.sha256(tflite).hexdigest()
    inputs = describe([graph.tensors[i] for i in graph.inputs])
    outputs = describe([graph.tensors[i] for i in graph.outputs])
    layers = layer_infos(graph, emitter.schedule)
    files = emit_files(
        emitter,
        generator=GENERATOR,
        model_hash=model_hash,
        inputs=inputs,
        outputs=outputs,
        layers=layers,
        app=app,
    )
    return CompiledModel(
        prefix, core.name, model_hash, inputs, outputs, layers, emitter.state_bytes, emitter.schedule.plan, files
    )


def _cheapest(graph: Graph, schedule: str, prefix: str, core: Target) -> Emitter:
    """The schedule that needs least memory among those asked for; the first of equals."""
    candidates: list[Emitter] = []
    if schedule != "whole":
        axes = {"stream-h": "h", "stream-w": "w"}.get(schedule, "hw")
        variants = {"h": (graph, frozenset[int]()), "w": swap_axes(graph)}
        for variant, moved in (variants[axis] for axis in axes):
            variant = passes.fuse(variant, core)
            found = make_schedule(variant, core, streamed=True)
            if found is not None:
                candidates.append(Emitter(variant, found, prefix, core, moved))
    if schedule in ("whole", "auto"):
        graph = passes.fuse(graph, core)
        whole = make_schedule(graph, core, streamed=False)
        assert whole is not None  # always possible
        candidates.append(Emitter(graph, whole, prefix, core))
    if not candidates:
        raise OptionError(f"schedule '{schedule}' is not possible: the model's first layer needs its whole input")
    return min(candidates, key=lambda emitter: emitter.state_bytes)


def analyze_model(tflite: bytes) -> Analysis:
    """Look at every operator of a model, supported or not.

    Raises
    ------
    ModelError
        When the file is not a well-formed model.
    """
    graph = verify(read_graph(tflite))
    layers = []
    for node in graph.nodes:
        reason = refusal(graph, node)
        macs = OPERATORS[node.op].macs(graph, node) if reason is None else 0
        shape = graph.output(node).shape if node.outputs else ()
        layers.append(LayerReport(node.index, graph.name(node), node.op, shape, macs, reason is None, reason or ""))
    return Analysis(
        hashlib.sha256(tflite).hexdigest(),
        describe([graph.tensors[i] for i in graph.inputs]),
        describe([graph.tensors[i] for i in graph.outputs]),
        tuple(layers),
    )


def _check(graph: Graph) -> None:
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
