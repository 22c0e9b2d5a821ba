"""Quantization-aware training: the network learns with the rounding of int8, forward only.

tfmot's wrappers learn the range of every activation as a moving average that starts at +-6 and forgets a thousandth a
step; a short training would end long before it settles. So the ranges are read off the float network first, over
the calibration windows, and the input's is fixed to that of :mod:`.convert` (scale 1/127, zero point 0).

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018.
"""

from __future__ import annotations

import os
import re

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from .convert import LOWEST_CODE
from .tfmot import quantization_aware

_WRAPPER = "quant_"
_INPUT_NUMBER = re.compile(r"quantize_layer(_\d+)?(?=[/_])")


def prepare_aware(model: keras.Model, calibration: np.ndarray, *, keep_zeros: bool = False) -> keras.Model:
    """Return a model to be trained quantization-aware, its ranges read off the float network.

    Parameters
    ----------
    model
        A trained functional model, folded (:func:`.fold.fold_shortcuts`); left as it was.
    calibration
        float array (N, *input shape), scaled model inputs in [-1, 1] of training subjects.
    keep_zeros : bool
        Weights that are 0 stay 0 (pruning-preserving quantization-aware training).

    Returns
    -------
    keras.Model
        Train it, then convert it with :func:`.convert.convert_aware`.

    Raises
    ------
    ToolkitError
        When tfmot is missing, versions do not fit, or a layer cannot be quantized.
    """
    aware = quantization_aware(model, keep_zeros=keep_zeros)
    ranges = _activation_ranges(model, calibration)
    for layer in aware.layers:
        name = layer.name.removeprefix(_WRAPPER)
        for variable in layer.non_trainable_weights:
            low, high = _range_of(variable.name, name, ranges)
            kind = variable.name.rsplit("_", 1)[-1]
            if kind.startswith(("min", "max")) and low < high:
                variable.assign(np.broadcast_to(low if kind.startswith("min") else high, variable.shape))
    return aware


def with_weights_of(source: keras.Model, target: keras.Model) -> keras.Model:
    """Return `target` with the weights and ranges of `source`, by name; both are quantization-aware."""
    values = {_INPUT_NUMBER.sub("quantize_layer", variable.name): variable.numpy() for variable in source.weights}
    for variable in target.weights:
        # Input ranges have names that Keras numbers through.
        variable.assign(values[_INPUT_NUMBER.sub("quantize_layer", variable.name)])
    return target


def _range_of(variable: str, layer: str, ranges: dict[str, tuple[float, float]]) -> tuple[float, float]:
    """Range that a variable shall start with; an empty one where it is no activation's."""
    if "quantize_layer" in variable:
        return LOWEST_CODE, 1.0
    kind = variable.rsplit("/", 1)[-1]
    if kind.startswith(("output_m", "post_activation_m")):
        return ranges.get(layer, (0.0, 0.0))
    if kind.startswith("pre_activation_m"):
        return ranges.get(f"{layer}/logits", (0.0, 0.0))
    return 0.0, 0.0


def _activation_ranges(model: keras.Model, calibration: np.ndarray) -> dict[str, tuple[float, float]]:
    """Least and largest value of every layer's output, 0 included; `NAME/logits` is before a dense layer's softmax."""
    named = {layer.name: layer.output for layer in model.layers[1:]}
    softmax = [layer for layer in model.layers if getattr(layer, "activation", None) is keras.activations.softmax]
    probe = keras.Model(model.inputs, [*named.values(), *(layer.input for layer in softmax)])
    names = [*named, *(f"{layer.name}/logits" for layer in softmax)]
    lows, highs = np.zeros(len(names)), np.zeros(len(names))
    for start in range(0, len(calibration), 32):
        values = [value.numpy() for value in probe(calibration[start : start + 32], training=False)]
        values[len(named) :] = [
            value @ layer.get_weights()[0] + sum(layer.get_weights()[1:])
            for layer, value in zip(softmax, values[len(named) :], strict=True)
        ]
        lows = np.minimum(lows, [value.min() for value in values])
        highs = np.maximum(highs, [value.max() for value in values])
    return {name: (float(low), float(high)) for name, low, high in zip(names, lows, highs, strict=True)}
