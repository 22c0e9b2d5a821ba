"""Float against int8: the figures are consistent with the predictions, and every layer is close to its float."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.networks import spread_weights

keras = pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from thumbnet.codegen import analyze_model  # noqa: E402
from thumbnet.quantize.compare import compare, layer_noise  # noqa: E402
from thumbnet.quantize.convert import convert_float, convert_int8  # noqa: E402
from thumbnet.quantize.errors import InferenceError, ScalingError  # noqa: E402
from thumbnet.quantize.scaling import ChannelScaling  # noqa: E402
from thumbnet.training.errors import DatasetError  # noqa: E402
from thumbnet.training.sleep.stages import STAGES  # noqa: E402

SCALING = ChannelScaling(("Fpz-Cz", "Pz-Oz", "EOG", "EMG"), (200.0, 200.0, 300.0, 20.0))


def arguments(converted):
    signals = converted.inputs[..., 0] * np.array(SCALING.clip_uv)[:, None]
    labels = converted.network(converted.inputs).numpy().argmax(axis=1)
    labels[:4] = (labels[:4] + 1) % 5
    subjects = np.array([f"s{n % 4}" for n in range(len(labels))])
    return [converted.floating, converted.int8, SCALING, signals, labels, subjects, STAGES]


@pytest.fixture(scope="module")
def found(converted):
    return compare(*arguments(converted), protocol="subject-wise", seed=7)


def test_float_predictions_are_those_of_keras(found):
    # Labels were the network's own stages but for four.
    assert found.float_metrics.accuracy == pytest.approx(20 / 24)


def test_agreement_is_the_share_of_equal_stages_with_an_interval_over_people(found):
    share = np.mean(found.float_prediction.stages == found.int8_prediction.stages)
    assert found.agreement.value == share >= 0.75
    assert found.agreement.low <= share <= found.agreement.high
    assert (found.agreement.over, found.agreement.units) == ("subjects", 4)


def test_every_layer_is_close_to_its_float(found, converted):
    assert min(layer.snr_db for layer in found.layers) > 10
    assert max(layer.snr_db for layer in found.layers) < 120
    reported = analyze_model(converted.int8).layers
    assert [(layer.index, layer.op) for layer in found.layers] == [(layer.index, layer.op) for layer in reported]


def test_a_hundredth_of_the_input_loses_forty_decibels():
    inputs = keras.layers.Input((1, 200, 1))
    network = keras.Model(inputs, keras.layers.Conv2D(2, (1, 3), use_bias=False)(inputs))
    spread_weights(network)
    windows = np.random.default_rng(0).uniform(-1, 1, (4, 1, 200, 1)).astype(np.float32)
    files = convert_float(network), convert_int8(network, windows)
    loud, quiet = (layer_noise(*files, scale * windows)[0].snr_db for scale in (1, 0.01))
    assert loud - quiet == pytest.approx(40, abs=5)


def test_the_report_is_plain_json(found, converted):
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["protocol"] == "subject-wise" and content["windows"] == 24
    assert content["sizes"] == {"float": len(converted.floating), "int8": len(converted.int8)}
    assert content["agreement"]["interval_95"] == [found.agreement.low, found.agreement.high]
    assert [row["name"] for row in content["quantization"]["channels"]] == list(SCALING.channels)
    assert set(content["metrics"]) == {"float", "int8"}
    assert set(content["quantization"]["layers"][0]) == {"index", "name", "op", "snr_db"}


def test_the_same_seed_gives_the_same_report(found, converted):
    again = compare(*arguments(converted), protocol="subject-wise", seed=7)
    assert again.to_dict() == found.to_dict()


def test_other_networks_are_refused(converted):
    other = convert_float(converted.network)  # not folded: more operators
    with pytest.raises(InferenceError, match=r"are not the same network: .* operators") as caught:
        layer_noise(other, converted.int8, converted.inputs[:1])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "change", "error"),
    [
        (3, lambda x: np.full_like(x, np.nan), ScalingError),
        (3, lambda x: x[:, :, :-1], InferenceError),
        (4, lambda x: x[:-1], DatasetError),
        (5, lambda x: x[:-1], DatasetError),
    ],
    ids=["nan", "length", "labels", "subjects"],
)
def test_arguments_that_are_refused(converted, place, change, error):
    given = arguments(converted)
    given[place] = change(given[place])
    with pytest.raises(error):
        compare(*given, protocol="subject-wise")
