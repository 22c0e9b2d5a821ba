"""Run an int8 or float .tflite on the host, window after window. No TensorFlow here.

int8 goes through TensorFlow Lite Micro's own interpreter (the `tflite-micro` wheel) where it is installed: its
output is what a device must reproduce. Elsewhere LiteRT's reference kernels stand in for it; they may differ
by one code where a fully connected layer rounds once instead of twice. Every result names its engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from .errors import InferenceError
from .scaling import ChannelScaling

Advance = Callable[[int], None]
_ARENA_BYTES = 8 << 20
ENGINES = ("auto", "tflm", "litert")


@dataclass(frozen=True)
class Int8Result:
    """Outputs of an int8 model.

    Attributes
    ----------
    codes : numpy.ndarray
        int8, shape (N, *output shape without the batch).
    values : numpy.ndarray
        float32, the same dequantized.
    engine : str
        What computed them, with its version.
    """

    codes: np.ndarray
    values: np.ndarray
    engine: str


@dataclass(frozen=True)
class Prediction:
    """Stages and probabilities of epochs.

    Attributes
    ----------
    stages : numpy.ndarray
        int64, shape (N,); the first of equal probabilities wins, as on the device.
    probabilities : numpy.ndarray
        float32, shape (N, classes), each row scaled to sum to 1.
    engine : str
        What computed them.
    """

    stages: np.ndarray
    probabilities: np.ndarray
    engine: str


def run_int8(tflite: bytes, codes: np.ndarray, *, engine: str = "auto", advance: Advance | None = None) -> Int8Result:
    """Run an int8 model of one input and one output over windows.

    Parameters
    ----------
    tflite : bytes
        A full-integer model with a batch of 1.
    codes : numpy.ndarray
        int8, shape (N, *input shape without the batch).
    engine : str
        "tflm", "litert", or "auto": the first of these that is installed.
    advance : callable, optional
        Called with 1 after each window.

    Returns
    -------
    Int8Result

    Raises
    ------
    InferenceError
        The model is damaged, not int8 or of a free batch; codes do not fit; or no engine is installed.
    """
    run = _open(tflite, engine)
    codes = np.asarray(codes)
    if codes.dtype != np.int8 or codes.shape[1:] != run.input_shape[1:]:
        raise InferenceError(
            f"codes must be int8 of the shape (windows, {', '.join(map(str, run.input_shape[1:]))}), "
            f"got {codes.dtype} {codes.shape}"
        )
    outputs = np.empty((len(codes), *run.output_shape[1:]), np.int8)
    for place, window in enumerate(codes):
        outputs[place] = run.invoke(window[None])[0]
        if advance is not None:
            advance(1)
    return Int8Result(outputs, dequantize(outputs, run.output_scale, run.output_zero_point), run.name)


def predict_int8(
    tflite: bytes,
    scaling: ChannelScaling,
    signals: np.ndarray,
    *,
    engine: str = "auto",
    advance: Advance | None = None,
) -> Prediction:
    """Predict the stage of each epoch with an int8 model.

    Parameters
    ----------
    tflite : bytes
        The model.
    scaling : ChannelScaling
        Of its channels.
    signals : numpy.ndarray
        Shape (N, channels, samples), microvolts.
    engine, advance
        See :func:`run_int8`.

    Returns
    -------
    Prediction
    """
    result = run_int8(tflite, scaling.to_int8(signals), engine=engine, advance=advance)
    return prediction_of(result.codes, result.values, result.engine)


def prediction_of(codes: np.ndarray, values: np.ndarray, engine: str) -> Prediction:
    """Turn output codes (which decide) and their dequantized values (which inform) into a prediction."""
    total = values.sum(axis=1, keepdims=True)
    even = np.full_like(values, 1 / values.shape[1])
    shares = np.divide(values, total, out=even, where=total > 0)
    return Prediction(codes.argmax(axis=1).astype(np.int64), shares.astype(np.float32), engine)


def run_float(tflite: bytes, inputs: np.ndarray) -> np.ndarray:
    """Run a float model of one input and one output over windows.

    Parameters
    ----------
    tflite : bytes
        A float32 model with a batch of 1.
    inputs : numpy.ndarray
        float32, shape (N, *input shape without the batch).

    Returns
    -------
    numpy.ndarray
        float32, shape (N, *output shape without the batch).

    Raises
    ------
    InferenceError
        The model is damaged or not float; inputs do not fit; or LiteRT is not installed.
    """
    interpreter, source, sink = _open_for("float", np.float32, tflite, inputs)
    outputs = np.empty((len(inputs), *sink["shape"][1:]), np.float32)
    for place, window in enumerate(inputs):
        interpreter.set_tensor(source["index"], window[None].astype(np.float32))
        interpreter.invoke()
        outputs[place] = interpreter.get_tensor(sink["index"])[0]
    return outputs


def _open_for(kind: str, dtype: type, tflite: bytes, inputs: np.ndarray) -> tuple[Any, Any, Any]:
    """Open a model for windows; also what describes its input and its output. InferenceError where they do not fit."""
    interpreter = open_litert(tflite)
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if source["dtype"] is not dtype or tuple(source["shape"][1:]) != inputs.shape[1:]:
        raise InferenceError(
            f"a {kind} model takes {np.dtype(dtype)} of the shape (windows, {', '.join(map(str, inputs.shape[1:]))}), "
            f"this one takes {np.dtype(source['dtype'])} {tuple(map(int, source['shape']))}"
        )
    return interpreter, source, sink


def run_int16(tflite: bytes, inputs: np.ndarray) -> np.ndarray:
    """Run a 16x8 model of one input and one output over windows, in LiteRT.

    Parameters
    ----------
    tflite : bytes
        A model with int16 input and output and a batch of 1.
    inputs : numpy.ndarray
        float32, shape (N, *input shape without the batch).

    Returns
    -------
    numpy.ndarray
        float32, shape (N, *output shape without the batch).

    Raises
    ------
    InferenceError
        The model is damaged or not int16; inputs do not fit; or LiteRT is not installed.
    """
    interpreter, source, sink = _open_for("16x8", np.int16, tflite, inputs)
    scale, zero_point = source["quantization"]
    outputs = np.empty((len(inputs), *sink["shape"][1:]), np.float32)
    for place, window in enumerate(inputs):
        codes = np.clip(np.rint(window / scale) + zero_point, -32768, 32767).astype(np.int16)
        interpreter.set_tensor(source["index"], codes[None])
        interpreter.invoke()
        outputs[place] = dequantize(interpreter.get_tensor(sink["index"])[0], *sink["quantization"])
    return outputs


def dequantize(codes: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Turn codes into the float32 values they stand for."""
    return ((codes.astype(np.int32) - zero_point) * np.float64(scale)).astype(np.float32)


def open_litert(tflite: bytes, *, reference: bool = False, keep_tensors: bool = False) -> Any:
    """Open LiteRT's interpreter, ready to invoke.

    Parameters
    ----------
    tflite : bytes
        The model.
    reference : bool
        Use the reference kernels, the only ones whose int8 can be compared with a device's.
    keep_tensors : bool
        Keep every inner tensor readable.

    Raises
    ------
    InferenceError
        LiteRT is not installed, or refuses the model.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        raise InferenceError("no LiteRT on this machine; `pip install thumbnet[train]` brings ai-edge-litert") from None
    kinds = OpResolverType
    resolver = kinds.BUILTIN_REF if reference else kinds.BUILTIN
    if keep_tensors and not reference:
        # The default delegate computes whole subgraphs and leaves no inner tensors.
        resolver = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(
            model_content=tflite,
            experimental_op_resolver_type=resolver,
            experimental_preserve_all_tensors=keep_tensors,
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InferenceError(f"LiteRT refuses the model: {_first_line(error)}") from None
    return interpreter


def operators_of(interpreter: Any) -> Iterator[dict[str, Any]]:
    """Give the operators of an opened model in order, without those that change numbers between float and int8."""
    # LiteRT has no public list of operators; the underscore is its only way to tell.
    for op in interpreter._get_ops_details():
        if op["op_name"] not in ("QUANTIZE", "DEQUANTIZE", "DELEGATE"):
            yield op


@dataclass(frozen=True)
class _Runner:
    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    output_scale: float
    output_zero_point: int
    invoke: Callable[[np.ndarray], np.ndarray]


def _open(tflite: bytes, engine: str) -> _Runner:
    if engine not in ENGINES:
        raise InferenceError(f"engine must be one of {list(ENGINES)}, got {engine!r}")
    has_litert = _version("ai-edge-litert") is not None
    if engine == "litert" or (engine == "auto" and _version("tflite-micro") is None):
        return _litert_runner(tflite)
    if has_litert:
        # TFLM trusts the file; LiteRT's verifier looks at it first.
        _check_details(open_litert(tflite, reference=True))
    return _tflm_runner(tflite)


def _tflm_runner(tflite: bytes) -> _Runner:
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        raise InferenceError("no TFLM interpreter on this machine; `pip install tflite-micro` brings it") from None
    try:
        interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=_ARENA_BYTES)
    except (RuntimeError, ValueError) as error:
        raise InferenceError(f"TFLM refuses the model: {_first_line(error)}") from None
    source, sink = interpreter.get_input_details(0), interpreter.get_output_details(0)
    _check_int8(source["dtype"], sink["dtype"])

    def invoke(window: np.ndarray) -> np.ndarray:
        interpreter.set_input(window, 0)
        interpreter.invoke()
        return interpreter.get_output(0)

    return _Runner(
        name=f"tflite-micro {_version('tflite-micro')}",
        input_shape=tuple(map(int, source["shape"])),
        output_shape=tuple(map(int, sink["shape"])),
        output_scale=float(sink["quantization_parameters"]["scales"][0]),
        output_zero_point=int(sink["quantization_parameters"]["zero_points"][0]),
        invoke=invoke,
    )


def _litert_runner(tflite: bytes) -> _Runner:
    interpreter = open_litert(tflite, reference=True)
    source, sink = _check_details(interpreter)

    def invoke(window: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source["index"], window)
        interpreter.invoke()
        return interpreter.get_tensor(sink["index"])

    scale, zero_point = sink["quantization"]
    return _Runner(
        name=f"LiteRT reference kernels {_version('ai-edge-litert')}",
        input_shape=tuple(map(int, source["shape"])),
        output_shape=tuple(map(int, sink["shape"])),
        output_scale=float(scale),
        output_zero_point=int(zero_point),
        invoke=invoke,
    )


def _check_details(interpreter: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    sources, sinks = interpreter.get_input_details(), interpreter.get_output_details()
    if len(sources) != 1 or len(sinks) != 1:
        raise InferenceError(
            f"the model has {len(sources)} inputs and {len(sinks)} outputs; exactly 1 of each is allowed"
        )
    _check_int8(sources[0]["dtype"], sinks[0]["dtype"])
    signature = tuple(map(int, sources[0]["shape_signature"]))
    if -1 in signature or sources[0]["shape"][0] != 1:
        raise InferenceError(f"the model's input has the shape {signature}; the batch must be fixed to 1")
    return sources[0], sinks[0]


def _check_int8(source: Any, sink: Any) -> None:
    if np.dtype(source) != np.int8 or np.dtype(sink) != np.int8:
        raise InferenceError(
            f"the model takes {np.dtype(source)} and gives {np.dtype(sink)}; both must be int8 (full-integer)"
        )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
