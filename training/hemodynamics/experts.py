"""What a window goes through: the shared bottom, an expert, the towers; each a Keras model of its own.

Windows are rows, (batch, 1, samples, 1) between -1 and 1, and every kernel is one row high: 1-D networks made of layers
that int8 tools know. An expert is a 1-D ResNet of blocks::

    relu(msfgm(relu(norm(conv3(x)))) + x)

with the modules of :mod:`.msfgm`, then the average over the window and a dense layer.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tf_keras as keras

from .config import MSFGM_DEPTH, Lsm2oeConfig
from .msfgm import TAPS, Msfgm, Regroup
from .rows import Mean

# As in the other networks here; experts see few windows per step, and short trainings end early.
NORM_MOMENTUM = 0.9
NORM_EPSILON = 1e-5
layers = keras.layers


def build_bottom(config: Lsm2oeConfig) -> keras.Model:
    """Build the shared bottom: the stem, windows (batch, 1, samples, 1) to (batch, 1, samples', channels)."""
    inputs = layers.Input((1, config.samples, 1), name="window")
    return keras.Model(inputs, _stem(inputs, config), name="bottom")


def build_expert(config: Lsm2oeConfig, number: int = 0) -> keras.Model:
    """Build an expert.

    Parameters
    ----------
    config : Lsm2oeConfig
        With a shared bottom, the expert takes its output; otherwise windows.
    number : int
        Only for the name.

    Returns
    -------
    keras.Model
        Output (batch, features) between -1 and 1; without features (batch, tasks), unbounded.
    """
    if config.shared_bottom:
        samples = -(-config.samples // config.stem_stride)
        inputs = layers.Input((1, samples, config.channels), name="bottom_features")
        hidden = inputs
    else:
        inputs = layers.Input((1, config.samples, 1), name="window")
        hidden = _stem(inputs, config)
    if config.expert_kind == "resnet":
        for place, stride in enumerate(config.block_strides, start=1):
            hidden = _block(hidden, config, stride, f"block{place}", place not in config.removed)
    else:
        for place in range(1, MSFGM_DEPTH + 1):
            hidden = Msfgm(name=f"msfgm{place}")(Regroup(name=f"regroup{place}")(hidden))
    hidden = Mean([1, 2], keepdims=False, name="average")(hidden)
    if config.features:
        outputs = layers.Dense(config.features, activation="tanh", name="features")(hidden)
    else:
        outputs = layers.Dense(config.tasks, name="tasks")(hidden)
    return keras.Model(inputs, outputs, name=f"expert{number}")


def build_towers(config: Lsm2oeConfig) -> keras.Model:
    """Build the towers, all in one model.

    Layers of one tower are depthwise convolutions over the features, with the tasks as channels: tasks never meet.

    Returns
    -------
    keras.Model
        Input (batch, features, 1, tasks), the mixture of each task; output (batch, tasks), standardised parameters.
    """
    inputs = layers.Input((config.features, 1, config.tasks), name="mixture")
    hidden, height = inputs, config.features
    if config.tower_units:
        hidden = layers.DepthwiseConv2D(
            (height, 1), depth_multiplier=config.tower_units, activation="relu", name="hidden",
            depthwise_initializer=_dense_start(height, config.tower_units),
        )(hidden)  # fmt: skip
        hidden = layers.Reshape((config.tasks, config.tower_units, 1), name="units")(hidden)
        hidden = layers.Permute((2, 3, 1), name="units_first")(hidden)
        height = config.tower_units
    outputs = layers.DepthwiseConv2D((height, 1), name="linear", depthwise_initializer=_dense_start(height, 1))(hidden)
    return keras.Model(inputs, layers.Reshape((config.tasks,), name="tasks")(outputs), name="towers")


def _dense_start(inputs: int, outputs: int) -> Any:
    """Start of a dense layer; Keras would take a depthwise kernel's channels for inputs."""
    limit = (6.0 / (inputs + outputs)) ** 0.5
    return keras.initializers.RandomUniform(-limit, limit)


def _stem(inputs: Any, config: Lsm2oeConfig) -> Any:
    # The published modules' stem has a bias in front of its normalisation.
    bias = config.expert_kind == "msfgm"
    hidden = _convolution(inputs, config.channels, config.stem_taps, config.stem_stride, "stem", bias)
    return layers.ReLU(name="stem_relu")(hidden)


def _block(inputs: Any, config: Lsm2oeConfig, stride: int, name: str, whole: bool = True) -> Any:
    shortcut = inputs
    if stride > 1:
        shortcut = layers.AveragePooling2D((1, stride), padding="same", name=f"{name}_shortcut")(inputs)
    if not whole:
        return shortcut
    hidden = _convolution(inputs, config.channels, TAPS, stride, f"{name}_first")
    hidden = layers.ReLU(name=f"{name}_first_relu")(hidden)
    if config.use_msfgm:
        hidden = Msfgm(name=f"{name}_msfgm")(hidden)
    else:
        hidden = _convolution(hidden, config.channels, TAPS, 1, f"{name}_second")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([hidden, shortcut]))


def _convolution(inputs: Any, channels: int, taps: int, stride: int, name: str, bias: bool = False) -> Any:
    hidden = layers.Conv2D(channels, (1, taps), (1, stride), "same", use_bias=bias, name=name)(inputs)
    return layers.BatchNormalization(momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON, name=f"{name}_norm")(hidden)
