"""Folding is exact in float, for any length, and takes away exactly the operators it says."""

from __future__ import annotations

import numpy as np
import pytest
from support.networks import spread_weights

keras = pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from thumbnet.quantize.errors import FoldError  # noqa: E402
from thumbnet.quantize.fold import count_macs, fold_shortcuts  # noqa: E402
from thumbnet.training.sleep.ulw_sleepnet import build_ulw_sleepnet  # noqa: E402

layers = keras.layers


def difference(model, folded, seed: int = 0) -> float:
    """Largest difference of the outputs, relative to the largest output."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(0, 0.5, (2, *model.input_shape[1:])).astype(np.float32)
    expected, found = model(inputs), folded(inputs)
    if not isinstance(expected, list):
        expected, found = [expected], [found]
    pairs = [(left.numpy(), right.numpy()) for left, right in zip(expected, found, strict=True)]
    assert all(left.shape == right.shape for left, right in pairs)
    return max(float(np.abs(left - right).max() / np.abs(left).max()) for left, right in pairs)


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("samples", [64, 65, 66, 67, 301])
def test_exact_for_every_length(samples, merge):
    network = build_ulw_sleepnet(samples=samples)
    spread_weights(network, samples)
    before = [weight.copy() for weight in network.get_weights()]
    # In the features before the classifier, where a softmax cannot hide anything.
    features = keras.Model(network.input, network.get_layer("average").output)
    assert difference(features, fold_shortcuts(features, merge_first_pair=merge)) < 5e-6
    assert difference(network, fold_shortcuts(network, merge_first_pair=merge)) < 5e-6
    assert all(np.array_equal(left, right) for left, right in zip(before, network.get_weights(), strict=True))


def test_macs_of_the_folded_network():
    network = build_ulw_sleepnet()
    assert count_macs(fold_shortcuts(network, merge_first_pair=False)) == 2_639_264
    assert count_macs(fold_shortcuts(network)) == 2_795_264


def test_each_shortcut_becomes_one_convolution():
    network = build_ulw_sleepnet(samples=64)
    folded = fold_shortcuts(network)
    shortcuts = [layer for layer in folded.layers if "shortcut" in layer.name]
    assert [(type(layer).__name__, layer.strides) for layer in shortcuts] == [("Conv2D", (1, 4))] * 3
    assert len(network.layers) - len(folded.layers) == 3 * 5 + 1


def chain(*steps, shape=(3, 13, 4)):
    tensor = inputs = layers.Input(shape)
    for step in steps:
        tensor = step(tensor)
    model = keras.Model(inputs, tensor)
    spread_weights(model)
    return model


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_strides_multiply_and_biases_pass_through(padding):
    model = chain(
        layers.DepthwiseConv2D(1, use_bias=True),
        layers.Conv2D(5, 1, strides=(1, 3), padding=padding),
        layers.MaxPooling2D(1, (1, 2), padding=padding),
        layers.Conv2D(2, 1, use_bias=False),
    )
    folded = fold_shortcuts(model)
    assert [type(layer).__name__ for layer in folded.layers] == ["InputLayer", "Conv2D"]
    assert folded.layers[1].strides == (1, 6)
    assert difference(model, folded) < 1e-6


@pytest.mark.parametrize(
    "between",
    [
        lambda: layers.ReLU(),
        lambda: layers.Conv2D(4, 1, activation="relu"),
        lambda: layers.Conv2D(4, (1, 3), padding="same"),
        lambda: layers.MaxPooling2D((1, 2)),
        lambda: layers.BatchNormalization(),
    ],
)
def test_what_is_not_linear_1x1_ends_a_chain(between):
    model = chain(layers.Conv2D(4, 1), between(), layers.Conv2D(4, 1))
    folded = fold_shortcuts(model)
    assert [type(layer) for layer in folded.layers] == [type(layer) for layer in model.layers]
    assert difference(model, folded) < 1e-6


def test_a_value_that_others_read_is_kept():
    inputs = layers.Input((1, 8, 3))
    first = layers.Conv2D(4, 1)(inputs)
    second = layers.Conv2D(4, 1)(first)
    read_twice = keras.Model(inputs, layers.Add()([first, second]))
    given_out = keras.Model(inputs, [second, first])
    for model in (read_twice, given_out):
        spread_weights(model)
        folded = fold_shortcuts(model)
        assert len(folded.layers) == len(model.layers)
        assert difference(model, folded) < 1e-6


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_pair_over_one_channel_merges(multiplier, padding):
    depthwise = layers.DepthwiseConv2D(
        (1, 3), depth_multiplier=multiplier, padding=padding, use_bias=padding == "valid"
    )
    model = chain(depthwise, layers.Conv2D(6, 1), shape=(2, 11, 1))
    folded = fold_shortcuts(model)
    assert [type(layer).__name__ for layer in folded.layers] == ["InputLayer", "Conv2D"]
    assert difference(model, folded) < 1e-6
    assert len(fold_shortcuts(model, merge_first_pair=False).layers) == 3


def test_a_depthwise_bias_before_same_padding_is_exact_at_the_border():
    model = chain(layers.DepthwiseConv2D((1, 3), padding="same"), layers.Conv2D(6, 1), shape=(2, 11, 1))
    assert difference(model, fold_shortcuts(model)) < 1e-6


def test_a_shared_layer_is_refused():
    inputs, shared = layers.Input((1, 8, 4)), layers.Conv2D(4, 1, name="twice")
    with pytest.raises(FoldError, match=r"layer 'twice' of model .* is used 2 times"):
        fold_shortcuts(keras.Model(inputs, shared(shared(inputs))))


def test_a_sequential_is_refused():
    with pytest.raises(FoldError, match="is a Sequential; folding takes functional models"):
        fold_shortcuts(keras.Sequential([layers.Input((1, 8, 4)), layers.Conv2D(4, 1)]))


def test_a_call_with_further_arguments_is_refused():
    inputs = layers.Input((1, 8, 4))
    with pytest.raises(FoldError, match="is called with arguments besides its input"):
        fold_shortcuts(keras.Model(inputs, inputs * 2.0))
