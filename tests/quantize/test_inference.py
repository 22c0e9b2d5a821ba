"""Inference on the host: engines agree, outputs become stages, and other models are refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_models import float_model, small_model
from thumbnet.quantize.errors import InferenceError
from thumbnet.quantize.inference import dequantize, predict_int8, prediction_of, run_float, run_int8
from thumbnet.quantize.scaling import ChannelScaling

pytest.importorskip("ai_edge_litert", reason="needs thumbnet[train]")


def codes(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, (count, 8, 8, 2), dtype=np.int8)


def test_engines_agree_within_a_code():
    pytest.importorskip("tflite_micro", reason="tflite-micro is not built for this machine")
    first, second = (run_int8(small_model(), codes(20), engine=engine) for engine in ("tflm", "litert"))
    difference = np.abs(first.codes.astype(int) - second.codes)
    assert difference.max() <= 1 and (difference != 0).mean() < 0.1
    assert first.engine.startswith("tflite-micro ") and second.engine.startswith("LiteRT reference kernels ")


def test_auto_prefers_the_interpreter_of_microcontrollers():
    pytest.importorskip("tflite_micro", reason="tflite-micro is not built for this machine")
    assert run_int8(small_model(), codes()).engine.startswith("tflite-micro")


def test_values_are_the_dequantized_codes_and_progress_is_told():
    seen: list[int] = []
    found = run_int8(small_model(), codes(), advance=seen.append)
    assert seen == [1, 1, 1] and found.codes.shape == (3, 3)
    assert np.array_equal(found.values, dequantize(found.codes, 1 / 256, -128))


def test_the_same_window_gives_the_same_answer_anywhere():
    alone = [run_int8(small_model(), window[None]).codes[0] for window in codes()]
    assert np.array_equal(run_int8(small_model(), codes()).codes, alone)


def test_predict_scales_first():
    scaling = ChannelScaling(tuple("abcdefgh"), (127.0,) * 8)
    # Eight channels of sixteen samples do not fit (8, 8, 2): the shape is told.
    with pytest.raises(InferenceError, match=r"shape \(windows, 8, 8, 2\), got int8 \(1, 8, 16, 1\)"):
        predict_int8(small_model(), scaling, np.zeros((1, 8, 16)))


def test_the_first_of_equal_outputs_wins_and_probabilities_sum_to_one():
    outputs = np.array([[3, 7, 7], [-128, -128, -128]], np.int8)
    found = prediction_of(outputs, dequantize(outputs, 1 / 256, -128), "engine")
    assert found.stages.tolist() == [1, 0]
    assert found.probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert found.probabilities[1] == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("engine", ["auto", "litert"])
@pytest.mark.parametrize(
    ("tflite", "sentence"),
    [
        (b"", "LiteRT refuses the model"),
        (bytes(range(256)) * 4, "LiteRT refuses the model"),
        (small_model()[:-200], "LiteRT refuses the model|holds no tensors"),
        (float_model(), "takes float32 and gives float32; both must be int8"),
    ],
    ids=["empty", "rubbish", "truncated", "float"],
)
def test_models_that_are_refused(tflite, sentence, engine):
    with pytest.raises(InferenceError, match=sentence) as caught:
        run_int8(tflite, codes(), engine=engine)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("windows", [codes()[:, :-1], codes().astype(np.int16), codes()[0]])
def test_codes_that_do_not_fit(windows):
    with pytest.raises(InferenceError, match=r"codes must be int8 of the shape \(windows, 8, 8, 2\), got"):
        run_int8(small_model(), windows)


def test_an_unknown_engine():
    with pytest.raises(InferenceError, match=r"engine must be one of .*, got 'gpu'"):
        run_int8(small_model(), codes(), engine="gpu")


def test_float_models():
    found = run_float(float_model(), np.ones((2, 4), np.float32))
    assert found == pytest.approx(np.full((2, 2), 4.0))
    with pytest.raises(InferenceError, match="a float model takes float32"):
        run_float(float_model(), np.ones((2, 3), np.float32))
    with pytest.raises(InferenceError, match="a float model takes float32"):
        run_float(small_model(), np.ones((2, 8, 8, 2), np.float32))


@pytest.mark.train
def test_a_free_batch_is_refused():
    tf = pytest.importorskip("tensorflow", reason="needs thumbnet[train]")
    keras = pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
    inputs = keras.layers.Input((4, 4, 1))
    network = keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs))
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter([[np.ones((1, 4, 4, 1), np.float32)]])
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with pytest.raises(InferenceError, match=r"input has the shape \(-1, 4, 4, 1\); the batch must be fixed to 1"):
        run_int8(converter.convert(), np.zeros((1, 4, 4, 1), np.int8))
