"""A mixture of experts in int8: given ranges, files that fit each other, training with rounding, distillation."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402
from support.networks import spread_weights  # noqa: E402
from thumbnet.codegen.tflite import read_graph  # noqa: E402
from thumbnet.quantize.errors import ConversionError  # noqa: E402
from thumbnet.quantize.fixed_ranges import (  # noqa: E402
    FixedRange,
    convert_fixed,
    fix_ranges,
    join_ranges,
    observe_ranges,
    round_weights,
)
from thumbnet.quantize.inference import run_int8  # noqa: E402
from thumbnet.quantize.mixture import lower_mixture  # noqa: E402
from thumbnet.quantize.mixture_points import (  # noqa: E402
    MixtureMaterial,
    active_macs,
    copy_mixture,
    distill_mixture,
    train_lowered,
)
from thumbnet.training.errors import ConfigError  # noqa: E402
from thumbnet.training.hemodynamics.config import Distillation, edge, paper  # noqa: E402
from thumbnet.training.hemodynamics.distillation import student_loss, teacher_loss  # noqa: E402
from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe, predict  # noqa: E402
from thumbnet.training.settings import TrainingSettings  # noqa: E402

CONFIG = edge(2).with_options(
    samples=64, channels=16, blocks=2, strides=(1, 2), experts=2, k=1, features=8, tower_units=4
)


def windows(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 1, 64, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    model = Lsm2oe(CONFIG)
    spread_weights(model)
    return model


@pytest.fixture(scope="module")
def lowered(network):
    return lower_mixture(network, windows(40))


@pytest.fixture(scope="module")
def files(lowered):
    return lowered.convert()


def test_files_and_their_outer_scales(files):
    assert list(files) == ["gate.tflite", "expert_0.tflite", "expert_1.tflite", "towers.tflite"]
    for name, data in files.items():
        graph = read_graph(data)
        source, result = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
        expected = (1 / 128, 0) if name.startswith("towers") else (1 / 127, 0)
        assert (source.q.scale, source.q.zero_point) == pytest.approx(expected)
        if name.startswith("expert"):
            assert (result.q.scale, result.q.zero_point) == pytest.approx((1 / 128, 0))


def test_experts_differ_in_weights_alone(files):
    first, second = (read_graph(files[f"expert_{n}.tflite"]) for n in range(2))
    assert [node.op for node in first.nodes] == [node.op for node in second.nodes]
    same = 0
    for a, b in zip(first.tensors.values(), second.tensors.values(), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if a.data is None and a.quantization is not None:
            assert (a.q.scale, a.q.zero_point) == (b.q.scale, b.q.zero_point)
            same += 1
    assert same > 40


def test_every_tensor_is_int8(files):
    operators = [node.op for data in files.values() for node in read_graph(data).nodes]
    assert not {"QUANTIZE", "DEQUANTIZE", "CAST"} & set(operators)


def test_parts_in_int8_are_near_the_float_parts(network, files):
    x = windows(40)
    codes = np.round(x * 127).astype(np.int8)
    for number in range(2):
        outputs = run_int8(files[f"expert_{number}.tflite"], codes).values.reshape(40, -1)
        expected = network.experts[number](x).numpy()
        noise = ((outputs - expected) ** 2).mean() / (expected**2).mean()
        assert noise < 0.02, "17 dB"


def test_assembled_is_near_the_float_network(network, lowered):
    x = windows(40)
    expected, found = predict(network, x), predict(lowered.assembled(rounded=True), x)
    assert np.median(np.abs(found - expected)) < 0.1 * expected.std()


def test_ranges_are_joined():
    assert join_ranges([{"a": (-1.0, 2.0), "b": (0.0, 1.0)}, {"a": (-3.0, 1.0)}]) == {"a": (-3.0, 2.0), "b": (0.0, 1.0)}


def test_given_ranges_are_those_of_the_file():
    inputs = keras.layers.Input((1, 8, 2))
    hidden = keras.layers.Conv2D(3, 1, activation="relu", name="first")(inputs)
    joined = keras.layers.Concatenate(name="join")([hidden, keras.layers.Conv2D(2, 1, name="second")(inputs)])
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1, name="last")(joined))
    spread_weights(model)
    ranges = {"first": (0.0, 5.1), "second": (-2.55, 1.0), "join": (0.0, 1.0), "last": (-1.0, 1.55)}
    graph = read_graph(convert_fixed(fix_ranges(model, ranges, (-1.0, 127 / 128))))
    scales = {
        round(tensor.q.scale, 6)
        for tensor in graph.tensors.values()
        if tensor.data is None and tensor.quantization is not None
    }
    assert scales == {round(1 / 128, 6), round(7.65 / 255, 6), round(2.55 / 255, 6)}


def test_a_missing_range_is_named():
    inputs = keras.layers.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="only")(inputs), name="tiny")
    with pytest.raises(ConversionError, match="layer 'only' of model 'tiny' has no range; given are 0"):
        fix_ranges(model, {}, (-1.0, 1.0))
    with pytest.raises(ConversionError, match="model 'tiny' has no windows"):
        observe_ranges(model, np.zeros((0, 4), np.float32))


def test_rounding_lets_gradients_pass():
    kernel = tf.constant(np.random.default_rng(0).normal(0, 1, (3, 5)).astype(np.float32))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(kernel)
        rounded = round_weights(kernel, [0])
        ranged = FixedRange(-1.0, 1.0)(kernel)
    scales = np.abs(kernel.numpy()).max(axis=0) / 127
    assert np.abs(rounded / scales - np.round(rounded / scales)).max() < 1e-3
    assert (tape.gradient(rounded, kernel).numpy() == 1).all()
    assert np.array_equal(tape.gradient(ranged, kernel).numpy() == 1, np.abs(kernel.numpy()) <= 1.01)


def test_networks_that_are_for_no_device():
    model = Lsm2oe(paper(2).with_options(samples=64, channels=16, blocks=1, experts=2, k=1))
    with pytest.raises(ConversionError, match="needs gates 'single' or 'shared'"):
        lower_mixture(model, windows(2))


def material(count=24):
    x = windows(count, 5)
    labels = np.stack([x.mean(axis=(1, 2, 3)) * 10, np.abs(x).mean(axis=(1, 2, 3))], axis=1).astype(np.float32)
    settings = TrainingSettings(epochs=2, window_passes=None, batch_size=8, learning_rate=2e-3)
    return MixtureMaterial(x, labels, x[:8], labels[:8], settings)


def test_training_with_rounding_keeps_the_ranges(lowered):
    before = [dict(part) for part in (lowered.gate_ranges, lowered.expert_ranges, lowered.tower_ranges)]
    weights = lowered.experts[0].get_layer("block1_first").get_weights()[0].copy()
    history = train_lowered(lowered, material())
    assert len(history.val_error) == 2 and np.isfinite(history.loss).all()
    assert [lowered.gate_ranges, lowered.expert_ranges, lowered.tower_ranges] == before
    moved = [np.abs(expert.get_layer("block1_first").get_weights()[0] - weights).max() for expert in lowered.experts]
    assert max(moved) > 0


def test_the_losses_of_distillation():
    truth = tf.constant([[0.0, 1.0], [2.0, np.nan]])
    student, teacher = tf.constant([[0.5, 3.0], [1.5, 1.0]]), tf.constant([[1.0, 1.0], [2.0, 0.0]])
    given = Distillation(alpha=0.5, beta=0.25, gamma=0.1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([student, teacher])
        of_student = student_loss(truth, student, teacher, given)
        of_teacher = teacher_loss(truth, student, teacher, given)
    # Errors: task 1 (0.25 + 0.25) / 2, task 2 (4) / 1; against the teacher 0.25, 4, 0.25, 1.
    assert float(of_student) == pytest.approx(0.5 * (0.25 + 4) / 2 + 0.25 * (0.25 + 4 + 0.25 + 1) / 4)
    # The student is nearer once: 0.5 against 1.
    assert float(of_teacher) == pytest.approx((0.5 + 0) / 2 + 0.1 * 0.25)
    assert tape.gradient(of_student, teacher) is None and tape.gradient(of_teacher, student) is None
    pull = tape.gradient(of_teacher, teacher).numpy()
    assert pull[0, 0] == pytest.approx(1.0 / 2 + 0.1 * 2 * 0.5) and pull[0, 1] == pull[1, 0] == pull[1, 1] == 0


@pytest.mark.parametrize("two_way", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_distillation_leaves_the_teacher_given_alone(network, two_way):
    teacher, student = copy_mixture(network), Lsm2oe(CONFIG)
    before, start = teacher.get_weights(), student.get_weights()
    history = distill_mixture(teacher, student, material(), Distillation(two_way=two_way))
    assert all(np.array_equal(a, b) for a, b in zip(before, teacher.get_weights(), strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(start, student.get_weights(), strict=True))
    assert len(history.shares[0]) == 2


def test_refused_distillation():
    with pytest.raises(ConfigError, match="gamma must be at least 0, got -1"):
        Distillation(gamma=-1)
    with pytest.raises(ConfigError, match="must not both be 0"):
        Distillation(alpha=0, beta=0)


def test_active_macs(network):
    # Convolutions of the gate, of one expert of two, of the towers.
    gate = 16 * 15 * 8 + 4 * 7 * 8 * 16 + 16 * 3 * 2
    block = 3 * 16 * 16 + 3 * 3 * 4 * 4 + 2 * 16 + 16 * 16
    expert = 16 * 7 * 16 + 16 * block + 8 * block + 16 * 8
    towers = 8 * 4 * 2 + 4 * 2
    assert active_macs(network) == gate + expert + towers
