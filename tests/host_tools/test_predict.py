"""predict: a recording becomes a hypnogram of every whole epoch, prepared as the bundle says.

The network here is a toy; that a trained one scores well is the business of `tests/e2e`.
"""

import csv
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from support.command import thumbnet
from support.tflite_builder import ModelBuilder
from thumbnet.quantize.bundle import Bundle
from thumbnet.quantize.scaling import ChannelScaling
from thumbnet.training.sleep.stages import STAGES
from thumbnet.training.sleep.synthetic import write_synthetic_dataset

CHANNELS = {
    "EEG Fpz-Cz": ["EEG Fpz-Cz"],
    "EEG Pz-Oz": ["EEG Pz-Oz"],
    "EOG": ["EOG horizontal"],
    "EMG": ["EMG submental"],
}


def toy_network():
    """Mean of each channel, a dense layer, a softmax."""
    rng = np.random.default_rng(3)
    builder = ModelBuilder()
    x = builder.tensor((1, 4, 3000, 1), scale=1 / 127, name="signals")
    a = builder.tensor((1, 4, 1), scale=1 / 127, name="mean")
    b = builder.tensor((1, 5), scale=0.05, name="dense")
    c = builder.tensor((1, 5), scale=1 / 256, zero_point=-128, name="stages")
    weights = builder.tensor((5, 4), scale=0.4, data=rng.integers(-127, 128, (5, 4)), name="w")
    bias = builder.tensor((5,), "int32", scale=0.4 / 127, data=rng.integers(-200, 200, 5), name="b")
    builder.operator("MEAN", [x, builder.constant([2])], [a], keep_dims=False)
    builder.operator("FULLY_CONNECTED", [a, weights, bias], [b])
    builder.operator("SOFTMAX", [b], [c], beta=1.0)
    return builder.build([x], [c])


def make_bundle(path, preprocessing=None):
    scaling = ChannelScaling(tuple(CHANNELS), (120.0, 120.0, 150.0, 60.0))
    reading = {"step": "read", "channels": CHANNELS, "rate": 100.0, "emg": "raw", "epoch_seconds": 30.0}
    Bundle.create(
        toy_network(),
        scaling=scaling,
        rate=100.0,
        channel_kinds=["eeg", "eeg", "eog", "emg raw"],
        preprocessing=[reading] if preprocessing is None else preprocessing,
        labels=STAGES,
        calibration={"windows": 8},
        training={"protocol": "none, a toy"},
        licences=["Apache-2.0"],
        versions={},
    ).write(path)
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    return write_synthetic_dataset(folder, subjects=1, hours=1.0, seed=4)[0]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("model") / "model.bundle")


@pytest.fixture(scope="module")
def scored(tmp_path_factory, recording, bundle):
    folder = tmp_path_factory.mktemp("scored")
    outcome = thumbnet("predict", recording, "--model", bundle, "--output", folder, "--json")
    assert outcome.code == 0, outcome.err
    return folder, outcome.json


def test_every_epoch_is_scored(scored):
    folder, content = scored
    with (folder / "hypnogram.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120 == len(content["stages"])
    assert [float(row["onset"]) for row in rows] == [30.0 * n for n in range(120)]
    assert [row["stage"] for row in rows] == content["stages"]
    for row in rows:
        shares = [float(row[f"p_{name}"]) for name in STAGES]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        assert shares[STAGES.index(row["stage"])] == max(shares)


def test_json_names_its_schema_and_scorer(scored):
    content = scored[1]
    assert content["schema"] == "thumbnet.predict/1"
    assert content["scorer"].startswith(("tflite-micro", "thumbnet NumPy reference"))
    assert sum(content["minutes"].values()) == 60


def test_annotations_can_be_read_back_as_a_hypnogram(scored):
    from thumbnet.training.sleep.hypnogram import read_annotated_stages

    folder, content = scored
    hypnogram = read_annotated_stages(folder / "hypnogram.edf")
    assert [STAGES[label] for label in hypnogram.labels] == content["stages"]


def test_the_picture_is_well_formed(scored):
    root = ElementTree.parse(scored[0] / "hypnogram.svg").getroot()
    assert root.tag.endswith("svg")


def test_the_same_as_the_oracle_on_the_same_codes(scored, recording, bundle):
    from thumbnet.host_tools.oracle import open_oracle
    from thumbnet.training.sleep.config import SignalConfig
    from thumbnet.training.sleep.recording import read_recording

    unpacked = Bundle.read(bundle)
    epochs = read_recording(recording, None, SignalConfig(emg="raw"), scored=False)
    oracle = open_oracle(unpacked.tflite)
    codes = unpacked.scaling.to_int8(epochs.signals[:5])
    expected = [STAGES[int(np.argmax(oracle.run([window[None]])[0]))] for window in codes]
    assert scored[1]["stages"][:5] == expected


def test_a_bare_tflite_is_refused(tmp_path, recording):
    path = tmp_path / "model.tflite"
    path.write_bytes(toy_network())
    outcome = thumbnet("predict", recording, "--model", path, "--output", tmp_path / "out")
    assert outcome.code == 2
    assert "predict needs a bundle" in outcome.sentence


def test_a_bundle_that_does_not_say_how_to_read(tmp_path, recording):
    path = make_bundle(tmp_path / "model.bundle", preprocessing=[])
    outcome = thumbnet("predict", recording, "--model", path, "--output", tmp_path / "out")
    assert outcome.code == 2
    assert "no step 'read'" in outcome.sentence


def test_a_missing_recording_leaves_no_output(tmp_path, bundle):
    outcome = thumbnet("predict", tmp_path / "none.edf", "--model", bundle, "--output", tmp_path / "out")
    assert outcome.code == 2
    assert "none.edf" in outcome.sentence
    assert not (tmp_path / "out").exists()


def test_a_truncated_recording(tmp_path, recording, bundle):
    path = tmp_path / "cut.edf"
    path.write_bytes(recording.read_bytes()[:300])
    outcome = thumbnet("predict", path, "--model", bundle, "--output", tmp_path / "out")
    assert outcome.code == 2
    assert "cut.edf" in outcome.sentence


def test_a_missing_channel(tmp_path, recording):
    settings = {"step": "read", "channels": {**CHANNELS, "EOG": ["EOG vertical"]}, "emg": "raw"}
    path = make_bundle(tmp_path / "model.bundle", preprocessing=[settings])
    outcome = thumbnet("predict", recording, "--model", path, "--output", tmp_path / "out")
    assert outcome.code == 2
    assert "EOG vertical" in outcome.sentence and "EOG horizontal" in outcome.sentence


def test_a_bundle_that_reads_other_channels_than_it_has(tmp_path, recording):
    settings = {"step": "read", "channels": {"EEG Fpz-Cz": ["EEG Fpz-Cz"]}}
    path = make_bundle(tmp_path / "model.bundle", preprocessing=[settings])
    outcome = thumbnet("predict", recording, "--model", path, "--output", tmp_path / "out")
    assert outcome.code == 2
    assert "must name the channels" in outcome.sentence


@pytest.mark.parametrize("damage", ["truncated", "altered", "no bundle"])
def test_a_damaged_bundle(tmp_path, recording, bundle, damage):
    data = bundle.read_bytes()
    broken = {
        "truncated": data[: len(data) // 2],
        "altered": data.replace(b"TFL3", b"TFL4"),
        "no bundle": b"PK\x03\x04xx",
    }
    path = tmp_path / "model.bundle"
    path.write_bytes(broken[damage])
    outcome = thumbnet("predict", recording, "--model", path, "--output", tmp_path / "out")
    assert outcome.code == 2
    assert "model.bundle" in outcome.sentence


def test_json_is_alone_on_standard_output(scored):
    assert json.dumps(scored[1])
