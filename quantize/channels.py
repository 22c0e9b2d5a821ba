"""Which channels of a network stand or fall together.

Every tensor's last axis is a list of channels. A convolution or a dense layer makes channels of its own; the
layers after it hand them on, an addition ties those of its inputs one by one, a concatenation puts lists side by
side, and flattening repeats the list for every position. What is left, a *unit*, is the least that can be removed:
a filter of one layer, or the same filter of all layers whose outputs are added, with everything that reads them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from .errors import PruneError
from .graph import Layer, consumers_of, producers_of

layers = keras.layers

_KEEPS_ZERO = {
    keras.activations.linear, keras.activations.relu, keras.activations.tanh,
    keras.activations.elu, keras.activations.selu, keras.activations.gelu, keras.activations.swish,
}  # fmt: skip
_HANDS_ON = (layers.ReLU, layers.LeakyReLU, layers.Dropout, layers.SpatialDropout2D, layers.MaxPooling2D,
             layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D,
             layers.ZeroPadding2D)  # fmt: skip


@dataclass(frozen=True)
class ChannelMap:
    """Channels of every layer of a network.

    Attributes
    ----------
    outputs : dict of str to numpy.ndarray
        Unit of each channel of a layer's output (last axis), by the layer's name.
    makers : dict of int to tuple of (str, int)
        Layer and filter that make the channels of a unit; several where an addition ties them. Units that cannot be
        removed, those of the model's inputs and outputs, are not in it.
    """

    outputs: dict[str, np.ndarray]
    makers: dict[int, tuple[tuple[str, int], ...]]

    def groups(self) -> dict[tuple[str, ...], list[int]]:
        """Units by the layers that make them: the sets within which units are compared."""
        found: dict[tuple[str, ...], list[int]] = {}
        for unit, makers in self.makers.items():
            found.setdefault(tuple(dict.fromkeys(name for name, _ in makers)), []).append(unit)
        return found


def map_channels(model: keras.Model) -> ChannelMap:
    """Find the units of a functional model.

    Parameters
    ----------
    model
        Layers Conv2D (one group), DepthwiseConv2D, Dense, BatchNormalization, ReLU, LeakyReLU, Activation, Dropout,
        ZeroPadding2D, pooling, Add, Concatenate and Flatten, channels last, each used once.

    Raises
    ------
    PruneError
        Another layer, or a model that is not functional.
    """
    return _Mapper(model).result()


def is_maker(layer: Layer) -> bool:
    """Whether a layer makes channels of its own."""
    return type(layer) in (layers.Conv2D, layers.Dense)


class _Mapper:
    """Channels as numbers in order of birth; `parent` ties them, `fixed` marks those that have to stay."""

    def __init__(self, model: keras.Model):
        consumers_of(model, PruneError, "pruning")
        self.model = model
        self.parent: list[int] = []
        self.fixed: set[int] = set()
        self.outputs: dict[str, np.ndarray] = {}
        for layer in model.layers:
            self.outputs[layer.name] = self._rule(layer)(layer)
        for tensor in model.outputs:
            self.fixed.update(self.outputs[tensor.node.layer.name].tolist())

    def result(self) -> ChannelMap:
        outputs = {name: np.array([self._root(i) for i in ids]) for name, ids in self.outputs.items()}
        fixed = {self._root(number) for number in self.fixed}
        makers: dict[int, list[tuple[str, int]]] = {}
        for layer in self.model.layers:
            if is_maker(layer):
                for place, unit in enumerate(outputs[layer.name].tolist()):
                    makers.setdefault(unit, []).append((layer.name, place))
        return ChannelMap(outputs, {unit: tuple(made) for unit, made in makers.items() if unit not in fixed})

    def _rule(self, layer: Layer) -> Callable[[Layer], np.ndarray]:
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise PruneError(f"layer '{layer.name}' has its channels first; pruning takes channels last")
        rules: dict[type, Callable[[Layer], np.ndarray]] = {
            layers.InputLayer: self._input,
            layers.Conv2D: self._filters,
            layers.Dense: self._filters,
            layers.DepthwiseConv2D: self._depthwise,
            layers.BatchNormalization: self._normalised,
            layers.Activation: self._activated,
            layers.Add: self._added,
            layers.Concatenate: self._concatenated,
            layers.Flatten: self._flattened,
            **dict.fromkeys(_HANDS_ON, self._same),
        }
        if type(layer) not in rules:
            names = ", ".join(sorted(kind.__name__ for kind in rules))
            raise PruneError(
                f"layer '{layer.name}' is a {type(layer).__name__}, whose channels pruning cannot follow; "
                f"it takes {names}"
            )
        return rules[type(layer)]

    def _input(self, layer: Layer) -> np.ndarray:
        made = self._new(layer.input_shape[0][-1])
        self.fixed.update(made.tolist())
        return made

    def _filters(self, layer: Layer) -> np.ndarray:
        if getattr(layer, "groups", 1) != 1:
            raise PruneError(f"layer '{layer.name}' is a convolution of {layer.groups} groups; pruning takes 1")
        return self._checked(layer, self._new(layer.output_shape[-1]))

    def _depthwise(self, layer: Layer) -> np.ndarray:
        return self._checked(layer, np.repeat(self._same(layer), layer.depth_multiplier))

    def _normalised(self, layer: Layer) -> np.ndarray:
        axes = [int(axis) for axis in layer.axis]
        if axes != [len(layer.input_shape) - 1]:
            raise PruneError(f"layer '{layer.name}' normalises axes {axes}; pruning takes the last alone")
        return self._same(layer)

    def _activated(self, layer: Layer) -> np.ndarray:
        return self._checked(layer, self._same(layer))

    def _added(self, layer: Layer) -> np.ndarray:
        first, *others = (self.outputs[producer.name] for producer in producers_of(layer))
        for other in others:
            if len(other) != len(first):
                raise PruneError(f"layer '{layer.name}' adds {len(first)} to {len(other)} channels by repeating them")
            for left, right in zip(first.tolist(), other.tolist(), strict=True):
                self.parent[self._root(right)] = self._root(left)
        return first

    def _concatenated(self, layer: Layer) -> np.ndarray:
        rank = len(layer.output_shape)
        if layer.axis % rank != rank - 1:
            return self._added(layer)
        return np.concatenate([self.outputs[producer.name] for producer in producers_of(layer)])

    def _flattened(self, layer: Layer) -> np.ndarray:
        ids = self._same(layer)
        return np.tile(ids, int(np.prod(layer.input_shape[1:-1])))

    def _same(self, layer: Layer) -> np.ndarray:
        return self.outputs[producers_of(layer)[0].name]

    def _checked(self, layer: Layer, ids: np.ndarray) -> np.ndarray:
        """Keep channels whose activation makes something of nothing: without them the network would differ."""
        if layer.activation not in _KEEPS_ZERO:
            self.fixed.update(ids.tolist())
        return ids

    def _new(self, count: int) -> np.ndarray:
        start = len(self.parent)
        self.parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def _root(self, number: int) -> int:
        while self.parent[number] != number:
            number = self.parent[number]
        return number
