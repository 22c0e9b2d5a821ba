"""Gates, load balancing, UR-Loss and the whole network: formulas, gradients, what must not change, what is counted."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

import lsm2oe_formulas as formulas  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402
from support.networks import spread_weights  # noqa: E402
from thumbnet.training.errors import ConfigError  # noqa: E402
from thumbnet.training.hemodynamics import gating  # noqa: E402
from thumbnet.training.hemodynamics.config import (  # noqa: E402
    NOISES,
    Lsm2oeConfig,
    configuration,
    edge,
    paper,
    reference,
)
from thumbnet.training.hemodynamics.losses import UncertaintyLoss, task_errors  # noqa: E402
from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe, predict  # noqa: E402
from thumbnet.training.hemodynamics.lsm2oe_sizes import count_parameters  # noqa: E402

TINY = {"samples": 64, "channels": 16, "blocks": 1, "experts": 4, "k": 2}
SMALL = {
    "edge": edge(3).with_options(**TINY),
    "paper": paper(3).with_options(**TINY),
    "reference": reference(3).with_options(**TINY),
    "msfgm": reference(3).with_options(**TINY, expert_kind="msfgm"),
    "plain": edge(3).with_options(**TINY, use_msfgm=False, tower_units=0, gate_kind="linear"),
}


def windows(count, seed=0, samples=64):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 1, samples, 1)).astype(np.float32)


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.fixture(scope="module")
def network():
    model = Lsm2oe(SMALL["edge"])
    spread_weights(model)
    return model


@pytest.mark.parametrize("k", [1, 2, 5])
def test_weights_of_the_chosen(k):
    logits = np.random.default_rng(k).normal(0, 2, (6, 5)).astype(np.float32)
    chosen = gating.choose(logits, k)
    ours = gating.weigh(logits, chosen).numpy()
    for row, weights in zip(logits, ours, strict=True):
        assert np.abs(weights - formulas.top_k_weights(row, k)).max() < 1e-6
    assert (chosen.numpy().sum(axis=1) == k).all()
    assert np.abs(gating.weigh(logits + 7, chosen).numpy() - ours).max() < 1e-6, "a common shift means nothing"


def test_of_equal_logits_the_first_are_chosen():
    assert gating.choose(tf.constant([[1.0, 2.0, 2.0, 2.0]]), 2).numpy().tolist() == [[0, 1, 1, 0]]


def test_weights_stay_finite_for_far_logits():
    logits = tf.constant([[1e4, -1e4, 9e3, 1e5]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        weights = gating.weigh(logits, gating.choose(logits, 2))
    assert weights.numpy().tolist() == [[0, 0, 0, 1]]
    assert np.isfinite(tape.gradient(weights, logits).numpy()).all()


@pytest.mark.parametrize("k", [1, 3])
def test_expected_load(k):
    rng = np.random.default_rng(0)
    clean, deviation = rng.normal(0, 1, (8, 5)), rng.uniform(0.3, 2, (8, 5))
    noisy = clean + rng.normal(0, 1, (8, 5)) * deviation
    ours = gating.expected_load(*(tf.constant(x, tf.float32) for x in (clean, noisy, deviation)), k).numpy()
    expected = [formulas.chance(*row, k) for row in zip(clean, noisy, deviation, strict=True)]
    assert np.abs(ours - expected).max() < 1e-5


def test_squared_variation():
    values = np.random.default_rng(0).uniform(0.1, 3, 7)
    ours = float(gating.squared_variation(tf.constant(values, tf.float32)))
    assert ours == pytest.approx(formulas.squared_variation(values), rel=1e-5)
    assert float(gating.squared_variation(tf.ones(1))) == 0
    assert float(gating.squared_variation(tf.fill([5], 3.0))) == 0


@pytest.mark.parametrize("kind", NOISES)
def test_noise(kind):
    tf.random.set_seed(4)
    logits = tf.constant(np.tile([[-2.0, 0.5, 3.0]], (20_000, 1)), tf.float32)
    noise = (gating.add_noise(kind, logits, tf.fill(logits.shape, 0.7)) - logits).numpy()
    deviations = {"gaussian": [0.7] * 3, "uniform": [0.7 * 12**-0.5] * 3, "beta": [0.7 * 8**-0.5] * 3,
                  "poisson": np.sqrt([1.4, 0.35, 2.1]), "speckle": 0.7 * np.array([2, 0.5, 3])}  # fmt: skip
    if kind == "salt-and-pepper":
        assert np.mean(noise == 0, axis=0) == pytest.approx([0.95, 0.9, 0.95], abs=0.01)
        assert set(np.unique(noise[:, 1])) == {-2.5, 0, 2.5}
        return
    assert noise.std(axis=0) == pytest.approx(deviations[kind], rel=0.05)
    assert np.abs(noise.mean(axis=0)).max() < 0.06


def test_unknown_noise():
    with pytest.raises(ConfigError, match="noise must be one of"):
        gating.add_noise("pink", tf.zeros((1, 2)), tf.ones((1, 2)))


def test_gates_choose_by_the_window_from_the_start():
    model = Lsm2oe(SMALL["edge"].with_options(gate_kind="linear"))
    chosen = model.route(windows(40), False).chosen.numpy()
    assert len(np.unique(chosen, axis=0)) > 1


def test_ur_loss_and_its_gradient():
    rng = np.random.default_rng(0)
    truth, output = rng.normal(0, 1, (6, 3)).astype(np.float32), rng.normal(0, 1, (6, 3)).astype(np.float32)
    truth[0, 1] = truth[4, 2] = np.nan
    loss = UncertaintyLoss(3)
    loss.log_variance.assign([0.3, -0.8, 1.2])
    with tf.GradientTape() as tape:
        given = tf.constant(output)
        tape.watch(given)
        value = loss(truth, given)
    assert float(value) == pytest.approx(formulas.uncertainty_loss(truth, output, loss.log_variance.numpy()), rel=1e-5)
    to_output, to_weights = tape.gradient(value, [given, loss.log_variance])
    assert to_output.numpy()[0, 1] == 0 and np.isfinite(to_output.numpy()).all()
    # At the optimum exp(s) is twice the squared error.
    errors = task_errors(truth, output).numpy()
    assert np.abs(to_weights.numpy() - (0.5 - np.exp(-loss.log_variance.numpy()) * errors)).max() < 1e-5


def test_a_task_without_labels_does_not_count():
    assert float(task_errors(np.full((4, 1), np.nan, np.float32), tf.ones((4, 1)))[0]) == 0


@pytest.mark.parametrize("name", list(SMALL))
def test_shapes_and_counted_parameters(name):
    model = Lsm2oe(SMALL[name])
    output, routing = model.forward(windows(5), True)
    config = model.config
    assert output.shape == (5, 3)
    assert trainable(model) == count_parameters(config)
    assert np.abs(routing.weights.numpy().sum(axis=2) - 1).max() < 1e-6
    active = routing.chosen.numpy().sum(axis=1)
    assert active.min() >= config.k and active.max() <= config.most_active


def test_published_parameters():
    assert count_parameters(reference(), unused_gates=True) == 24_338_496
    assert count_parameters(reference()) == 24_338_496 - 16 * 20 * 129 == 24_297_216


def test_edge_is_small():
    assert count_parameters(edge()) == 137_026
    assert edge().most_active == 2 and paper().most_active == 16


def test_the_network_is_its_formula(network):
    x = windows(6)
    logits = network.gate(x)[0].numpy().reshape(6, 4, 4)
    features = np.stack([expert(x).numpy() for expert in network.experts], axis=1)
    ours = network(x).numpy()
    for n in range(6):
        chosen = formulas.top_k_weights(logits[n, 0], 2) > 0
        mixture = np.zeros((1, 8 * 4, 1, 3), np.float32)
        for task in range(3):
            mixing = np.where(chosen, logits[n, 0] + logits[n, 1 + task], -1e9)
            mixture[0, :, 0, task] = formulas.top_k_weights(mixing, 2) @ features[n]
        assert np.abs(network.towers(mixture).numpy()[0] - ours[n]).max() < 1e-4


def test_windows_do_not_influence_each_other(network):
    x = windows(6)
    assert np.abs(predict(network, x[::-1].copy(), 4)[::-1] - predict(network, x)).max() < 1e-5


def test_the_order_of_the_experts_means_nothing(network):
    x, order = windows(6), [2, 0, 3, 1]
    shuffled = Lsm2oe(network.config)
    shuffled.set_weights(network.get_weights())
    shuffled.experts = [shuffled.experts[number] for number in order]
    for name in ("choice", "choice_norm", "mixing"):
        values = network.gate.get_layer(name).get_weights()
        moved = [value.reshape(*value.shape[:-1], -1, 4)[..., order].reshape(value.shape) for value in values]
        shuffled.gate.get_layer(name).set_weights(moved)
    assert np.abs(shuffled(x).numpy() - network(x).numpy()).max() < 1e-5


def test_gradients_reach_the_chosen_experts_alone(network):
    x = windows(1)
    with tf.GradientTape() as tape:
        output, routing = network.forward(x, False)
        loss = tf.reduce_sum(output**2)
    variables = [expert.trainable_weights for expert in network.experts]
    gradients = tape.gradient(loss, [*variables, network.gate.get_layer("mixing").kernel])
    sizes = [max(float(tf.reduce_max(tf.abs(g))) if g is not None else 0 for g in part) for part in gradients[:-1]]
    assert [size > 0 for size in sizes] == (routing.chosen.numpy()[0] > 0).tolist()
    assert float(tf.reduce_max(tf.abs(gradients[-1]))) > 0


def test_an_expert_without_windows_keeps_its_statistics():
    model = Lsm2oe(SMALL["edge"].with_options(noisy=False))
    x = windows(1)
    idle = model.route(x, True).chosen.numpy()[0] == 0
    before = [expert.get_weights() for expert in model.experts]
    model(x, training=True)
    for expert, old, resting in zip(model.experts, before, idle, strict=True):
        same = all(np.array_equal(a, b) for a, b in zip(expert.get_weights(), old, strict=True))
        assert same == resting and all(np.isfinite(value).all() for value in expert.get_weights())


def test_no_expert_is_ahead_for_all_windows():
    """Normalised logits choose by the window, however far apart their means are."""
    model = Lsm2oe(SMALL["edge"].with_options(noisy=False))
    kernel, _ = model.gate.get_layer("choice").get_weights()
    model.gate.get_layer("choice").set_weights([kernel, np.array([5.0, 0, 0, -5], np.float32)])
    x = windows(64)
    for _ in range(100):
        model.route(x, True)
    assert model.route(x, False).chosen.numpy().mean(axis=0).min() > 0.02


def test_load_balancing_pushes_towards_idle_experts():
    model = Lsm2oe(SMALL["edge"].with_options(gate_kind="linear", balance=1.0))
    layer = model.gate.get_layer("choice")
    x = np.ones((32, 1, 64, 1), np.float32)
    layer.set_weights([np.tile([[0.02, 0.01, 0, 0]], (64, 1)).astype(np.float32)])
    with tf.GradientTape() as tape:
        balance = model.route(x, True).balance
    push = -tape.gradient(balance, layer.kernel).numpy().sum(axis=0)
    assert push[0] < 0 and (push[2:] > 0).all(), "the one with most weight gives to those without"


def test_saved_and_loaded(tmp_path, network):
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.config == network.config
    assert np.array_equal(predict(loaded, windows(3)), predict(network, windows(3)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channels": 24}, "model.channels must be a multiple of 16"),
        ({"k": 9}, "model.k must be at most the number of experts, 8, got 9"),
        ({"noise": "pink"}, "model.noise must be one of"),
        ({"strides": (1, 2)}, "model.strides must give a stride of at least 1 for each of 3 blocks"),
        ({"features": 0}, "model.features must be at least 1"),
        ({"blocks": 0}, "model.blocks must be a whole number of at least 1, got 0"),
    ],
)
def test_refused_sizes(changes, words):
    with pytest.raises(ConfigError, match=words):
        edge().with_options(**changes)


def test_sizes_travel_as_json():
    assert Lsm2oeConfig.from_dict(edge().to_dict()) == edge()


def test_unknown_configuration():
    with pytest.raises(ConfigError, match="the configuration must be one of"):
        configuration("huge")
