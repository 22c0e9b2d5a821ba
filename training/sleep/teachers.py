"""Networks to learn from: larger than any that goes on a board, trained on the same windows.

Both give probabilities of the stages of one window, so that a small network can be trained towards them.

Source of the second: Supratak and Guo, "TinySleepNet: An Efficient Deep Learning Model for Sleep Stage Scoring based
on Raw Single-Channel EEG", EMBC 2020.
"""

from __future__ import annotations

import os
from collections.abc import Callable

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tf_keras as keras

from ..errors import ConfigError
from .ulw_sleepnet import FILTERS, HIDDEN_UNITS, NORM_MOMENTUM, build_ulw_sleepnet

TINY_FILTERS = 64
layers = keras.layers


def build_wide_ulw_sleepnet(channels: int = 4, samples: int = 3000, classes: int = 5, width: int = 2) -> keras.Model:
    """Build ULW-SleepNet with `width` times the filters and hidden units; otherwise :func:`.build_ulw_sleepnet`."""
    filters = tuple(width * count for count in FILTERS)
    return build_ulw_sleepnet(channels, samples, classes, filters=filters, hidden_units=width * HIDDEN_UNITS)


def build_tiny_sleepnet(channels: int = 4, samples: int = 3000, classes: int = 5, rate: float = 100.0) -> keras.Model:
    """Build a network like TinySleepNet for windows on their own.

    The convolutions are those of TinySleepNet with half its filters: half a second wide with a stride of a sixteenth,
    pooling, three of eight taps, pooling; the signals are its input channels. In place of the LSTM over neighbouring
    epochs stands a dense layer, because a student sees one epoch.

    Parameters
    ----------
    channels, samples, classes
        Signals per epoch, samples per signal, and sleep stages.
    rate : float
        Samples per second.

    Returns
    -------
    keras.Model
        Input (batch, channels, samples, 1), output (batch, classes) probabilities.
    """
    inputs = layers.Input((channels, samples, 1), name="signals")
    features = layers.Permute((3, 2, 1), name="signals_as_channels")(inputs)
    first, stride = max(2, round(rate / 2)), max(1, round(rate / 16))
    features = _convolution(features, first, stride, "first")
    features = layers.MaxPooling2D((1, 8), padding="same", name="first_pool")(features)
    features = layers.Dropout(0.5, name="first_dropout")(features)
    for number in (1, 2, 3):
        features = _convolution(features, 8, 1, f"deep{number}")
    features = layers.MaxPooling2D((1, 4), padding="same", name="deep_pool")(features)
    features = layers.Dropout(0.5, name="deep_dropout")(layers.Flatten(name="flat")(features))
    features = layers.Dense(TINY_FILTERS, activation="relu", name="hidden")(features)
    outputs = layers.Dense(classes, activation="softmax", name="stages")(features)
    return keras.Model(inputs, outputs, name="tiny_sleepnet")


def _convolution(features, taps: int, stride: int, name: str):
    features = layers.Conv2D(
        TINY_FILTERS, (1, taps), strides=stride, padding="same", use_bias=False, name=f"{name}_convolution"
    )(features)
    features = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm")(features)
    return layers.ReLU(name=f"{name}_relu")(features)


TEACHERS: dict[str, Callable[..., keras.Model]] = {
    "wide_ulw_sleepnet": build_wide_ulw_sleepnet,
    "tiny_sleepnet": build_tiny_sleepnet,
}


def build_teacher(name: str, channels: int, samples: int, classes: int, rate: float) -> keras.Model:
    """Build a teacher by name.

    Raises
    ------
    ConfigError
        When there is none of that name.
    """
    if name not in TEACHERS:
        raise ConfigError(f"the teacher must be one of {list(TEACHERS)}, got {name!r}")
    if name == "tiny_sleepnet":
        return build_tiny_sleepnet(channels, samples, classes, rate)
    return TEACHERS[name](channels, samples, classes)
