"""What rewriting a functional Keras model needs: who reads whom, and a copy that shares nothing with its source."""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from .errors import QuantizeError

Layer = keras.layers.Layer


def consumers_of(model: keras.Model, error: type[QuantizeError], action: str) -> dict[str, list[Layer | None]]:
    """Layers that read each layer's output, by the name of the layer read; None stands for the model's user.

    Parameters
    ----------
    model
        A functional model in which every layer is used once and gets tensors alone.
    error
        Class of the error for any other model.
    action
        What is being done, for the error's sentence: "folding", "pruning".
    """
    if isinstance(model, keras.Sequential):
        raise error(
            f"model '{model.name}' is a Sequential; {action} takes functional models: "
            "keras.Model(model.inputs, model.outputs) makes it one"
        )
    found: dict[str, list[Layer | None]] = {layer.name: [] for layer in model.layers}
    for layer in model.layers:
        if len(layer.inbound_nodes) != 1:
            raise error(
                f"layer '{layer.name}' of model '{model.name}' is used {len(layer.inbound_nodes)} times; "
                f"{action} takes functional models in which every layer is used once"
            )
        call = layer.inbound_nodes[0]
        if call.call_args[1:] or any(value is not None for value in call.call_kwargs.values()):
            raise error(
                f"layer '{layer.name}' of model '{model.name}' is called with arguments besides its input; "
                f"{action} takes layers that get a tensor or a list of tensors alone"
            )
        for producer in producers_of(layer):
            found[producer.name].append(layer)
    for tensor in model.outputs:
        found[tensor.node.layer.name].append(None)
    return found


def producers_of(layer: Layer) -> list[Layer]:
    """Layers whose outputs a layer takes, in order."""
    inbound = layer.inbound_nodes[0].inbound_layers
    return list(inbound) if isinstance(inbound, list | tuple) else [inbound]


def copy_model(model: keras.Model) -> keras.Model:
    """Return a model with layers and weights of its own.

    Tools that wrap layers, such as tfmot through `clone_model`, keep the layer objects they are given; a model
    that went through one is copied before the next touches it.
    """
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def count_parameters(model: keras.Model) -> int:
    """Trainable parameters."""
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))


def count_zeros(model: keras.Model) -> int:
    """Trainable parameters that are exactly 0, biases and the like included."""
    return int(sum(np.sum(weight.numpy() == 0) for weight in model.trainable_weights))
