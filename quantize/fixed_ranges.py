"""int8 with ranges that are given: every tensor has the scale and zero point that was decided for it.

The usual conversion reads ranges off calibration windows, file by file. Networks whose code is shared, such as the
experts of a mixture, need the same scales in every file; so ranges are observed first, joined over the networks, and
written into the model as fake quantization, from which the converter takes them. Weights are left to the converter:
one scale per output channel, from their largest magnitude. The same model, its weights rounded in training, is
trained quantization-aware.

Layers that move values only (reshape, slice, transpose, pooling) keep the range of what they read; a concatenation and
what it joins have one range.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from .convert import _convert, _input_shape
from .errors import ConversionError
from .graph import Layer, consumers_of, producers_of

Ranges = dict[str, tuple[float, float]]
"""Least and largest value of the output of layers, by name; 0 lies within."""

SIGNED: tuple[float, float] = (-1.0, 127 / 128)
"""Scale 1/128, zero point 0: what a tanh gives."""
SHARES: tuple[float, float] = (0.0, 255 / 256)
"""Scale 1/256, zero point -128: what a sigmoid gives."""
_LEAST_WIDTH = 1e-6
_BATCH = 64
layers = keras.layers
_MOVES = ("Reshape", "Flatten", "Permute", "Slice", "InputLayer", "AveragePooling2D", "MaxPooling2D")


class FixedRange(layers.Layer):
    """Round to the 256 values that int8 has between two limits; gradients pass within them."""

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def call(self, inputs: Any) -> Any:
        """Round."""
        return tf.quantization.fake_quant_with_min_max_args(inputs, self.low, self.high, num_bits=8)


class RoundedWeights(layers.Wrapper):
    """A convolution or dense layer whose weights are rounded to int8 per output channel, forward only."""

    def call(self, inputs: Any) -> Any:
        """Compute with rounded weights."""
        inner = self.layer
        if isinstance(inner, layers.DepthwiseConv2D):
            kernel = round_weights(inner.depthwise_kernel, [0, 1])
            strides = (1, *inner.strides, 1)
            output = tf.nn.depthwise_conv2d(inputs, kernel, strides, inner.padding.upper())
        elif isinstance(inner, layers.Conv2D):
            kernel = round_weights(inner.kernel, [0, 1, 2])
            output = tf.nn.conv2d(inputs, kernel, inner.strides, inner.padding.upper())
        else:
            output = tf.matmul(inputs, round_weights(inner.kernel, [0]))
        output = tf.nn.bias_add(output, inner.bias) if inner.use_bias else output
        return inner.activation(output)


def round_weights(kernel: Any, axes: list[int]) -> Any:
    """Round to -127..127 times one scale for each place on the axes that are not named; gradients pass."""
    largest = tf.reduce_max(tf.abs(kernel), axis=axes, keepdims=True)
    scale = tf.maximum(largest, 1e-12) / 127
    return kernel + tf.stop_gradient(tf.round(kernel / scale) * scale - kernel)


def observe_ranges(model: keras.Model, inputs: np.ndarray) -> Ranges:
    """Return the range of every layer of a float model that needs one, over some inputs.

    Parameters
    ----------
    model : keras.Model
        Functional, one operator per layer, normalisations folded.
    inputs : numpy.ndarray
        float array (N, *input shape), from training subjects.

    Raises
    ------
    ConversionError
        No inputs, or a layer that is used several times.
    """
    if len(inputs) == 0:
        raise ConversionError(f"model '{model.name}' has no windows to read ranges off; at least 1 is needed, got 0")
    names = _ranged(model)
    probe = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    lows, highs = np.zeros(len(names)), np.zeros(len(names))
    for start in range(0, len(inputs), _BATCH):
        found = probe(inputs[start : start + _BATCH], training=False)
        values = [value.numpy() for value in (found if isinstance(found, list) else [found])]
        lows = np.minimum(lows, [value.min() for value in values])
        highs = np.maximum(highs, [value.max() for value in values])
    return {name: (float(low), float(high)) for name, low, high in zip(names, lows, highs, strict=True)}


def join_ranges(found: Iterable[Ranges]) -> Ranges:
    """Return ranges that hold those of several networks with the same layers."""
    joined: Ranges = {}
    for ranges in found:
        for name, (low, high) in ranges.items():
            before = joined.get(name, (low, high))
            joined[name] = (min(low, before[0]), max(high, before[1]))
    return joined


def fix_ranges(
    model: keras.Model, ranges: Ranges, inputs: tuple[float, float], *, rounded: bool = False
) -> keras.Model:
    """Write ranges into a copy of a model.

    Parameters
    ----------
    model : keras.Model
        As :func:`observe_ranges` took it; left as it was.
    ranges : Ranges
        Of every layer that needs one.
    inputs : (float, float)
        Range of the model's input.
    rounded : bool
        Round weights too, for training; otherwise the converter does.

    Returns
    -------
    keras.Model
        Layers bear their old names.

    Raises
    ------
    ConversionError
        A range is missing.
    """
    given = _joined_at_concatenations(model, _with_known(model, ranges))
    outputs: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            value = layers.Input(layer.input_shape[0][1:], name=layer.name)
            outputs[layer.name] = FixedRange(*inputs, name=f"{layer.name}_range")(value)
            outputs[f"{layer.name}/input"] = value
            continue
        copy = type(layer).from_config(layer.get_config())
        weighted = isinstance(layer, layers.Conv2D | layers.Dense)
        call = RoundedWeights(copy, name=f"{layer.name}_rounded") if rounded and weighted else copy
        sources = [outputs[source.name] for source in producers_of(layer)]
        value = call(sources[0] if len(sources) == 1 else sources)
        copy.set_weights(layer.get_weights())
        # The converter would carry a range from one slice to all others of the same tensor; so each gets its own.
        limits = given.get(_origin(layer).name)
        outputs[layer.name] = value if limits is None else FixedRange(*limits, name=f"{layer.name}_range")(value)
    return keras.Model(
        [outputs[f"{tensor.node.layer.name}/input"] for tensor in model.inputs],
        [outputs[tensor.node.layer.name] for tensor in model.outputs],
        name=model.name,
    )


def without_ranges(fixed: keras.Model, plain: keras.Model) -> keras.Model:
    """Copy the weights of a model with ranges back, by name, into the plain one it was made of, and return that."""
    for layer in fixed.layers:
        inner = layer.layer if isinstance(layer, RoundedWeights) else layer
        if inner.weights:
            plain.get_layer(inner.name).set_weights(inner.get_weights())
    return plain


def convert_fixed(model: keras.Model) -> bytes:
    """Convert a model with ranges (:func:`fix_ranges`, weights not rounded) to full-integer int8.

    Raises
    ------
    ConversionError
        The converter refuses the model.
    """
    shape = (1, *_input_shape(model))
    infer = tf.function(lambda window: model(window, training=False))
    # Frozen, because the converter would first trace every layer of the model again to save it: minutes.
    frozen = convert_variables_to_constants_v2(infer.get_concrete_function(tf.TensorSpec(shape, tf.float32)))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return _convert(converter, model)


def _kind(layer: Layer) -> str:
    return type(layer).__name__


def _ranged(model: keras.Model) -> list[str]:
    """Names of the layers whose output needs a range."""
    readers = consumers_of(model, ConversionError, "quantization")
    names = []
    for layer in model.layers:
        sole = readers[layer.name][0] if len(readers[layer.name]) == 1 else None
        # A sum or convolution takes up the ReLU behind it; what lies between never exists.
        absorbed = _kind(layer) in ("Add", "Conv2D") and sole is not None and _kind(sole) == "ReLU"
        if _kind(layer) not in _MOVES and not absorbed:
            names.append(layer.name)
    return names


def _with_known(model: keras.Model, ranges: Mapping[str, tuple[float, float]]) -> Ranges:
    """Check that no range is missing; sigmoid and tanh have theirs from the operator."""
    found: Ranges = {}
    for name in _ranged(model):
        activation = getattr(model.get_layer(name), "activation", None)
        if activation in (keras.activations.sigmoid, keras.activations.tanh):
            found[name] = SHARES if activation is keras.activations.sigmoid else SIGNED
            continue
        if name not in ranges:
            raise ConversionError(f"layer '{name}' of model '{model.name}' has no range; given are {len(ranges)}")
        low, high = min(ranges[name][0], 0.0), max(ranges[name][1], 0.0)
        found[name] = (low, max(high, low + _LEAST_WIDTH))
    return found


def _origin(layer: Layer) -> Layer:
    """Layer that computed the values that `layer` moves."""
    while _kind(layer) in _MOVES and _kind(layer) != "InputLayer":
        layer = producers_of(layer)[0]
    return layer


def _joined_at_concatenations(model: keras.Model, ranges: Ranges) -> Ranges:
    """Give a concatenation and the tensors that it joins one range."""
    joined = dict(ranges)
    for layer in model.layers:
        if isinstance(layer, layers.Concatenate):
            origins = (_origin(source).name for source in producers_of(layer))
            names = [layer.name, *(name for name in origins if name in joined)]
            low, high = min(joined[name][0] for name in names), max(joined[name][1] for name in names)
            joined |= dict.fromkeys(names, (low, high))
    return joined
