"""Gates: which experts a window goes to, and how their features are weighed.

Noisy top-k gating draws noise on the logits in training, so that experts near the border are tried; the k largest are
chosen and weighed by their softmax::

    h_e = c_e + sigma_e * n_e,      sigma_e = softplus(noise network) + 0.01
    w_e = exp(h_e) / sum of exp(h) over the k chosen,  0 for the rest

Load balancing adds ``cv2(importance) + cv2(load)``: importance is the sum of an expert's weights over a batch, load the
expected number of its windows, differentiable through the probability that other noise would choose it::

    load_e = sum over windows of Phi((c_e - the k-th largest h of the other experts) / sigma_e)
    cv2(x) = variance(x) / mean(x)^2,  with the unbiased variance

Source: Shazeer et al., "Outrageously Large Neural Networks", ICLR 2017, arXiv 1701.06538. The published code of LSM2oE
takes the threshold from the softmax and compares it with logits; here both are logits. Its gates start at zero and then
choose the same experts for every window in evaluation; these start at random.

Noise hides a collapse: as long as it is larger than what tells the experts apart, all are tried in training, and
without it every window goes to the same ones. So gates of the kind `convolution` normalise the logits that choose over
the windows of a batch, as in batch normalisation without weights: no expert is ahead for all windows.
"""

from __future__ import annotations

import math
import os
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf
import tf_keras as keras

from ..errors import ConfigError
from .config import NOISES, Lsm2oeConfig
from .experts import NORM_EPSILON, NORM_MOMENTUM
from .rows import Mean

LEAST_DEVIATION = 1e-2
SALT = 0.05
"""Share of the logits that salt, and as many that pepper, replaces."""
layers = keras.layers


def build_gate(config: Lsm2oeConfig) -> keras.Model:
    """Build the network of all gates.

    Returns
    -------
    keras.Model
        Input (batch, 1, samples, 1); outputs: logits (batch, gate_rows * experts), row by row, those that choose first,
        and the raw noise (batch, choices * experts), whose softplus is the deviation of the noise on those.
    """
    inputs = layers.Input((1, config.samples, 1), name="window")
    if config.gate_kind == "linear":
        hidden = layers.Flatten(name="samples")(inputs)
        start: Any = "lecun_normal"
    else:
        hidden = _convolution(inputs, config.gate_channels // 2 or 1, 15, 4, "first")
        hidden = _convolution(hidden, config.gate_channels, 7, 4, "second")
        hidden = Mean([1, 2], keepdims=False, name="average")(hidden)
        start = "glorot_uniform"
    bias = config.gate_kind != "linear"
    choosing = config.choices * config.experts
    logits = layers.Dense(choosing, use_bias=bias, kernel_initializer=start, name="choice")(hidden)
    if config.gate_kind != "linear":
        logits = layers.BatchNormalization(
            momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON, center=False, scale=False, name="choice_norm"
        )(logits)
    if config.gates == "shared":
        mixing = layers.Dense(config.tasks * config.experts, use_bias=bias, kernel_initializer=start, name="mixing")
        logits = layers.Concatenate(name="logits")([logits, mixing(hidden)])
    noise = layers.Dense(choosing, use_bias=bias, kernel_initializer="zeros", name="noise")(hidden)
    return keras.Model(inputs, [logits, noise], name="gate")


def add_noise(kind: str, logits: Any, deviation: Any) -> Any:
    """Add noise to logits.

    Parameters
    ----------
    kind : str
        One of `NOISES`, n has mean 0: "gaussian" N(0, 1); "uniform" on +-1/2; "beta" Beta(1/2, 1/2) - 1/2; all times
        the deviation. "poisson": Poisson(r) - r with the rate ``r = |logit| * deviation``. "speckle": the logit times
        deviation times N(0, 1). "salt-and-pepper": one logit in twenty becomes the window's largest, one in twenty its
        smallest, whatever the deviation.
    logits, deviation : tensor
        Shape (..., experts).

    Notes
    -----
    The published code's uniform and beta noises have means of a half, which raises experts of large deviation; its
    rates are negative where logits are; its salt and pepper are 1 and 0 on any scale of logits.
    """
    shape = tf.shape(logits)
    if kind == "gaussian":
        return logits + deviation * tf.random.normal(shape)
    if kind == "uniform":
        return logits + deviation * tf.random.uniform(shape, -0.5, 0.5)
    if kind == "beta":
        # Beta(1/2, 1/2) is the arcsine law.
        return logits + deviation * (tf.sin(math.pi / 2 * tf.random.uniform(shape)) ** 2 - 0.5)
    if kind == "poisson":
        rate = tf.stop_gradient(tf.abs(logits) * deviation)
        return logits + tf.random.poisson((), rate) - rate
    if kind == "speckle":
        return logits + logits * deviation * tf.random.normal(shape)
    if kind == "salt-and-pepper":
        drawn = tf.random.uniform(shape)
        salted = tf.where(drawn > 1 - SALT, tf.reduce_max(logits, axis=-1, keepdims=True), logits)
        return tf.where(drawn < SALT, tf.reduce_min(logits, axis=-1, keepdims=True), salted)
    raise ConfigError(f"model.noise must be one of {list(NOISES)}, got {kind!r}")


def choose(logits: Any, k: int) -> Any:
    """Return 1 for the k largest of the last axis and 0 for the rest; of equal ones the first are chosen."""
    _, places = tf.math.top_k(logits, k)
    return tf.reduce_sum(tf.one_hot(places, tf.shape(logits)[-1]), axis=-2)


def weigh(logits: Any, chosen: Any) -> Any:
    """Return the softmax over the chosen experts, 0 for the rest; both of shape (..., experts)."""
    largest = tf.reduce_max(tf.where(chosen > 0, logits, -math.inf), axis=-1, keepdims=True)
    shares = tf.where(chosen > 0, tf.exp(tf.minimum(logits - largest, 0.0)), 0.0)
    return shares / tf.reduce_sum(shares, axis=-1, keepdims=True)


def expected_load(clean: Any, noisy: Any, deviation: Any, k: int) -> Any:
    """Return the probability that each expert is chosen if its own noise is drawn anew, shape (..., experts).

    Exact for gaussian noise, and taken for the others too. With k experts of k it is 1.
    """
    if k >= clean.shape[-1]:
        return tf.ones_like(clean)
    largest, _ = tf.math.top_k(noisy, k + 1)
    inside = noisy > largest[..., k:]
    threshold = tf.where(inside, largest[..., k:], largest[..., k - 1 : k])
    return 0.5 * (1 + tf.math.erf((clean - threshold) / (deviation * math.sqrt(2.0))))


def squared_variation(values: Any) -> Any:
    """Squared coefficient of variation of a vector, 0 for a single number."""
    count = values.shape[-1]
    if count == 1:
        return tf.constant(0.0)
    mean = tf.reduce_mean(values)
    variance = tf.reduce_sum((values - mean) ** 2) / (count - 1)
    return variance / (mean**2 + 1e-10)


def _convolution(inputs: Any, channels: int, taps: int, stride: int, name: str) -> Any:
    hidden = layers.Conv2D(channels, (1, taps), (1, stride), "same", use_bias=False, name=name)(inputs)
    hidden = layers.BatchNormalization(momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON, name=f"{name}_norm")(hidden)
    return layers.ReLU(name=f"{name}_relu")(hidden)
