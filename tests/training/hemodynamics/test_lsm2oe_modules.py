"""Attention, multi-scale module, experts and towers against their formulas in NumPy; and their rewriting for int8."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

import lsm2oe_formulas as formulas  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402
from support.networks import spread_weights  # noqa: E402
from thumbnet.training.errors import ModelError  # noqa: E402
from thumbnet.training.hemodynamics.attention import HybridAttention, published_places  # noqa: E402
from thumbnet.training.hemodynamics.config import Lsm2oeConfig, edge, reference  # noqa: E402
from thumbnet.training.hemodynamics.experts import build_expert, build_towers  # noqa: E402
from thumbnet.training.hemodynamics.gating import build_gate  # noqa: E402
from thumbnet.training.hemodynamics.lowering import equalisers, lower  # noqa: E402
from thumbnet.training.hemodynamics.msfgm import Msfgm, Regroup  # noqa: E402

SAMPLES = 21
TINY = {"samples": 96, "channels": 16, "experts": 2, "k": 1}


def randomised(layer, channels, seed=0):
    """Build a layer on rows with random weights."""
    rng = np.random.default_rng(seed)
    layer.build((None, 1, SAMPLES, channels))
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.7, weight.shape))
    return layer


def rows(channels, seed=1, count=3):
    return np.random.default_rng(seed).normal(0.3, 1, (count, 1, SAMPLES, channels)).astype(np.float32)


def published(x):
    """Rows in the published order of channels, from those in ours."""
    result = np.empty_like(x)
    result[..., published_places(x.shape[-1])] = x
    return result


def attention_arguments(layer):
    """Weights of an attention as the formula takes them."""
    return (layer.channel_scale.numpy(), layer.channel_bias.numpy(), layer.gamma.numpy().T, layer.beta.numpy().T,
            layer.spatial_scale.numpy(), layer.spatial_bias.numpy())  # fmt: skip


def msfgm_by_formula(layer, x):
    """What the formula gives for one window (samples, channels), its channels in the published order."""
    channels = x.shape[1]
    inner, outer = np.argsort(published_places(channels // 4)), np.argsort(published_places(channels))
    joined = np.concatenate([inner + s * channels // 4 for s in range(4)])
    convolutions = []
    for convolution in layer.convolutions:
        kernel, bias = convolution.get_weights()
        convolutions.append((kernel[0][:, inner][:, :, inner], bias[inner]))
    gate, offset = layer.gate.get_weights()
    gates = [(gate[0, 0][outer, n], offset[n]) for n in range(2)]
    fusion, bias = layer.fusion.get_weights()
    arguments = attention_arguments(layer.attention)
    return formulas.msfgm(x, convolutions, gates, (fusion[0, 0][joined][:, outer], bias[outer]),
                          lambda y: formulas.attention(y, *arguments))  # fmt: skip


@pytest.mark.parametrize("channels", [16, 32, 48])
def test_attention_is_its_formula(channels):
    layer, x = randomised(HybridAttention(), channels), rows(channels)
    ours = layer(x).numpy()
    for window, given in zip(ours[:, 0], published(x)[:, 0], strict=True):
        # The shuffle leaves the channels where ours had them all along.
        assert np.abs(window - formulas.attention(given, *attention_arguments(layer))).max() < 1e-5


def test_attention_has_eight_weights_per_group():
    layer = randomised(HybridAttention(), 32)
    assert sum(int(np.prod(weight.shape)) for weight in layer.weights) == 8 * 8


def test_attention_does_not_mix_groups():
    layer, x = randomised(HybridAttention(), 32), rows(32)
    changed = x.copy()
    changed[..., 5::8] += 1  # channels j * 8 + 5: group 5
    moved = np.abs(layer(x).numpy() - layer(changed).numpy()).max(axis=(0, 1, 2)) > 0
    assert moved.tolist() == [channel % 8 == 5 for channel in range(32)]


def test_attention_ignores_the_scale_of_the_normalised_half():
    layer, x = randomised(HybridAttention(), 16), rows(16)
    scaled = x.copy()
    scaled[..., 8:] *= 4
    ratio = layer(scaled).numpy()[..., 8:] / layer(x).numpy()[..., 8:]
    assert np.abs(ratio - 4).max() < 1e-2


def test_gradients_of_the_attention():
    layer, x = randomised(HybridAttention(), 16), rows(16, count=1)
    weights = np.random.default_rng(5).normal(0, 1, x.shape)

    def loss(window):
        return (formulas.attention(window, *attention_arguments(layer)) * weights[0, 0]).sum()

    with tf.GradientTape() as tape:
        given = tf.constant(x)
        tape.watch(given)
        value = tf.reduce_sum(layer(given) * weights)
    gradient = published(tape.gradient(value, given).numpy())[0, 0]
    start, step = published(x)[0, 0].astype(float), 1e-5
    for sample, channel in [(0, 0), (4, 7), (20, 15), (11, 2), (3, 10)]:
        up, down = start.copy(), start.copy()
        up[sample, channel] += step
        down[sample, channel] -= step
        assert gradient[sample, channel] == pytest.approx((loss(up) - loss(down)) / (2 * step), abs=2e-3)


@pytest.mark.parametrize("channels", [16, 32])
def test_msfgm_is_its_formula(channels):
    layer, x = randomised(Msfgm(), channels), rows(channels)
    ours = layer(x).numpy()
    for window, given in zip(ours[:, 0], published(x)[:, 0], strict=True):
        expected = msfgm_by_formula(layer, given)
        assert np.abs(window - expected).max() < 1e-4 * np.abs(expected).max()


def test_every_weight_of_an_msfgm_gets_a_gradient():
    layer, x = randomised(Msfgm(), 16), rows(16)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2)
    gradients = tape.gradient(loss, layer.trainable_weights)
    assert len(gradients) == 2 * 3 + 2 + 2 + 6
    assert all(np.abs(gradient.numpy()).max() > 0 for gradient in gradients)


def test_regroup_undoes_the_shuffle():
    x = rows(32)
    # Behind the attention channels lie as published; the next module wants each group's channels G apart.
    assert np.array_equal(published(Regroup()(x).numpy()), x)


def test_expert_is_its_formula():
    expert = build_expert(Lsm2oeConfig(**TINY, blocks=1, stem_taps=5, stem_stride=2, tasks=3, strides=(1,)))
    spread_weights(expert)
    window = np.random.default_rng(0).uniform(-1, 1, 96).astype(np.float32)
    found = {weight.name: weight.numpy() for weight in expert.weights}

    def norm(x, name):
        mean, variance = found[f"{name}/moving_mean:0"], found[f"{name}/moving_variance:0"]
        return (x - mean) / np.sqrt(variance + 1e-5) * found[f"{name}/gamma:0"] + found[f"{name}/beta:0"]

    hidden = formulas.convolve(window[:, None], found["stem/kernel:0"][0], stride=2)
    shortcut = np.maximum(norm(hidden, "stem_norm"), 0)
    hidden = np.maximum(norm(formulas.convolve(shortcut, found["block1_first/kernel:0"][0]), "block1_first_norm"), 0)
    hidden = msfgm_by_formula(expert.get_layer("block1_msfgm"), published(hidden))
    hidden = np.maximum(hidden + shortcut, 0).mean(axis=0)
    expected = hidden @ found["tasks/kernel:0"] + found["tasks/bias:0"]
    ours = expert(window[None, None, :, None]).numpy()[0]
    assert np.abs(ours - expected).max() < 1e-4 * np.abs(expected).max()


def test_an_expert_of_the_reference_has_as_many_weights_as_published():
    expert = build_expert(reference().with_options(samples=64))
    unused = 20 * 129
    assert sum(int(np.prod(weight.shape)) for weight in expert.trainable_weights) + unused == 1_518_656


def test_strides_shorten_the_signal_and_the_shortcut():
    expert = build_expert(edge().with_options(**{**TINY, "blocks": 2, "strides": (1, 2)}))
    assert expert.get_layer("block1_relu").output_shape == (None, 1, 24, 16)
    assert expert.get_layer("block2_relu").output_shape == (None, 1, 12, 16)


@pytest.mark.parametrize("units", [0, 6])
def test_towers_are_dense_layers_of_their_own(units):
    config = edge(3).with_options(features=5, tower_units=units)
    towers = build_towers(config)
    spread_weights(towers)
    mixture = np.random.default_rng(0).normal(0, 1, (4, 5, 1, 3)).astype(np.float32)
    kernels = [weight.numpy() for weight in towers.weights]
    for task in range(3):
        hidden = mixture[:, :, 0, task]
        if units:
            bias = kernels[1].reshape(3, units)[task]
            hidden = np.maximum(hidden @ kernels[0][:, 0, task] + bias, 0)
        expected = hidden @ kernels[-2][:, 0, task, 0] + kernels[-1][task]
        assert np.abs(towers(mixture).numpy()[:, task] - expected).max() < 1e-5


@pytest.mark.parametrize(
    "config",
    [
        edge().with_options(**TINY, blocks=2, strides=(1, 2)),
        reference().with_options(**TINY, expert_kind="msfgm"),
        edge().with_options(**TINY, blocks=1, strides=(2,), use_msfgm=False),
    ],
    ids=["resnet", "msfgm", "plain"],
)
def test_lowering_changes_nothing(config):
    x = np.random.default_rng(2).uniform(-1, 1, (5, 1, 96, 1)).astype(np.float32)
    for part in (build_expert(config), keras.Model(*gate_of(config))):
        spread_weights(part)
        plain = lower(part)
        equal = equalisers(plain, x)
        expected = part(x).numpy()
        assert np.ptp(expected) > 0.01, "flat outputs would prove nothing"
        for lowered in (plain, lower(part, equal)):
            assert np.abs(lowered(x).numpy() - expected).max() < 1e-4 * np.abs(expected).max()


def gate_of(config):
    gate = build_gate(config)
    return gate.inputs, gate.outputs[0]


def test_equalisers_bring_variances_to_one():
    config = edge().with_options(**TINY, blocks=1, strides=(1,))
    expert = build_expert(config)
    spread_weights(expert)
    x = np.random.default_rng(2).uniform(-1, 1, (5, 1, 96, 1)).astype(np.float32)
    lowered = lower(expert, equalisers(lower(expert), x))
    probe = keras.Model(lowered.inputs, lowered.get_layer("block1_msfgm_variance").output)
    assert np.abs(probe(x).numpy().mean(axis=0) - 1).max() < 1e-3


def test_a_normalisation_without_a_convolution_cannot_be_lowered():
    inputs = keras.layers.Input((1, 8, 2))
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="lonely")(inputs))
    with pytest.raises(ModelError, match="normalisation 'lonely' must stand behind a convolution"):
        lower(model)
