"""Multi-scale fusion with gates (MSFGM): later subsets of the channels see further, gates say how much they hear.

The channels x are split into s = 4 subsets; the module gives::

    y_1 = x_1
    y_2 = conv3_2(x_2)
    y_i = conv3_i(x_i + sigmoid(w_i . x + b_i) * y_(i-1))      i = 3, 4; the gate is one number per sample
    attention(conv1(y_1, ..., y_4) + x)

The published code also makes a gate for y_2, which nothing uses (``channels + 1`` numbers of every module); it is left
out here. In the order of channels of :mod:`.attention`, subset s holds the attention groups ``s * R`` to
``(s + 1) * R`` with R = channels / 16, all four channels of each.

Source: Liu et al., "Lightweight Sparse Multi-gate Mixture-of-Experts", IEEE Internet of Things Journal, 2025.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf
import tf_keras as keras

from .attention import PACKAGE, HybridAttention
from .config import GROUP, SUBSETS

TAPS = 3
layers = keras.layers


@keras.utils.register_keras_serializable(PACKAGE)
class Msfgm(layers.Layer):
    """The module, on rows (batch, 1, samples, channels)."""

    def build(self, input_shape: Any) -> None:
        """Make the convolutions."""
        channels = input_shape[-1]
        width = channels // SUBSETS
        self.convolutions = [
            layers.Conv2D(width, (1, TAPS), padding="same", name=f"convolution{number}")
            for number in range(2, SUBSETS + 1)
        ]
        self.gate = layers.Conv2D(SUBSETS - 2, 1, activation="sigmoid", name="gate")
        self.fusion = layers.Conv2D(channels, 1, name="fusion")
        self.attention = HybridAttention(name="attention")
        rows = (None, 1, input_shape[2])
        # Built here, so that every weight is there, and named after its layer, before the first call.
        for layer in (*self.convolutions, self.gate, self.fusion, self.attention):
            with tf.name_scope(layer.name):
                layer.build((*rows, width if layer in self.convolutions else channels))

    def call(self, inputs: Any) -> Any:
        """Fuse the scales."""
        parts = subsets(inputs)
        gates = tf.split(self.gate(inputs), SUBSETS - 2, axis=-1)
        outputs = [parts[0], self.convolutions[0](parts[1])]
        for part, gate, convolution in zip(parts[2:], gates, self.convolutions[1:], strict=True):
            outputs.append(convolution(part + gate * outputs[-1]))
        return self.attention(self.fusion(tf.concat(outputs, axis=-1)) + inputs)


def subsets(inputs: Any) -> list[Any]:
    """Split rows into the channels of each subset."""
    samples, channels = inputs.shape[2], inputs.shape[3]
    quads = tf.reshape(inputs, (-1, samples, GROUP, SUBSETS, channels // GROUP // SUBSETS))
    return [tf.reshape(quads[:, :, :, s], (-1, 1, samples, channels // SUBSETS)) for s in range(SUBSETS)]


@keras.utils.register_keras_serializable(PACKAGE)
class Regroup(layers.Layer):
    """Bring channels behind one attention into the order that the next module wants, see :mod:`.attention`."""

    def call(self, inputs: Any) -> Any:
        """Transpose the groups."""
        samples, channels = inputs.shape[2], inputs.shape[3]
        groups = tf.reshape(inputs, (-1, samples, channels // GROUP, GROUP))
        return tf.reshape(tf.transpose(groups, (0, 1, 3, 2)), (-1, 1, samples, channels))
