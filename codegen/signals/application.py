"""A model with its preprocessing in front: what the device application serves, and what the host compares it with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..choose import Limits
from ..emit_steps import CTYPES
from ..errors import OptionError
from ..library import render
from ..memory import aligned
from ..model import CompiledModel, LayerInfo, TensorInfo
from ..targets import find_target
from .emit import emit_signals, state_bytes, value_type
from .integer import IntegerPlan, design
from .plan import SignalPlan
from .reference import run_codes

#: Operator of the layer that stands for preprocessing.
SIGNALS = "SIGNALS"


@dataclass(frozen=True)
class _Layout:
    """Where the codes of a slice lie in the model's input: `runs` runs of `run` codes, `stride` apart.

    Slice t begins at `step` * t.
    """

    slices: int
    runs: int
    run: int
    stride: int
    step: int


def with_signals(model: CompiledModel, plan: SignalPlan, generator: str) -> CompiledModel:
    """The model with its preprocessing in front, ready for the device application.

    Its input is one window of samples, int32 of shape (samples, channels); its last layer is the codes that
    preprocessing gives. A window starts from silence.

    Parameters
    ----------
    model : CompiledModel
        Compiled by a streaming schedule, or by any where the plan normalises whole windows.
    plan : SignalPlan
        Preprocessing; its channels are the codes of one slice, in order.
    generator : str
        Who writes.

    Raises
    ------
    OptionError
        When the plan does not fit the model's input.
    """
    layout = _layout(model, plan)
    constants = design(plan)
    files = dict(model.files) | emit_signals(constants, model.prefix, generator, find_target(model.target))
    manifest = json.loads(files[f"{model.prefix}.json"])
    digest = _hash(model.model_hash, plan)
    manifest |= {"model_hash": digest, "signals": plan.to_dict()}
    files[f"{model.prefix}.json"] = json.dumps(manifest, indent=2) + "\n"
    samples = samples_of(model, plan)
    count = len(plan.channels)
    buffers = _buffers(model, plan, constants, layout)
    files["src/tn_app_model.h"] = render(
        "app_signals.h.j2",
        p=model.prefix,
        P=model.prefix.upper(),
        generator=generator,
        model_hash=digest,
        samples=samples,
        layout=layout,
        features=model.inputs[0].shape[-1],
        streamed=model.schedule.slices > 0,
        buffers=buffers,
        input_block=4 * samples * count,
        output_block=sum(aligned(t.bytes) for t in model.outputs),
        outputs=model.outputs,
        ctypes=CTYPES,
        out=value_type(constants),
    )
    codes = model.inputs[0]
    layer = LayerInfo(
        len(model.layers), -1, "preprocessing", SIGNALS, codes.tensor, codes.shape, "int8", codes.bytes, 0, 0
    )
    given = TensorInfo("samples", (samples, count), "int32", None, None, 4 * samples * count, 0, codes.tensor)
    return replace(
        model,
        model_hash=digest,
        inputs=(given,),
        layers=(*model.layers, layer),
        state_bytes=buffers.state_bytes(model, constants),
        files=files,
    )


def compile_with_signals(
    compile_model: Callable[[Limits], CompiledModel], limits: Limits, plan: SignalPlan, generator: str
) -> tuple[CompiledModel, CompiledModel]:
    """Compile a model so that it keeps within limits together with its preprocessing.

    Parameters
    ----------
    compile_model : callable
        Compiles the model alone within limits.
    limits : Limits
        Of both together.
    plan, generator
        As :func:`with_signals` takes them.

    Returns
    -------
    tuple of CompiledModel
        The model alone, and both together.

    Raises
    ------
    OptionError
        When the plan does not fit the model's input, or nothing fits the limits.
    """
    model = compile_model(limits)
    both = with_signals(model, plan, generator)
    if limits.excess(both.state_bytes, 0) and limits.ram is not None:
        added = both.state_bytes - model.state_bytes
        model = compile_model(replace(limits, ram=max(limits.ram - added, 0)))
        both = with_signals(model, plan, generator)
    if limits.excess(both.state_bytes, 0):
        raise OptionError(
            f"no schedule fits the limits: with its preprocessing the model takes {both.state_bytes:,} bytes of RAM"
        )
    return model, both


def signal_files(model: CompiledModel, plan: SignalPlan, generator: str) -> dict[str, str]:
    """Sources of the preprocessing alone, for an application that calls it beside the model.

    Parameters
    ----------
    model : CompiledModel
        By any schedule; its prefix and core are used.
    plan : SignalPlan
        Preprocessing.
    generator : str
        Who writes.

    Returns
    -------
    dict of str to str
        ``src/<prefix>_signals.{h,c}``, the kernels, and the model's manifest with the declaration.

    Raises
    ------
    OptionError
        When the plan's codes cannot be the model's input.
    """
    _check_codes(model, plan)
    files = emit_signals(design(plan), model.prefix, generator, find_target(model.target))
    manifest = json.loads(model.files[f"{model.prefix}.json"]) | {"signals": plan.to_dict()}
    return files | {f"{model.prefix}.json": json.dumps(manifest, indent=2) + "\n"}


def samples_of(model: CompiledModel, plan: SignalPlan) -> int:
    """Samples per channel that give all slices of one window."""
    up, down = plan.ratio
    return -(-_layout(model, plan).slices * down // up)


def input_codes(model: CompiledModel, plan: SignalPlan, counts: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """What the network sees of one window, by the integer reference.

    Parameters
    ----------
    model : CompiledModel
        The model alone, as given to :func:`with_signals`.
    plan : SignalPlan
        Preprocessing.
    counts : array_like of int, shape (samples, channels)
        Samples of the converter.

    Returns
    -------
    ndarray of int8
        In the shape of the model's input.
    """
    layout = _layout(model, plan)
    rows = np.asarray(counts, np.int64).T
    constants = design(plan)
    codes = run_codes(constants, rows)[:, : layout.slices]
    by_run = codes.reshape(layout.runs, layout.run, layout.slices)
    ordered = by_run.transpose(0, 2, 1)
    return np.ascontiguousarray(ordered).reshape(model.inputs[0].shape)


def _hash(model_hash: str, plan: SignalPlan) -> str:
    text = model_hash + json.dumps(plan.to_dict(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


# --- memory -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Buffers:
    """Where a window that is normalised lies: nothing of it costs memory that the model has at rest meanwhile.

    Attributes
    ----------
    values : int
        Of the window; 0: slices go to the model as they come.
    bytes : int
        Of these.
    shared : bool
        They lie where the model works.
    held : bool
        Codes are written to the model's own window; otherwise they take a byte a value.
    """

    values: int
    bytes: int
    shared: bool
    held: bool

    def state_bytes(self, model: CompiledModel, plan: IntegerPlan) -> int:
        """Of everything: model, preprocessing and window."""
        apart = 0 if self.shared else aligned(self.bytes)
        together = max(model.state_bytes, aligned(self.bytes)) if self.shared else model.state_bytes
        return together + apart + state_bytes(plan) + 4 + (0 if self.held else aligned(self.values))


def _buffers(model: CompiledModel, plan: SignalPlan, constants: IntegerPlan, layout: _Layout) -> _Buffers:
    values = layout.slices * len(plan.channels) if plan.normalise else 0
    size = values * (2 if constants.narrow else 4)
    held = values > 0 and model.held is not None and layout.runs == 1
    shared = values > 0 and (model.held is None or size <= model.held.free_bytes)
    return _Buffers(values, size, shared, held)


# --- what fits ----------------------------------------------------------------------------------------------


def _layout(model: CompiledModel, plan: SignalPlan) -> _Layout:
    _check_input(model, plan)
    shape: tuple[Any, ...] = model.inputs[0].shape
    count = len(plan.channels)
    slices = model.schedule.slices
    if not slices:
        if shape[-1] != count:
            raise OptionError(
                f"signals: whole windows are normalised slice by slice, so that the input's last axis is the "
                f"{count} channels, got shape {list(shape)}; choose --schedule stream"
            )
        return _Layout(model.inputs[0].bytes // count, 1, count, count, count)
    if model.inputs[0].bytes != slices * count:
        raise OptionError(
            f"signals: {count} channels are declared, a slice of the model's input holds "
            f"{model.inputs[0].bytes // slices} codes"
        )
    if model.schedule.axis == "width" and len(shape) == 4:
        _, height, width, features = shape
        return _Layout(slices, height, features, width * features, features)
    return _Layout(slices, 1, count, count, count)


def _check_input(model: CompiledModel, plan: SignalPlan) -> None:
    if plan.normalise is None and not model.schedule.slices:
        raise OptionError("signals: the model must run as a stream behind its preprocessing; --schedule stream")
    _check_codes(model, plan)


def _check_codes(model: CompiledModel, plan: SignalPlan) -> None:
    if len(model.inputs) != 1 or model.inputs[0].dtype != "int8":
        found = ", ".join(t.dtype for t in model.inputs)
        raise OptionError(f"signals: the model takes one int8 input behind its preprocessing, got {found}")
    tensor = model.inputs[0]
    if plan.normalise is None:
        if tensor.bytes % len(plan.channels):
            raise OptionError(
                f"signals: {len(plan.channels)} channels are declared, the model's input has shape {list(tensor.shape)}"
            )
        if tensor.zero_point != 0:
            raise OptionError(f"signals: the input's zero point is 0 for scaled channels, got {tensor.zero_point}")
    elif float(np.float32(plan.normalise.scale)) != tensor.scale or plan.normalise.zero_point != tensor.zero_point:
        raise OptionError(
            f"signals: windows are normalised to scale {plan.normalise.scale:g} and zero point "
            f"{plan.normalise.zero_point}, the model's input has {tensor.scale:g} and {tensor.zero_point}"
        )
