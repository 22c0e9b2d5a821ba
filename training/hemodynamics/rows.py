"""Small layers on rows of samples, (batch, 1, samples, channels): each becomes one operator of an int8 file."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf
import tf_keras as keras

PACKAGE = "thumbnet"
layers = keras.layers


@keras.utils.register_keras_serializable(PACKAGE)
class Slice(layers.Layer):
    """Channels `start` to `stop` (exclusive) of the last axis."""

    def __init__(self, start: int, stop: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def call(self, inputs: Any) -> Any:
        """Cut the channels out."""
        return inputs[..., self.start : self.stop]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}


@keras.utils.register_keras_serializable(PACKAGE)
class Mean(layers.Layer):
    """Mean over axes, counted with the batch; they stay as axes of 1 unless told otherwise."""

    def __init__(self, axes: list[int], keepdims: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes, self.keepdims = list(axes), keepdims

    def call(self, inputs: Any) -> Any:
        """Average."""
        return tf.reduce_mean(inputs, self.axes, keepdims=self.keepdims)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "axes": self.axes, "keepdims": self.keepdims}


@keras.utils.register_keras_serializable(PACKAGE)
class SquaredDifference(layers.Layer):
    """``(a - b)^2`` of two inputs, broadcast."""

    def call(self, inputs: Any) -> Any:
        """Subtract and square."""
        return tf.math.squared_difference(*inputs)


@keras.utils.register_keras_serializable(PACKAGE)
class Rsqrt(layers.Layer):
    """``1 / sqrt(x)``."""

    def call(self, inputs: Any) -> Any:
        """Compute it."""
        return tf.math.rsqrt(inputs)
