"""Rewrite a trained Keras model into an equal one with fewer operators, before it is quantized.

Two rewrites, both exact in real arithmetic (float32 rounding aside):

- a chain of linear 1x1 layers with nothing in between, such as the shortcut of a dual-stream block (two
  separable convolutions of one sample and stride 2), is one 1x1 convolution with the product of the strides;
- a depthwise convolution of a one-channel input followed by a 1x1 convolution is one plain convolution.

Folding before quantization also removes the rounding that int8 would add between the folded layers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from .errors import FoldError
from .graph import consumers_of, producers_of

layers = keras.layers


@dataclass(frozen=True)
class _Replacement:
    """One convolution that stands for a run of layers; it takes the first's input and gives the last's output."""

    replaced: tuple[keras.layers.Layer, ...]
    convolution: keras.layers.Layer
    weights: tuple[np.ndarray, np.ndarray]


def fold_shortcuts(model: keras.Model, *, merge_first_pair: bool = True) -> keras.Model:
    """Fold linear 1x1 chains and, unless told otherwise, the first depthwise and pointwise pair.

    Parameters
    ----------
    model
        A functional Keras model in which every layer is used once.
    merge_first_pair
        Merge depthwise + 1x1 convolutions of one-channel tensors too: one operator less for
        ``(taps - 1) * filters - taps`` more MACs per sample (13 with 3 taps and 8 filters).

    Returns
    -------
    keras.Model
        A new model with copied weights; the given one is left as it was. For ULW-SleepNet with 4 channels:
        2,639,264 MACs with the shortcuts folded, 2,795,264 with the first pair merged as well.

    Raises
    ------
    FoldError
        The model is not functional, shares a layer between two places, or calls one with further arguments.
    """
    consumers = consumers_of(model, FoldError, "folding")
    found = _linear_chains(model, consumers)
    if merge_first_pair:
        found += _one_channel_pairs(model, consumers)
    return _rebuild(model, found)


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates of one inference: convolutions and dense layers, biases and the rest not counted."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.DepthwiseConv2D):
            total += int(np.prod(layer.output_shape[1:]) * np.prod(layer.kernel_size))
        elif isinstance(layer, layers.Conv2D):
            total += int(np.prod(layer.output_shape[1:]) * np.prod(layer.kernel.shape[:3]))
        elif isinstance(layer, layers.Dense):
            total += int(np.prod(layer.output_shape[1:]) * layer.kernel.shape[0])
    return total


def _sole_consumer(layer, consumers) -> keras.layers.Layer | None:
    readers = consumers[layer.name]
    return readers[0] if len(readers) == 1 else None


def _is_linear_convolution(layer, kind: type) -> bool:
    return (
        type(layer) is kind
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and tuple(layer.dilation_rate) == (1, 1)
        and getattr(layer, "groups", 1) == 1
    )


def _is_linear_step(layer) -> bool:
    """Whether the layer maps each kept position by a matrix: 1x1 convolutions, and subsampling."""
    if type(layer) is layers.MaxPooling2D:
        return tuple(layer.pool_size) == (1, 1) and layer.data_format == "channels_last"
    if _is_linear_convolution(layer, layers.DepthwiseConv2D):
        return tuple(layer.kernel_size) == (1, 1) and layer.depth_multiplier == 1
    return _is_linear_convolution(layer, layers.Conv2D) and tuple(layer.kernel_size) == (1, 1)


def _linear_chains(model, consumers) -> list[_Replacement]:
    found, taken = [], set()
    for layer in model.layers:
        if layer.name in taken or not _is_linear_step(layer):
            continue
        chain = [layer]
        while (after := _sole_consumer(chain[-1], consumers)) is not None and _is_linear_step(after):
            chain.append(after)
        taken.update(step.name for step in chain)
        if sum(type(step) is layers.Conv2D for step in chain) >= 2:
            found.append(_fold_chain(chain))
    return found


def _fold_chain(chain: list[keras.layers.Layer]) -> _Replacement:
    """Multiply out a chain of linear 1x1 steps.

    Strides multiply for every length: a kernel of one sample keeps positions 0, s, 2s, ... of n, so two of them
    keep ceil(ceil(n / s) / t) = ceil(n / (s * t)) positions, whether the padding is called "same" or "valid".
    """
    matrix = np.eye(chain[0].input_shape[-1])
    bias = np.zeros(chain[0].input_shape[-1])
    strides = np.ones(2, int)
    for step in chain:
        strides = strides * np.array(step.strides)
        if type(step) is layers.MaxPooling2D:
            continue
        kernel = np.asarray(step.get_weights()[0], np.float64)[0, 0]
        if type(step) is layers.DepthwiseConv2D:
            kernel = np.diag(kernel[:, 0])
        matrix, bias = matrix @ kernel, bias @ kernel
        if step.use_bias:
            bias = bias + step.get_weights()[1]
    convolution = layers.Conv2D(
        matrix.shape[1], 1, strides=tuple(int(s) for s in strides), name=f"{chain[-1].name}_folded"
    )
    weights = (matrix[None, None].astype(np.float32), bias.astype(np.float32))
    return _Replacement(tuple(chain), convolution, weights)


def _one_channel_pairs(model, consumers) -> list[_Replacement]:
    found = []
    for layer in model.layers:
        if not _is_linear_convolution(layer, layers.DepthwiseConv2D) or layer.input_shape[-1] != 1:
            continue
        after = _sole_consumer(layer, consumers)
        if (
            after is not None
            and tuple(layer.kernel_size) != (1, 1)
            and _is_linear_convolution(after, layers.Conv2D)
            and tuple(after.kernel_size) == (1, 1)
            and tuple(after.strides) == (1, 1)
        ):
            found.append(_merge_pair(layer, after))
    return found


def _merge_pair(depthwise: keras.layers.Layer, pointwise: keras.layers.Layer) -> _Replacement:
    taps = np.asarray(depthwise.get_weights()[0], np.float64)  # (height, width, 1, multiplier)
    matrix = np.asarray(pointwise.get_weights()[0], np.float64)[0, 0]  # (multiplier, filters)
    bias = np.zeros(pointwise.filters)
    if depthwise.use_bias:
        bias = depthwise.get_weights()[1] @ matrix
    if pointwise.use_bias:
        bias = bias + pointwise.get_weights()[1]
    convolution = layers.Conv2D(
        pointwise.filters,
        depthwise.kernel_size,
        strides=depthwise.strides,
        padding=depthwise.padding,
        name=f"{pointwise.name}_merged",
    )
    return _Replacement(
        (depthwise, pointwise), convolution, ((taps @ matrix).astype(np.float32), bias.astype(np.float32))
    )


def _rebuild(model: keras.Model, found: list[_Replacement]) -> keras.Model:
    ends = {item.replaced[-1].name: item for item in found}
    inner = {layer.name for item in found for layer in item.replaced[:-1]}
    outputs: dict[str, object] = {}
    for layer in model.layers:
        if layer.name in inner:
            continue
        if isinstance(layer, layers.InputLayer):
            outputs[layer.name] = layers.Input(layer.input_shape[0][1:], name=layer.name)
            continue
        item = ends.get(layer.name)
        first = item.replaced[0] if item else layer
        copy = item.convolution if item else type(layer).from_config(layer.get_config())
        inputs = [outputs[producer.name] for producer in producers_of(first)]
        outputs[layer.name] = copy(inputs[0] if len(inputs) == 1 else inputs)
        copy.set_weights(item.weights if item else layer.get_weights())
    return keras.Model(
        [outputs[tensor.node.layer.name] for tensor in model.inputs],
        [outputs[tensor.node.layer.name] for tensor in model.outputs],
        name=f"{model.name}_folded",
    )
