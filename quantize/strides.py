"""Strides of 1x1 convolutions, taken apart to train and joined again to convert.

TensorFlow 2.21 writes past the end of its memory when it computes the gradient of a 1x1 convolution with a stride over
long signals (oneDNN kernels; seen with 3000 samples and a stride of 4). Dropping samples first is the same thing, costs
nothing to train, and is an operator more on a device. So networks are trained with `MaxPooling2D(1, stride)` before the
convolution, and converted with the stride inside it.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tf_keras as keras

from .errors import FoldError
from .graph import Layer, consumers_of, producers_of

layers = keras.layers
_SUFFIX = "_every"


def split_strides(model: keras.Model) -> keras.Model:
    """Return an equal model in which samples are dropped before 1x1 convolutions, not inside them."""
    consumers_of(model, FoldError, "splitting strides")

    def build(layer: Layer, inputs: list[object]) -> object:
        if not _is_pointwise(layer) or tuple(layer.strides) == (1, 1):
            return _copy(layer)(_only(inputs))
        kept = layers.MaxPooling2D((1, 1), tuple(layer.strides), name=f"{layer.name}{_SUFFIX}")(inputs[0])
        return layers.Conv2D.from_config({**layer.get_config(), "strides": (1, 1)})(kept)

    return _rebuild(model, build)


def join_strides(model: keras.Model) -> keras.Model:
    """Undo :func:`split_strides`."""
    readers = consumers_of(model, FoldError, "joining strides")

    def joined(layer: Layer) -> Layer | None:
        """The convolution that a layer drops samples for."""
        one = readers[layer.name][0] if len(readers[layer.name]) == 1 else None
        drops = type(layer) is layers.MaxPooling2D and tuple(layer.pool_size) == (1, 1)
        return one if drops and one is not None and _is_pointwise(one) and layer.name.endswith(_SUFFIX) else None

    def build(layer: Layer, inputs: list[object]) -> object:
        if joined(layer) is not None:
            return inputs[0]
        source = producers_of(layer)[0]
        if joined(source) is layer:
            return layers.Conv2D.from_config({**layer.get_config(), "strides": tuple(source.strides)})(inputs[0])
        return _copy(layer)(_only(inputs))

    return _rebuild(model, build)


def _is_pointwise(layer: Layer) -> bool:
    return type(layer) is layers.Conv2D and tuple(layer.kernel_size) == (1, 1)


def _copy(layer: Layer) -> Layer:
    return type(layer).from_config(layer.get_config())


def _only(inputs: list[object]) -> object:
    return inputs[0] if len(inputs) == 1 else inputs


def _rebuild(model: keras.Model, build) -> keras.Model:
    outputs: dict[str, object] = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            outputs[layer.name] = layers.Input(layer.input_shape[0][1:], name=layer.name)
        else:
            outputs[layer.name] = build(layer, [outputs[source.name] for source in producers_of(layer)])
    made = keras.Model(
        [outputs[tensor.node.layer.name] for tensor in model.inputs],
        [outputs[tensor.node.layer.name] for tensor in model.outputs],
        name=model.name,
    )
    for layer in model.layers:
        if layer.get_weights():
            made.get_layer(layer.name).set_weights(layer.get_weights())
    return made
