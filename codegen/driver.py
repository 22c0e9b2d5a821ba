"""The compiler from the first byte to the last: read, check, transform, schedule, plan, emit."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from . import passes
from .check import check_graph, layer_reports
from .choose import NO_LIMITS, SCHEDULES, Limits, choose
from .describe import describe_schedule
from .emit import emit_files, layer_infos
from .emit_steps import Emitter
from .errors import OptionError
from .explain import explain
from .ir import verify
from .mixture.plan import is_mixture
from .model import Analysis, CompiledModel, describe
from .targets import find_target
from .tflite import read_graph

GENERATOR = "thumbnet 0.1.0"
#: What generated code leans to.
OPTIMIZE = ("speed", "size")


def compile_model(
    tflite: bytes,
    *,
    target: str = "cortex-m4",
    prefix: str = "model",
    schedule: str = "whole",
    limits: Limits = NO_LIMITS,
    optimize: str = "speed",
    spread: int = 0,
    app: bool = False,
    disable: Collection[str] = (),
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
        ``whole`` runs layer after layer; ``stream`` runs slice by slice while the input arrives, along the better
        axis, ``stream-h`` and ``stream-w`` along height or width; ``min-ram`` takes the least state of all,
        ``min-instructions`` the fewest instructions, ``auto`` the fewest that keep within `limits`, or the least
        product of both where there are none.
    limits : Limits
        RAM and flash that the model may take, in bytes.
    optimize : str
        ``speed`` gives every layer its own copy of its kernel, ``size`` one copy to several layers of a kind.
    spread : int
        Layers that fire in one push at most, so that no push takes much longer than others; 0 for as many as can.
    app : bool
        Also write ``tn_app_model.h``, which binds the model to the device application.
    disable : collection of str
        Optimisations to leave out, names of :data:`thumbnet.codegen.passes.SWITCHES`; the outputs stay the same.

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
        When `target`, `schedule`, `optimize`, `prefix` or `disable` is not allowed, the model cannot be streamed at
        all, or no schedule keeps within `limits`.
    """
    if is_mixture(tflite):
        from .mixture.assemble import compile_mixture

        return compile_mixture(
            tflite,
            target=target,
            prefix=prefix,
            schedule=schedule,
            limits=limits,
            optimize=optimize,
            spread=spread,
            app=app,
            disable=disable,
            generator=GENERATOR,
        )
    core = find_target(target)
    disable = passes.check_switches(disable)
    core = passes.restricted(core, disable)
    if schedule not in SCHEDULES:
        raise OptionError(f"unknown schedule '{schedule}': allowed are {', '.join(SCHEDULES)}")
    if optimize not in OPTIMIZE:
        raise OptionError(f"unknown setting of optimize '{optimize}': allowed are {', '.join(OPTIMIZE)}")
    if spread < 0:
        raise OptionError(f"spread must be 0 or more layers per push, got {spread}")
    model = read_graph(tflite)
    check_graph(model)
    graph = passes.run(model, core, disable)
    chosen = choose(graph, schedule, core, limits, disable, spread)
    info = describe_schedule(chosen)
    emitter = Emitter(chosen.schedule, prefix, core, chosen.swapped)
    emitter.share_kernels(size=optimize == "size")
    model_hash = hashlib.sha256(tflite).hexdigest()
    inputs = describe([graph.tensors[i] for i in graph.inputs])
    outputs = describe([graph.tensors[i] for i in graph.outputs])
    layers = layer_infos(model, graph, chosen.schedule)
    files = emit_files(
        emitter,
        generator=GENERATOR,
        model_hash=model_hash,
        inputs=inputs,
        outputs=outputs,
        layers=layers,
        schedule_info=info,
        app=app,
    )
    return CompiledModel(
        prefix,
        core.name,
        model_hash,
        inputs,
        outputs,
        layers,
        chosen.state_bytes,
        chosen.schedule.plan,
        files,
        info,
        lambda: explain(model, graph, chosen, core, disable),
    )


def analyze_model(tflite: bytes) -> Analysis:
    """Look at every operator of a model, supported or not.

    Raises
    ------
    ModelError
        When the file is not a well-formed model.
    """
    if is_mixture(tflite):
        from .mixture.analysis import analyze_mixture

        return analyze_mixture(tflite)
    graph = verify(read_graph(tflite))
    layers = layer_reports(graph)
    return Analysis(
        hashlib.sha256(tflite).hexdigest(),
        describe([graph.tensors[i] for i in graph.inputs]),
        describe([graph.tensors[i] for i in graph.outputs]),
        layers,
    )
