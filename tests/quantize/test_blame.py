"""The layer whose rounding is bad by design is named first, and to set it free brings the output back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.networks import spread_weights

keras = pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from thumbnet.quantize.blame import blame_layers  # noqa: E402
from thumbnet.quantize.errors import ConversionError  # noqa: E402

layers = keras.layers


def spoiled():
    """Three dense layers; the middle one has one output a thousand times larger than the others, which nobody reads."""
    inputs = layers.Input((1, 4, 8))
    features = layers.Conv2D(6, 1, name="first")(inputs)
    features = layers.Conv2D(6, 1, name="spoiled")(features)
    features = layers.Conv2D(6, 1, name="third")(features)
    outputs = layers.Dense(3, activation="softmax", name="last")(layers.Flatten()(features))
    model = keras.Model(inputs, outputs)
    spread_weights(model)
    kernel, bias = model.get_layer("spoiled").get_weights()
    kernel[..., 0] *= 300
    model.get_layer("spoiled").set_weights([kernel, bias])
    kernel, bias = model.get_layer("third").get_weights()
    kernel[:, :, 0] = 0
    model.get_layer("third").set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module")
def report():
    windows = np.random.default_rng(1).uniform(-1, 1, (32, 1, 4, 8)).astype(np.float32)
    return blame_layers(spoiled(), windows, windows)


def test_the_spoiled_layer_is_to_blame(report):
    worst = report.layers[0]
    assert "spoiled" in worst.name and worst.op == "CONV_2D"
    assert worst.share > 0.9 and worst.gain_db > 10
    assert all(layer.share < 0.5 for layer in report.layers[1:])
    assert worst.agreement >= report.agreement


def test_the_report_is_plain_json_worst_first(report):
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    shares = [layer["share"] for layer in content["layers"]]
    assert shares == sorted(shares, reverse=True)
    assert content["windows"] == 32 and len(shares) == 5
    assert {"index", "op", "name", "share", "gain_db", "agreement"} == set(content["layers"][0])


def test_calibration_that_does_not_fit_is_refused():
    with pytest.raises(ConversionError, match="calibration has shape"):
        blame_layers(spoiled(), np.zeros((2, 3), np.float32), np.zeros((2, 1, 4, 8), np.float32))
