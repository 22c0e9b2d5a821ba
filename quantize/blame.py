"""Which layers' rounding costs most: one layer at a time stays float, and what the output gains is its share.

The signal-to-noise ratio of a layer's own output (:func:`.compare.layer_noise`) holds the noise of all layers before
it, and says nothing of what the layers behind make of it. Here a layer is set free of rounding, weights and output,
while the others compute in int8; the noise that leaves the network's output is what the layer is to blame for. An
output is free only where its readers take floats, so the layers that read it compute in float too, and their weights
are free with it; what they give is rounded again.
Shares need not sum to 1: neighbours share weights, and noise of two layers may cancel, so that setting one free can
make the output worse.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from dataclasses import asdict, dataclass
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tf_keras as keras

from .convert import calibrated_converter, convert_float
from .errors import ConversionError
from .inference import open_litert, operators_of, run_float

BLAME_WINDOWS = 64
_ROUND_NOTHING = ("RESHAPE", "MAX_POOL_2D")


@dataclass(frozen=True)
class Blame:
    """What one layer's rounding does to the output.

    Attributes
    ----------
    index : int
        Place of the operator in the float file.
    op : str
        Operator, as the .tflite schema calls it.
    name : str
        Of its output tensor.
    share : float
        Of the output's noise power that is gone when this layer is float; below 0 where it gets worse.
    gain_db : float
        The same as a change of the output's signal-to-noise ratio, dB.
    agreement : float
        Share of windows in which the network with this layer float names the float network's class.
    """

    index: int
    op: str
    name: str
    share: float
    gain_db: float
    agreement: float


@dataclass(frozen=True)
class BlameReport:
    """Blame of all layers, the worst first.

    Attributes
    ----------
    snr_db : float
        Of the output with every layer in int8.
    agreement : float
        Share of windows in which it names the float network's class.
    windows : int
        Windows compared.
    layers : tuple of Blame
        In falling order of `share`.
    """

    snr_db: float
    agreement: float
    windows: int
    layers: tuple[Blame, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"layers": [asdict(layer) for layer in self.layers]}


def blame_layers(model: keras.Model, calibration: np.ndarray, inputs: np.ndarray) -> BlameReport:
    """Set each layer free of rounding in turn.

    Parameters
    ----------
    model : keras.Model
        Folded, as it is converted.
    calibration : numpy.ndarray
        As :func:`.convert.convert_int8` takes it.
    inputs : numpy.ndarray
        float32, shape (N, *input shape), in [-1, 1]; the first `BLAME_WINDOWS` are run.

    Returns
    -------
    BlameReport

    Raises
    ------
    ConversionError
        When the calibration does not fit, or the converter refuses the model.
    """
    inputs = inputs[:BLAME_WINDOWS]
    floating = convert_float(model)
    expected = run_float(floating, inputs)
    partly = _PartlyFloat(model, calibration)
    whole = run_float(partly.convert([]), inputs)
    noise, signal = _power(whole - expected), _power(expected)
    found = []
    for index, op, name, readers in _layers_of(floating):
        freed = run_float(partly.convert([name, *readers]), inputs)
        left = _power(freed - expected)
        share = 1 - left / noise if noise else 0.0
        found.append(Blame(index, op, name, share, _gain(noise, left), _agreement(freed, expected)))
    found.sort(key=lambda layer: -layer.share)
    return BlameReport(_gain(signal, noise), _agreement(whole, expected), len(inputs), tuple(found))


class _PartlyFloat:
    """Converts one network many times from one calibration, a layer float each time."""

    def __init__(self, model: keras.Model, calibration: np.ndarray):
        converter, windows = calibrated_converter(model, calibration)
        self.options = tf.lite.experimental.QuantizationDebugOptions
        with _hushed(), _as_conversion(model):
            self.debugger = tf.lite.experimental.QuantizationDebugger(
                converter=converter, debug_dataset=lambda: ([window[None]] for window in windows[:1]),
                debug_options=self.options(),
            )  # fmt: skip
        self.model = model

    def convert(self, tensors: list[str]) -> bytes:
        """Return the file in which the operators that make `tensors` compute in float."""
        with _hushed(), _as_conversion(self.model):
            self.debugger.options = self.options(denylisted_nodes=tensors)
            return bytes(self.debugger.get_nondebug_quantized_model())


@contextlib.contextmanager
def _hushed():
    """Keep the converter's notes about itself away from the user."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _as_conversion(model: keras.Model):
    try:
        yield
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConversionError(f"TensorFlow cannot convert model '{model.name}' layer by layer: {reason}") from error


def _layers_of(tflite: bytes) -> list[tuple[int, str, str, list[str]]]:
    """Index, operator and output name of each operator that computes, and names of the outputs of its readers."""
    interpreter = open_litert(tflite, keep_tensors=True)
    names = {detail["index"]: detail["name"] for detail in interpreter.get_tensor_details()}
    operators = list(operators_of(interpreter))
    return [
        (op["index"], op["op_name"], names[int(op["outputs"][0])],
         [names[tensor] for tensor in _readers(int(op["outputs"][0]), operators)])
        for op in operators if op["op_name"] not in _ROUND_NOTHING
    ]  # fmt: skip


def _readers(tensor: int, operators: list[dict[str, Any]]) -> list[int]:
    """Outputs of the operators that read a tensor, and of those behind one that rounds nothing."""
    found = []
    for op in operators:
        if tensor in op["inputs"]:
            output = int(op["outputs"][0])
            found += [output, *(_readers(output, operators) if op["op_name"] in _ROUND_NOTHING else [])]
    return found


def _power(values: np.ndarray) -> float:
    return float(np.sum(np.square(values, dtype=np.float64)))


def _gain(before: float, after: float) -> float:
    """Quotient of two powers in dB, within 120 either way."""
    if before <= 0 or after <= 0:
        return 0.0 if before == after else 120.0 if after <= 0 else -120.0
    return float(np.clip(10 * np.log10(before / after), -120, 120))


def _agreement(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.mean(left.argmax(axis=1) == right.argmax(axis=1)))
