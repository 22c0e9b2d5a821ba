"""Conversion: full-integer, batch 1, int8 at both ends, one subgraph; what cannot be converted is told."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from thumbnet.codegen import analyze_model  # noqa: E402
from thumbnet.quantize.convert import convert_float, convert_int8  # noqa: E402
from thumbnet.quantize.errors import ConversionError  # noqa: E402
from thumbnet.quantize.fold import fold_shortcuts  # noqa: E402
from thumbnet.quantize.inference import open_litert, run_float  # noqa: E402
from thumbnet.training.sleep.ulw_sleepnet import build_ulw_sleepnet  # noqa: E402

SHAPE = (2, 8, 1)


def model(shape=SHAPE):
    inputs = keras.layers.Input(shape)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 1)(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(pooled), name="small")


def calibration(count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).uniform(-0.5, 0.5, (count, *SHAPE)).astype(np.float32)


def test_full_integer_with_a_batch_of_one_and_one_subgraph(converted):
    # The compiler's reader refuses files of several subgraphs.
    found = analyze_model(converted.int8)
    ports = [*found.inputs, *found.outputs]
    assert [(port.shape, port.dtype) for port in ports] == [((1, 4, 300, 1), "int8"), ((1, 5), "int8")]
    assert all(layer.supported for layer in found.layers)
    assert not {"QUANTIZE", "DEQUANTIZE"} & {layer.op for layer in found.layers}
    details = open_litert(converted.int8).get_tensor_details()
    assert {np.dtype(detail["dtype"]).name for detail in details} <= {"int8", "int32"}, "no float tensor is left"


def test_the_input_step_does_not_depend_on_the_calibration():
    for scale in (1e-3, 1.0):
        port = analyze_model(convert_int8(model(), scale * calibration())).inputs[0]
        assert (port.scale, port.zero_point) == (pytest.approx(1 / 127, rel=1e-6), 0)


def test_the_calibration_given_stays_as_it_was():
    windows = calibration()
    before = windows.copy()
    convert_int8(model(), windows)
    assert np.array_equal(windows, before)


@pytest.mark.parametrize(
    ("fold", "macs"),
    [
        (lambda network: network, 3_498_352),
        (lambda network: fold_shortcuts(network, merge_first_pair=False), 2_639_264),
        (fold_shortcuts, 2_795_264),
    ],
    ids=["as published", "folded", "folded and merged"],
)
def test_macs_of_the_exported_files(fold, macs):
    # The full size, and float: the count is that of the operators in the file.
    tflite = convert_int8(fold(build_ulw_sleepnet()), np.zeros((1, 4, 3000, 1), np.float32))
    assert analyze_model(tflite).macs == macs


def test_float_file_computes_what_keras_computes(converted):
    expected = converted.network(converted.inputs).numpy()
    assert np.abs(run_float(converted.floating, converted.inputs) - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda x: x[:0], "calibration holds 0 epochs; at least 1 is needed"),
        (
            lambda x: np.where(np.arange(4)[:, None, None, None] == 2, np.nan, x),
            "calibration epoch 2 holds NaN",
        ),
        (lambda x: np.where(x == x[1, 0, 0, 0], -np.inf, x), "calibration epoch 1 holds NaN or infinite"),
        (
            lambda x: x[:, :, :-1],
            r"calibration has shape \(4, 2, 7, 1\); the model takes \(epochs, 2, 8, 1\)",
        ),
        (lambda x: x[..., 0], r"calibration has shape \(4, 2, 8\)"),
        (lambda x: 400 * x, r"calibration reaches 1\d\d.*; scaled model inputs lie in \[-1, 1\]"),
    ],
    ids=["empty", "nan", "infinity", "length", "axes", "microvolts"],
)
def test_calibration_that_is_refused(fault, sentence):
    with pytest.raises(ConversionError, match=sentence) as caught:
        convert_int8(model(), fault(calibration()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("convert", [convert_float, lambda network: convert_int8(network, calibration())])
def test_a_free_dimension_is_refused(convert):
    with pytest.raises(ConversionError, match=r"input shape \(2, None, 1\) with a free dimension"):
        convert(model((2, None, 1)))


def test_two_inputs_are_refused():
    pair = [keras.layers.Input((4,)), keras.layers.Input((4,))]
    with pytest.raises(ConversionError, match="has 2 inputs; conversion takes exactly 1"):
        convert_float(keras.Model(pair, keras.layers.Add()(pair)))
