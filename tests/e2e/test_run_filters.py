"""A short run whose recipe declares filters and a converter: one preprocessing in training, bundle, C and predict.

What this shows: the integer C behind the converter gives what its reference gives, byte for byte, for a trained network
and samples of held-out nights, and `predict` prepares a recording as training did. What it does not show: that filters
make a network better.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.command import thumbnet
from thumbnet.codegen.signals import SignalPlan, design, run_codes
from thumbnet.host_tools.predict import bundle_config
from thumbnet.quantize.bundle import Bundle
from thumbnet.training.cache import open_set
from thumbnet.training.sleep.recording import read_recording

pytestmark = pytest.mark.train

RECIPE = """
name = "filtered"
[signals]
emg = "raw"
[signals.filters.EEG]
highpass = 0.3
lowpass = 35.0
[signals.filters.EMG]
highpass = 10.0
notch = [50.0]
envelope = 4.0
[signals.converter]
rate = 200.0
microvolts_per_count = { EEG = 0.1, EOG = 0.1, EMG = 0.02 }
[signals.synthetic]
subjects = 3
hours = 1.0
seed = 11
[training]
epochs = 1
[quantize]
calibration_windows = 16
[boards]
names = ["host"]
windows = 4
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filtered")
    (folder / "filtered.toml").write_text(RECIPE)
    outcome = thumbnet("run", folder / "filtered.toml", "--output", folder / "run", "--json", timeout=600)
    assert outcome.code == 0, outcome.err
    (folder / "report.json").write_text(outcome.out)
    return folder


@pytest.fixture(scope="module")
def run(place):
    return place / "run"


@pytest.fixture(scope="module")
def bundle(run):
    return Bundle.read(run / "model.bundle")


def test_parity_from_samples_of_the_converter_is_exact(run):
    facts = json.loads((run / "parity.json").read_text())["boards"]["host"]
    behind = facts["signals"]
    assert facts["mismatches"] == behind["mismatches"] == 0
    assert behind["passed"] and behind["windows"] == 4 and behind["bytes"] == 4 * 5
    assert behind["first_diverging_layer"] is None and behind["schedule"] == "stream"
    assert len(behind["channels"]) == 4
    assert all(0 < row["float_difference_max_uv"] < 0.01 for row in behind["channels"])
    samples = np.load(run / "parity_samples.npy")
    assert samples.shape == (4, 6000, 4) and samples.dtype == np.int32


def test_the_firmware_of_the_run_holds_preprocessing_and_its_cost(run):
    profile = json.loads((run / "profile.json").read_text())["boards"]["host"]
    generated = json.loads((run / "generated" / "host" / "model.json").read_text())
    assert profile["signals"] and profile["layers"][-1]["op"] == "SIGNALS"
    assert profile["state_bytes"] > generated["state_bytes"]
    assert b"model_signals_push" in (run / "firmware" / "host.elf").read_bytes()


def test_the_report_names_filters_converter_and_the_difference_to_float(place):
    report = json.loads((place / "report.json").read_text())
    device = report["signals"]["device"]
    assert (device["bits"], device["rate"]) == (16, 200.0)
    assert device["channels"][0]["steps"] == [
        "high-pass 0.3 Hz, low-pass 35 Hz, order 2, causal, at 200 Hz",
        "resampled from 200 to 100 Hz (causal)",
    ]
    assert device["channels"][2]["steps"] == ["resampled from 200 to 100 Hz (causal)"]
    assert [row["where"] for row in report["budgets"]] == ["host", "host from samples"]
    page = (place / "run" / "report.html").read_text()
    assert "0 of 20 output bytes of 4 windows differ, codes equal" in page and "notch 50 Hz" in page


def test_the_bundle_declares_what_the_recipe_does(bundle):
    declared = SignalPlan.from_dict(bundle.signals)
    assert declared.ratio == (1, 2) and declared.bits == 16 and declared.rate == 200
    assert [channel.microvolts_per_count for channel in declared.channels] == [0.1, 0.1, 0.1, 0.02]
    codes = [channel["clip_uv"] / 127 for channel in bundle.manifest["channels"]]
    assert [channel.microvolts_per_code for channel in declared.channels] == codes
    assert [step["step"] for step in bundle.manifest["preprocessing"]] == [
        "read", "hold", "resample", "filter", "filter", "filter", "resample", "epoch", "scale-and-clip",
    ]  # fmt: skip


def test_predict_prepares_every_window_as_training_did(run, bundle):
    (manifest,) = (run / "cache").glob("set-*.json")
    cached = open_set(manifest)
    assert len(cached.nights) == 3
    for night in cached.nights:
        known = cached.everything([night.recording])
        path = run / "signals" / f"{night.recording}-PSG.edf"
        read = read_recording(path, None, bundle_config(bundle), scored=False)
        rows = np.searchsorted(read.onsets, known.onsets)
        np.testing.assert_array_equal(read.onsets[rows], known.onsets)
        given, trained = (bundle.scaling.to_int8(s) for s in (read.signals[rows], known.signals[np.arange(len(known))]))
        np.testing.assert_array_equal(given, trained)


def test_the_windows_of_parity_are_those_codes(run, bundle):
    """From silence, integers come within a code of the night's own filters once the high-pass has settled."""
    prepared = np.load(run / "parity_windows.npy")[..., 0].astype(int)
    constants = design(SignalPlan.from_dict(bundle.signals))
    for codes, counts in zip(prepared, np.load(run / "parity_samples.npy"), strict=True):
        made = run_codes(constants, counts.T).astype(int)
        assert np.abs(made - codes)[:, 1500:].max() <= 2


def test_predict_scores_a_recording(run, tmp_path):
    (recording,) = run.glob("signals/SC4001*-PSG.edf")
    outcome = thumbnet("predict", recording, "--model", run / "model.bundle", "--output", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    assert "EEG Fpz-Cz: high-pass 0.3 Hz, low-pass 35 Hz, order 2, causal, at 200 Hz" in outcome.json["notes"]


def test_the_generated_library_holds_the_preprocessing(run):
    sources = run / "generated" / "host" / "src"
    assert "200 times a second" in (sources / "model_signals.h").read_text()
    assert (sources / "model_signals.c").is_file() and (sources / "tn_signals.h").is_file()
    declared = json.loads((run / "generated" / "host" / "model.json").read_text())["signals"]
    assert declared == Bundle.read(run / "model.bundle").signals


def test_nothing_is_done_twice(place):
    outcome = thumbnet("run", place / "filtered.toml", "--output", place / "run")
    assert outcome.code == 0, outcome.err
    stages = [line for line in outcome.err.splitlines() if line]
    assert stages and all(line.endswith("up to date") for line in stages)
