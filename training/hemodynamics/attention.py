"""Hybrid attention: half the channels of each group are weighed as channels, the other half sample by sample.

A group g has `GROUP` = 4 channels. The first two, a, each get one weight for the whole window, from their average; the
last two, b, share one weight per sample, from their normalised values; channels are then shuffled between groups::

    a_j(t) <- a_j(t) * sigmoid(w1_g * mean_t a_j + b1_g)
    n_j(t) =  gamma_gj * (b_j(t) - mu_g) / sqrt(var_g + eps) + beta_gj      mu, var over both channels and the window
    b_j(t) <- b_j(t) * sigmoid(w2_g * mean_j n_j(t) + b2_g)

**Order of the channels.** The published code keeps a group's channels side by side, channel ``4 g + j``, and shuffles
behind the attention, to ``j * G + g`` with G groups. Here channels lie at ``j * G + g`` from the start, see
:func:`published_places`: the layers in front produce them so, the shuffle is the identity, and both halves are in one
piece. The functions are the same; a network has the same numbers at other places.

Source: Liu et al., "Lightweight Sparse Multi-gate Mixture-of-Experts", IEEE Internet of Things Journal, 2025, after
Zhang and Yang, "SA-Net: Shuffle Attention for Deep Convolutional Neural Networks", ICASSP 2021. The published code has
32 groups whatever the channels, and fails below 2 channels per group; here a group has 4, as it has there at 128.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tf_keras as keras

from .config import GROUP

PACKAGE = "thumbnet"
EPSILON = 1e-5
HALF = GROUP // 2
layers = keras.layers


def published_places(channels: int) -> np.ndarray:
    """Return, for each channel, its place in the published order before the shuffle; int64, shape (channels,)."""
    return np.arange(channels).reshape(channels // GROUP, GROUP).T.reshape(-1)


@keras.utils.register_keras_serializable(PACKAGE)
class HybridAttention(layers.Layer):
    """The attention of the module, on rows (batch, 1, samples, channels); eight weights per group.

    Weights start as those of the published code: affine ones drawn from +-1, normalisation at 1 and 0.
    """

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        groups = input_shape[-1] // GROUP
        self.channel_scale = self._drawn("channel_scale", groups)
        self.channel_bias = self._drawn("channel_bias", groups)
        self.gamma = self.add_weight("gamma", (HALF, groups), initializer="ones")
        self.beta = self.add_weight("beta", (HALF, groups), initializer="zeros")
        self.spatial_scale = self._drawn("spatial_scale", groups)
        self.spatial_bias = self._drawn("spatial_bias", groups)

    def _drawn(self, name: str, groups: int) -> Any:
        # An initializer that served twice would give the same values again.
        return self.add_weight(name, (groups,), initializer=keras.initializers.RandomUniform(-1.0, 1.0))

    def call(self, inputs: Any) -> Any:
        """Weigh the channels."""
        channels, samples = inputs.shape[-1], inputs.shape[2]
        first, second = tf.split(inputs, 2, axis=-1)
        average = tf.reduce_mean(first, axis=2, keepdims=True)
        logits = average * tf.tile(self.channel_scale, [HALF]) + tf.tile(self.channel_bias, [HALF])
        first = first * tf.sigmoid(logits)
        pairs = tf.reshape(second, (-1, samples, HALF, channels // GROUP))
        mean, variance = tf.nn.moments(pairs, axes=[1, 2], keepdims=True)
        normal = (pairs - mean) * tf.math.rsqrt(variance + EPSILON) * self.gamma + self.beta
        logits = self.spatial_scale * tf.reduce_mean(normal, axis=2, keepdims=True) + self.spatial_bias
        second = tf.reshape(pairs * tf.sigmoid(logits), (-1, 1, samples, channels // 2))
        return tf.concat([first, second], axis=-1)
