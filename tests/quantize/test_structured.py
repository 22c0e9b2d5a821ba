"""Pruned networks are really smaller, and equal to the large ones with the removed channels silenced."""

from __future__ import annotations

import numpy as np
import pytest
from support.networks import spread_weights

keras = pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from thumbnet.quantize.channels import map_channels  # noqa: E402
from thumbnet.quantize.errors import PruneError  # noqa: E402
from thumbnet.quantize.fold import count_macs, fold_shortcuts  # noqa: E402
from thumbnet.quantize.graph import count_parameters  # noqa: E402
from thumbnet.quantize.structured import prune_filters, remove_units, silence_units, weakest_units  # noqa: E402
from thumbnet.training.sleep.ulw_sleepnet import build_ulw_sleepnet  # noqa: E402

layers = keras.layers


def difference(left, right) -> float:
    windows = np.random.default_rng(1).normal(0, 0.5, (3, *left.input_shape[1:])).astype(np.float32)
    expected, found = left(windows).numpy(), right(windows).numpy()
    assert expected.shape == found.shape
    return float(np.abs(expected - found).max() / np.abs(expected).max())


def before_softmax(model):
    """The same network without what could hide a difference."""
    config = model.get_config()
    config["layers"][-1]["config"]["activation"] = "linear"
    linear = keras.Model.from_config(config)
    linear.set_weights(model.get_weights())
    return linear


@pytest.fixture(scope="module", params=[False, True], ids=["as trained", "folded"])
def network(request):
    model = build_ulw_sleepnet(samples=96)
    spread_weights(model)
    return before_softmax(fold_shortcuts(model) if request.param else model)


@pytest.mark.parametrize("criterion", ["l1", "l2", "gamma"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_smaller_network_equals_the_silenced_one(network, share, criterion):
    units = weakest_units(network, share, criterion=criterion)
    before = [weight.copy() for weight in network.get_weights()]
    silent, small = silence_units(network, units), prune_filters(network, share, criterion=criterion)
    assert difference(silent, small) < 1e-5
    assert difference(network, small) > 1e-3  # what was removed did matter
    assert count_parameters(small) < count_parameters(silent) == count_parameters(network)
    assert all(np.array_equal(left, right) for left, right in zip(before, network.get_weights(), strict=True))


def test_any_choice_of_units_can_be_removed(network):
    rng = np.random.default_rng(3)
    channels = map_channels(network)
    for _ in range(3):
        units = {
            u for members in channels.groups().values() for u in rng.permutation(members)[: rng.integers(len(members))]
        }
        units = {int(unit) for unit in units}
        assert difference(silence_units(network, units), remove_units(network, units)) < 1e-5


def test_widths_of_the_pruned_network():
    small = prune_filters(build_ulw_sleepnet(), 0.5)
    widths = {layer.name: layer.output_shape[-1] for layer in small.layers}
    assert [widths[f"block{n}_add"] for n in (1, 2, 3)] == [4, 8, 16]
    assert [widths[f"block{n}_main_a_pointwise"] for n in (1, 2, 3)] == [4, 8, 16]
    assert (widths["hidden"], widths["stages"]) == (32, 5)
    assert count_parameters(small) == 3633
    assert count_macs(small) < 0.45 * count_macs(build_ulw_sleepnet())


def test_a_join_ties_the_streams():
    groups = map_channels(build_ulw_sleepnet(samples=64)).groups()
    assert ("block1_main_b_pointwise", "block1_shortcut_b_pointwise") in groups
    assert ("block1_main_a_pointwise",) in groups
    assert not any("stages" in names for names in groups)  # the classes stay


def test_the_weakest_filters_go():
    inputs = layers.Input((1, 8, 2))
    features = layers.Conv2D(4, 1, name="first")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(features)))
    kernel = np.ones((1, 1, 2, 4), np.float32) * [4, 1, 3, 2]
    model.get_layer("first").set_weights([kernel, np.arange(4)])
    small = prune_filters(model, 0.5)
    assert small.get_layer("first").get_weights()[0][0, 0, 0].tolist() == [4, 3]
    assert small.get_layer("first").get_weights()[1].tolist() == [0, 2]


def branches(join):
    """Two branches, one with a depthwise multiplier and a bias, joined and flattened."""
    inputs = layers.Input((2, 12, 3))
    left = layers.ReLU()(layers.BatchNormalization(scale=False)(layers.Conv2D(4, (1, 3), padding="same")(inputs)))
    right = layers.Conv2D(2, 1, activation="tanh")(inputs)
    right = layers.DepthwiseConv2D((1, 3), padding="same", depth_multiplier=2)(right)
    joined = layers.MaxPooling2D((1, 2))(join([left, right]))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(joined)))
    spread_weights(model)
    return model


@pytest.mark.parametrize("join", [layers.Add(), layers.Concatenate(), layers.Concatenate(axis=2)],
                         ids=["add", "concatenate", "side by side"])  # fmt: skip
def test_joins_multipliers_and_flattening(join):
    model = branches(type(join).from_config(join.get_config()))
    for share in (0.25, 0.5):
        units = weakest_units(model, share)
        assert units
        assert difference(silence_units(model, units), remove_units(model, units)) < 1e-5


def test_channels_that_an_activation_fills_stay():
    inputs = layers.Input((1, 8, 2))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Conv2D(4, 1, activation="sigmoid")(inputs))))
    assert weakest_units(model, 0.5) == set()


def test_one_filter_always_stays():
    inputs = layers.Input((1, 8, 2))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 1, name="two")(inputs))))
    assert prune_filters(model, 0.95).get_layer("two").filters == 1


def refused(layer):
    inputs = layers.Input((2, 8, 4), name="signals")
    return keras.Model(inputs, layers.Conv2D(2, 1)(layer(layers.Conv2D(4, 1)(inputs))))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: refused(layers.PReLU(name="odd")), "layer 'odd' is a PReLU, whose channels pruning cannot follow"),
        (lambda: refused(layers.Conv2D(4, 1, groups=2, name="odd")), "layer 'odd' is a convolution of 2 groups"),
        (lambda: refused(layers.BatchNormalization(axis=1, name="odd")), "layer 'odd' normalises axes"),
        (lambda: keras.Sequential([layers.Input((1, 8, 4)), layers.Conv2D(4, 1)]), "is a Sequential; pruning takes"),
    ],
    ids=["layer", "groups", "axis", "sequential"],
)
def test_what_cannot_be_followed_is_refused(model, message):
    with pytest.raises(PruneError, match=message) as caught:
        prune_filters(model(), 0.5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("share", "criterion", "message"), [
    (0.0, "l2", "above 0 and below 1, got 0.0"), (1.0, "l2", "below 1, got 1.0"), (0.5, "l3", "got 'l3'")])  # fmt: skip
def test_settings_out_of_range(share, criterion, message):
    with pytest.raises(PruneError, match=message):
        prune_filters(build_ulw_sleepnet(samples=64), share, criterion=criterion)


def test_units_that_have_to_stay_are_refused(network):
    channels = map_channels(network)
    classes = {int(unit) for unit in channels.outputs[network.layers[-1].name]}
    with pytest.raises(PruneError, match="cannot be removed"):
        remove_units(network, classes)
    with pytest.raises(PruneError, match=r"would lose all its 64 filters"):
        remove_units(network, set(channels.groups()[("hidden",)]))
