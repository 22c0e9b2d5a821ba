"""What int8 costs: the same epochs through the float and the int8 model, side by side. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..training.mapped import Windows, chunks_of
from ..training.metrics import Interval, StagingMetrics, bootstrap_interval, share_equal, staging_metrics
from .errors import InferenceError
from .inference import (
    Advance,
    Prediction,
    open_litert,
    operators_of,
    prediction_of,
    run_float,
    run_int8,
    run_int16,
)
from .scaling import ChannelScaling, to_codes

LAYER_WINDOWS = 16


@dataclass(frozen=True)
class LayerNoise:
    """How far an int8 tensor is from the float one.

    Attributes
    ----------
    index : int
        Place of the operator in the int8 file.
    name : str
        Of its output tensor.
    op : str
        Operator, as the .tflite schema calls it.
    snr_db : float
        Signal-to-noise ratio, 10 log10(sum of float^2 / sum of (float - int8)^2), dB; capped at 120.
    """

    index: int
    name: str
    op: str
    snr_db: float


@dataclass(frozen=True)
class Comparison:
    """Float against int8 on the same epochs.

    Attributes
    ----------
    protocol : str
        Which people the epochs come from; see :mod:`thumbnet.training.splits`.
    float_metrics, int8_metrics : StagingMetrics
        Against the scored stages.
    agreement : Interval
        Share of epochs on which both give the same stage.
    layers : tuple of LayerNoise
        In the int8 file's order.
    float_bytes, int8_bytes : int
        Sizes of the files.
    channels : list of dict
        Microvolts per step and share clipped; see :meth:`.scaling.ChannelScaling.report`.
    float_prediction, int8_prediction : Prediction
        Of every epoch.
    """

    protocol: str
    float_metrics: StagingMetrics
    int8_metrics: StagingMetrics
    agreement: Interval
    layers: tuple[LayerNoise, ...]
    float_bytes: int
    int8_bytes: int
    channels: list[dict[str, Any]]
    float_prediction: Prediction
    int8_prediction: Prediction

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the predictions left out."""
        interval = self.agreement
        return {
            "protocol": self.protocol,
            "windows": self.int8_metrics.epochs,
            "engine": self.int8_prediction.engine,
            "metrics": {"float": self.float_metrics.to_dict(), "int8": self.int8_metrics.to_dict()},
            "agreement": {
                "windows": self.int8_metrics.epochs,
                "share": interval.value,
                "interval_95": [interval.low, interval.high],
                "over": interval.over,
                "units": interval.units,
            },
            "sizes": {"float": self.float_bytes, "int8": self.int8_bytes},
            "quantization": {
                "channels": self.channels,
                "layers": [
                    {"index": layer.index, "name": layer.name, "op": layer.op, "snr_db": layer.snr_db}
                    for layer in self.layers
                ],
            },
        }


def compare(
    float_tflite: bytes,
    int8_tflite: bytes,
    scaling: ChannelScaling,
    signals: Windows,
    labels: np.ndarray,
    subjects: np.ndarray,
    classes: Sequence[str],
    *,
    protocol: str,
    seed: int = 0,
    advance: Advance | None = None,
) -> Comparison:
    """Run both models over held-out epochs and compare.

    Parameters
    ----------
    float_tflite, int8_tflite : bytes
        Two conversions of the same network.
    scaling : ChannelScaling
        From microvolts to the network's input.
    signals : numpy.ndarray
        Shape (N, channels, samples), microvolts, of people that neither training nor calibration saw.
    labels, subjects : numpy.ndarray
        Scored stage and person of each epoch.
    classes : sequence of str
        Names of the stages.
    protocol : str
        How these people were set apart.
    seed : int
        Of the bootstrap and of the epochs whose inner tensors are compared.
    advance : callable, optional
        Called with 1 after each epoch.

    Returns
    -------
    Comparison

    Raises
    ------
    QuantizeError
        Signals that cannot be scaled, or models that do not take them.
    """
    floating, exact = predict_both(float_tflite, int8_tflite, scaling, signals, advance)
    chosen = np.random.default_rng(seed).choice(len(signals), min(len(signals), LAYER_WINDOWS), replace=False)
    return Comparison(
        protocol=protocol,
        float_metrics=staging_metrics(labels, floating.stages, classes),
        int8_metrics=staging_metrics(labels, exact.stages, classes),
        agreement=bootstrap_interval(share_equal, [floating.stages, exact.stages], subjects, seed=seed),
        layers=layer_noise(float_tflite, int8_tflite, scaling.apply(signals[np.sort(chosen)])),
        float_bytes=len(float_tflite),
        int8_bytes=len(int8_tflite),
        channels=scaling.report(signals),
        float_prediction=floating,
        int8_prediction=exact,
    )


def predict_both(
    float_tflite: bytes,
    int8_tflite: bytes,
    scaling: ChannelScaling,
    signals: Windows,
    advance: Advance | None = None,
) -> tuple[Prediction, Prediction]:
    """Stages of the float and of the int8 model for the same epochs, some hundred epochs in memory at a time.

    Parameters and errors are those of :func:`compare`.
    """
    floats, codes, values = [], [], []
    engine = ""
    for chunk in chunks_of(signals):
        inputs = scaling.apply(chunk)
        floats.append(run_float(float_tflite, inputs))
        result = run_int8(int8_tflite, to_codes(inputs), advance=advance)
        codes.append(result.codes)
        values.append(result.values)
        engine = result.engine
    real = np.concatenate(floats)
    return prediction_of(real, real, "LiteRT float32"), prediction_of(
        np.concatenate(codes), np.concatenate(values), engine
    )


def predict_file(tflite: bytes, kind: str, scaling: ChannelScaling, signals: Windows) -> Prediction:
    """Stages of one file, whatever its numbers are.

    Parameters
    ----------
    tflite : bytes
        The model.
    kind : str
        "float", "int8" or "int16x8".
    scaling : ChannelScaling
        From microvolts to the network's input.
    signals : numpy.ndarray
        Shape (N, channels, samples), microvolts.

    Raises
    ------
    QuantizeError
        Signals that cannot be scaled, or a model that does not take them.
    """
    values, engine = [], "LiteRT float32" if kind == "float" else "LiteRT int16x8"
    for chunk in chunks_of(signals):
        inputs = scaling.apply(chunk)
        if kind == "int8":
            result = run_int8(tflite, to_codes(inputs))
            values.append(prediction_of(result.codes, result.values, result.engine))
        else:
            outputs = run_float(tflite, inputs) if kind == "float" else run_int16(tflite, inputs)
            values.append(prediction_of(outputs, outputs, engine))
    return Prediction(
        np.concatenate([value.stages for value in values]),
        np.concatenate([value.probabilities for value in values]),
        values[0].engine,
    )


def accuracy_drop(
    labels: np.ndarray, before: np.ndarray, after: np.ndarray, subjects: np.ndarray, *, seed: int = 0
) -> dict[str, Any]:
    """Accuracy that a change costs, in points of 100, with a 95 % bootstrap interval over subjects.

    Parameters
    ----------
    labels, before, after, subjects : numpy.ndarray
        Scored stage, stages named before and after the change, and person of each epoch.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        As :meth:`.metrics.Interval.to_dict`, with `epochs`: how many more epochs are wrong.
    """
    found = bootstrap_interval(
        lambda a, b: 100 * float(np.mean(a) - np.mean(b)), [before == labels, after == labels], subjects, seed=seed
    )
    lost = int((before == labels).sum() - (after == labels).sum())
    return {**found.to_dict(), "unit": "points of accuracy", "epochs": lost}


def layer_noise(float_tflite: bytes, int8_tflite: bytes, inputs: np.ndarray) -> tuple[LayerNoise, ...]:
    """Signal-to-noise ratio of every layer's output.

    The layers of the two files are paired in order, which is the same because both come from one network; an
    operator that one file has more than the other refuses the pair. Tensors are those of LiteRT's reference
    kernels; TFLM's differ by one code on rare outputs of fully connected layers.

    Parameters
    ----------
    float_tflite, int8_tflite : bytes
        Two conversions of the same network.
    inputs : numpy.ndarray
        float32, shape (N, *input shape), in [-1, 1].

    Returns
    -------
    tuple of LayerNoise

    Raises
    ------
    InferenceError
        The two files do not hold the same operators.
    """
    floating = open_litert(float_tflite, keep_tensors=True)
    exact = open_litert(int8_tflite, reference=True, keep_tensors=True)
    pairs = _paired_layers(floating, exact)
    power, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    for window in inputs:
        for interpreter, value in ((floating, window), (exact, to_codes(window))):
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value[None])
            interpreter.invoke()
        for place, (_, left, right) in enumerate(pairs):
            expected = floating.get_tensor(left).astype(np.float64)
            power[place] += np.sum(expected**2)
            noise[place] += np.sum((expected - _dequantized(exact, right)) ** 2)
    names = {detail["index"]: detail["name"] for detail in exact.get_tensor_details()}
    return tuple(
        LayerNoise(index=op["index"], name=names[right], op=op["op_name"], snr_db=_decibels(power[n], noise[n]))
        for n, (op, _, right) in enumerate(pairs)
    )


def _paired_layers(floating: Any, exact: Any) -> list[tuple[dict[str, Any], int, int]]:
    left, right = list(operators_of(floating)), list(operators_of(exact))
    if [op["op_name"] for op in left] != [op["op_name"] for op in right]:
        raise InferenceError(
            f"the float and the int8 model are not the same network: {len(left)} operators "
            f"({', '.join(sorted({op['op_name'] for op in left}))}) against {len(right)} "
            f"({', '.join(sorted({op['op_name'] for op in right}))})"
        )
    return [(b, int(a["outputs"][0]), int(b["outputs"][0])) for a, b in zip(left, right, strict=True)]


def _dequantized(interpreter: Any, index: int) -> np.ndarray:
    detail = next(item for item in interpreter.get_tensor_details() if item["index"] == index)
    scale, zero_point = detail["quantization"]
    return (interpreter.get_tensor(index).astype(np.float64) - zero_point) * scale


def _decibels(power: float, noise: float) -> float:
    if power == 0:
        return 0.0 if noise else 120.0
    return float(min(120.0, 10 * np.log10(power / noise))) if noise else 120.0
