"""ULW-SleepNet: an ultra-lightweight sleep-staging network, in a formulation that quantizes well.

One feature extractor is shared by all channels: three dual-stream separable convolution (DSSC) blocks of
8, 16 and 32 filters, then global average pooling; the channels' features are concatenated and classified.
The published code wraps the extractor in ``TimeDistributed``. Here the channels are the rows of an image,
(channels, samples, 1), and every kernel is one row high, so that sharing is plain convolution: the same
numbers (``tests/training/test_ulw_sleepnet.py``), a tenth of the operators, and layers that int8 tools know.

Source: Wang, Zhou, Xu, Cong, Al-Sa'd and Raitoharju, "ULW-SleepNet", ICASSP 2026, arXiv 2602.23852.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tf_keras as keras

FILTERS = (8, 16, 32)
TAPS = 3
HIDDEN_UNITS = 64
# Keras' 0.99 needs a thousand steps to follow the statistics of a batch; short trainings end before that.
NORM_MOMENTUM = 0.9
BLOCK_DROPOUT = 0.1
HEAD_DROPOUT = 0.3

layers = keras.layers


def build_ulw_sleepnet(
    channels: int = 4,
    samples: int = 3000,
    classes: int = 5,
    *,
    filters: Sequence[int] = FILTERS,
    taps: int = TAPS,
    hidden_units: int = HIDDEN_UNITS,
) -> keras.Model:
    """Build ULW-SleepNet with the channels as image rows.

    Parameters
    ----------
    channels, samples, classes
        Signals per epoch, samples per signal, and sleep stages.
    filters : sequence of int
        Of each dual-stream block; as many blocks as numbers, each of which leaves a quarter of the samples.
    taps : int
        Samples under the depthwise kernels of the main streams.
    hidden_units : int
        Of the hidden layer; 0 for none, which loses nothing in principle: the layer is linear.

    Returns
    -------
    keras.Model
        Input (batch, channels, samples, 1), already scaled to [-1, 1]; output (batch, classes)
        probabilities. 13,337 trainable parameters with 4 channels and 3,498,352 multiply-accumulates (MACs).
    """
    inputs = layers.Input((channels, samples, 1), name="signals")
    features = inputs
    for number, width in enumerate(filters, start=1):
        features = _dual_stream_block(features, width, taps, f"block{number}")
    features = layers.AveragePooling2D((1, features.shape[2]), name="average")(features)
    return _classifier(inputs, features, classes, "ulw_sleepnet", hidden_units)


def build_time_distributed(channels: int = 4, samples: int = 3000, classes: int = 5) -> keras.Model:
    """Build the published form of the network: an extractor of 1-D signals under ``TimeDistributed``.

    It is the reference that :func:`build_ulw_sleepnet` is tested against; input and output are the same.
    """
    signal = layers.Input((samples, 1), name="signal")
    features = signal
    for number, filters in enumerate(FILTERS, start=1):
        features = _dual_stream_block_1d(features, filters, f"block{number}")
    extractor = keras.Model(signal, layers.GlobalAveragePooling1D(name="average")(features), name="extractor")
    inputs = layers.Input((channels, samples, 1), name="signals")
    features = layers.TimeDistributed(extractor, name="per_channel")(inputs)
    return _classifier(inputs, features, classes, "ulw_sleepnet_time_distributed")


def transfer_weights(source: keras.Model, destination: keras.Model) -> None:
    """Copy every weight of one form of the network into the other, in place.

    Both forms hold the same numbers under names that differ only where one layer became two.
    """
    values = {_plain_name(variable): variable.numpy() for variable in source.weights}
    for variable in destination.weights:
        variable.assign(values[_plain_name(variable)].reshape(variable.shape))


def _plain_name(variable) -> str:
    """Name of a variable as if each separable convolution were one layer."""
    layer, kind = variable.name.rsplit("/", 1)
    return f"{layer.removesuffix('_depthwise').removesuffix('_pointwise')}/{kind.removeprefix('pointwise_')}"


def _dual_stream_block(features, filters: int, taps: int, name: str):
    main = features
    for step in ("a", "b"):
        main = layers.DepthwiseConv2D((1, taps), padding="same", use_bias=False, name=f"{name}_main_{step}_depthwise")(
            main
        )
        main = layers.Conv2D(filters, 1, name=f"{name}_main_{step}_pointwise")(main)
        main = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_main_{step}_norm")(main)
        main = layers.ReLU(name=f"{name}_main_{step}_relu")(main)
        main = layers.MaxPooling2D((1, 2), padding="same", name=f"{name}_main_{step}_pool")(main)
    shortcut = features
    for step in ("a", "b"):
        # TensorFlow refuses strides (1, 2) on a depthwise convolution; with a kernel of one sample,
        # dropping every second sample first is the same thing.
        shortcut = layers.MaxPooling2D((1, 1), (1, 2), name=f"{name}_shortcut_{step}_stride")(shortcut)
        shortcut = layers.DepthwiseConv2D(1, use_bias=False, name=f"{name}_shortcut_{step}_depthwise")(shortcut)
        shortcut = layers.Conv2D(filters, 1, name=f"{name}_shortcut_{step}_pointwise")(shortcut)
    added = layers.Add(name=f"{name}_add")([main, shortcut])
    return layers.Dropout(BLOCK_DROPOUT, name=f"{name}_dropout")(added)


def _dual_stream_block_1d(features, filters: int, name: str):
    main = features
    for step in ("a", "b"):
        main = layers.SeparableConv1D(filters, 3, padding="same", name=f"{name}_main_{step}")(main)
        main = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_main_{step}_norm")(main)
        main = layers.ReLU(name=f"{name}_main_{step}_relu")(main)
        main = layers.MaxPooling1D(2, padding="same", name=f"{name}_main_{step}_pool")(main)
    shortcut = features
    for step in ("a", "b"):
        shortcut = layers.SeparableConv1D(filters, 1, 2, padding="same", name=f"{name}_shortcut_{step}")(shortcut)
    added = layers.Add(name=f"{name}_add")([main, shortcut])
    return layers.Dropout(BLOCK_DROPOUT, name=f"{name}_dropout")(added)


def _classifier(inputs, features, classes: int, name: str, hidden_units: int = HIDDEN_UNITS) -> keras.Model:
    features = layers.Flatten(name="concatenate")(features)
    features = layers.Dropout(HEAD_DROPOUT, name="head_dropout")(features)
    if hidden_units:
        features = layers.Dense(hidden_units, name="hidden")(features)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="stages")(features), name=name)
