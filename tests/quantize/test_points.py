"""Every way to a smaller network, on short windows: what is 0 stays 0, files are full-integer, figures add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.networks import spread_weights

keras = pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytest.importorskip("tensorflow_model_optimization", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from thumbnet.codegen import analyze_model  # noqa: E402
from thumbnet.quantize.aware import prepare_aware  # noqa: E402
from thumbnet.quantize.compare import accuracy_drop, predict_file  # noqa: E402
from thumbnet.quantize.convert import convert_int16  # noqa: E402
from thumbnet.quantize.errors import InferenceError, PruneError, ToolkitError  # noqa: E402
from thumbnet.quantize.fold import fold_shortcuts  # noqa: E402
from thumbnet.quantize.inference import open_litert, run_float, run_int16  # noqa: E402
from thumbnet.quantize.names import Point, parse_point  # noqa: E402
from thumbnet.quantize.points import Material, make_point  # noqa: E402
from thumbnet.quantize.scaling import ChannelScaling  # noqa: E402
from thumbnet.quantize.strides import join_strides, split_strides  # noqa: E402
from thumbnet.quantize.tfmot import quantization_aware  # noqa: E402
from thumbnet.training.settings import TrainingSettings  # noqa: E402
from thumbnet.training.sleep.teachers import build_teacher  # noqa: E402
from thumbnet.training.sleep.ulw_sleepnet import build_ulw_sleepnet  # noqa: E402
from thumbnet.training.steps import Teaching  # noqa: E402

SAMPLES = 96


@pytest.fixture(scope="module")
def network():
    model = build_ulw_sleepnet(samples=SAMPLES)
    spread_weights(model)
    return model


@pytest.fixture(scope="module")
def material():
    rng = np.random.default_rng(1)
    labels = np.arange(40) % 5
    windows = (rng.normal(0, 1, (40, 4, SAMPLES, 1)) * (0.05 + 0.1 * labels[:, None, None, None])).clip(-1, 1)
    windows = windows.astype(np.float32)
    teaching = Teaching(np.eye(5, dtype=np.float32)[labels[:30]])
    settings = TrainingSettings(epochs=1, batch_size=20, first_restart=1.0)
    return Material(windows[:30], labels[:30], windows[30:], labels[30:], windows[:16], settings, teaching)


@pytest.fixture(scope="module")
def make(network, material):
    made = {}

    def one(name: str):
        if name not in made:
            made[name] = make_point(parse_point(name), network, material)
        return made[name]

    return one


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("float", {"kind": "float"}),
        ("int8", {}),
        ("int16x8", {"kind": "int16x8"}),
        ("prune50+distill+qat", {"filters": 0.5, "distill": True, "aware": True}),
        ("more", {"more": True}),
        ("more+qat", {"more": True, "aware": True}),
        ("sparse75", {"zeros": 0.75}),
        ("sparse2x4+qat", {"pairs": True, "aware": True}),
        ("prune25+int16x8", {"filters": 0.25, "kind": "int16x8"}),
    ],
)
def test_names_tell_the_steps(name, expected):
    assert parse_point(name) == Point(name, **expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prune", "unknown step 'prune'"),
        ("prune100", "unknown step 'prune100'"),
        ("prune00", "removes 0 %"),
        ("qat+qat", "twice"),
        ("int8+float", "twice"),
        ("qat+int16x8", "qat gives int8"),
        ("sparse50+sparse2x4", "two kinds of sparsity"),
        ("prune50+more", "asks for more training and for a step that trains anyway"),
        ("", "unknown step ''"),
    ],
)
def test_names_that_say_nothing_are_refused(name, message):
    with pytest.raises(PruneError, match=message) as caught:
        parse_point(name)
    assert "\n" not in str(caught.value)


def test_split_strides_are_joined_again(network):
    folded = fold_shortcuts(network)
    split = split_strides(folded)
    windows = np.random.default_rng(2).uniform(-1, 1, (3, 4, SAMPLES, 1)).astype(np.float32)
    assert max(max(layer.strides) for layer in split.layers if type(layer) is keras.layers.Conv2D) == 1
    np.testing.assert_array_equal(split(windows), folded(windows))
    joined = join_strides(split)
    assert [layer.name for layer in joined.layers] == [layer.name for layer in folded.layers]
    np.testing.assert_array_equal(joined(windows), folded(windows))


def test_int8_is_that_of_the_folded_network(make, network, material):
    from thumbnet.quantize.convert import convert_int8

    made = make("int8")
    assert made.tflite == convert_int8(fold_shortcuts(network), material.calibration)
    assert (made.passes, made.zeros) == (0, 0)


def full_integer(tflite: bytes) -> None:
    interpreter = open_litert(tflite, reference=True)
    assert interpreter.get_input_details()[0]["quantization"] == (pytest.approx(1 / 127), 0)
    assert interpreter.get_output_details()[0]["quantization"] == (1 / 256, -128)
    assert {detail["dtype"] for detail in interpreter.get_tensor_details()} <= {np.int8, np.int32}


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("qat", "prune50+distill", "sparse2x4+qat")]


@pytest.mark.parametrize("name", ["prune50", *SLOW])
def test_points_compile(make, name):
    made = make(name)
    full_integer(made.tflite)
    assert analyze_model(made.tflite).macs == made.macs


@pytest.mark.slow
def test_qat_has_the_operators_of_int8(make):
    ops = [[layer.op for layer in analyze_model(make(name).tflite).layers] for name in ("int8", "qat")]
    # tfmot gives the mean a range of its own, which int8 pooling cannot have; the converter rounds it again.
    assert ops[0] == [op for op in ops[1] if op != "QUANTIZE"]
    assert ops[1].count("QUANTIZE") <= 1


def kernels(tflite: bytes) -> list[np.ndarray]:
    """Weights of plain convolutions and dense layers with 4 or more input channels, input channels last."""
    interpreter = open_litert(tflite, reference=True)
    chosen = [detail for detail in interpreter.get_tensor_details()
              if detail["dtype"] is np.int8 and detail["quantization_parameters"]["scales"].size
              and len(detail["shape"]) in (2, 4) and detail["shape"][0] > 1]  # fmt: skip
    values = [interpreter.get_tensor(detail["index"]) for detail in chosen]
    return [value for value in values if value.shape[-1] % 4 == 0]


@pytest.mark.slow
def test_two_of_four_are_zero_in_the_file_after_qat(make):
    weights = kernels(make("sparse2x4+qat").tflite)
    assert len(weights) >= 8
    for weight in weights:
        zeros = (weight.reshape(-1, 4) == 0).sum(axis=1)
        assert zeros.min() >= 2


@pytest.mark.slow
def test_half_of_the_weights_become_zero(make):
    made = make("sparse50")
    chosen = [layer for layer in made.network.layers if type(layer) in (keras.layers.Conv2D, keras.layers.Dense)]
    for layer in chosen:
        kernel = layer.get_weights()[0]
        assert np.mean(kernel == 0) == pytest.approx(0.5, abs=1 / kernel.size)
    assert made.zeros >= sum(layer.kernel.shape.num_elements() // 2 for layer in chosen)


def test_pruned_points_are_smaller(make):
    whole, half = make("int8"), make("prune50")
    assert half.parameters < 0.35 * whole.parameters
    assert len(half.tflite) < len(whole.tflite)
    assert half.passes == 1


def test_more_is_the_same_network_trained_as_long(make):
    before, after, half = make("int8"), make("more"), make("prune50")
    assert (after.passes, after.parameters, after.macs) == (half.passes, before.parameters, before.macs)
    assert after.tflite != before.tflite
    assert (parse_point("more").trainings, parse_point("more+qat").trainings) == (1, 2)


def test_distillation_needs_a_teacher(network, material):
    with pytest.raises(PruneError, match="'distill' needs a teacher"):
        make_point(parse_point("distill"), network, replace(material, teaching=None))


def test_ranges_of_qat_start_where_the_float_network_is(network, material):
    folded = fold_shortcuts(network)
    aware = prepare_aware(folded, material.calibration)
    ranges = {variable.name: variable.numpy() for variable in aware.non_trainable_weights}
    assert float(ranges["quant_block1_main_a_relu/output_min:0"]) == 0
    relu = keras.Model(folded.input, folded.get_layer("block1_main_a_relu").output)(material.calibration)
    assert float(ranges["quant_block1_main_a_relu/output_max:0"]) == pytest.approx(float(np.max(relu)), rel=1e-5)
    average = keras.Model(folded.input, folded.get_layer("average").output)(material.calibration).numpy()
    emulated = keras.Model(aware.input, aware.get_layer("quant_average").output)(material.calibration).numpy()
    assert np.sum(average**2) > 8 * np.sum((average - emulated) ** 2)  # 9 dB, with random weights


def test_a_layer_that_cannot_be_trained_aware_is_refused():
    inputs = keras.layers.Input((4, 8, 1))
    nested = keras.Sequential([keras.layers.Conv2D(2, 1)])
    with pytest.raises(ToolkitError, match="cannot be trained quantization-aware"):
        quantization_aware(keras.Model(inputs, nested(inputs)))


@pytest.mark.slow
def test_16x8_is_finer_than_int8(make, network, material):
    floating = run_float(make("float").tflite, material.inputs)
    noise = {}
    scaling = ChannelScaling(("a", "b", "c", "d"), (1.0,) * 4)
    for kind in ("int8", "int16x8"):
        found = predict_file(make(kind).tflite, kind, scaling, material.inputs[..., 0])
        noise[kind] = np.sum((found.probabilities - floating) ** 2)
    assert noise["int16x8"] < noise["int8"] / 2  # what is left is the rounding of the weights
    assert "int16x8" in predict_file(make("int16x8").tflite, "int16x8", scaling, material.inputs[:1, ..., 0]).engine


def test_16x8_takes_its_own_files_only(make, network, material):
    with pytest.raises(InferenceError, match=r"takes int16 of the shape .* this one takes int8"):
        run_int16(make("int8").tflite, material.inputs)
    assert convert_int16(fold_shortcuts(network), material.calibration) == make("int16x8").tflite


def test_the_drop_is_counted_in_points_over_subjects():
    labels = np.zeros(40, int)
    after = np.where(np.arange(40) % 10 == 0, 1, 0)
    found = accuracy_drop(labels, labels, after, np.arange(40) // 10)
    assert (found["value"], found["epochs"], found["over"], found["units"]) == (pytest.approx(10), 4, "subjects", 4)
    assert found["interval"] == [pytest.approx(10), pytest.approx(10)]


@pytest.mark.parametrize("name", ["wide_ulw_sleepnet", "tiny_sleepnet"])
def test_teachers_are_larger(name):
    teacher = build_teacher(name, 4, 600, 5, 100.0)
    assert teacher.count_params() > 2.5 * build_ulw_sleepnet(samples=600).count_params()
    assert teacher(np.zeros((2, 4, 600, 1), np.float32)).shape == (2, 5)
