"""Preprocessing that travels in a bundle: parity, generate and boards, recordings as the bundle reads them."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from support.command import thumbnet
from support.tflite_builder import ModelBuilder
from thumbnet.codegen.signals import SignalPlan, design, run_values
from thumbnet.quantize.bundle import Bundle
from thumbnet.quantize.scaling import ChannelScaling
from thumbnet.quantize.signals import declare_signals, to_counts
from thumbnet.training.sleep.config import SignalConfig
from thumbnet.training.sleep.filters import apply_steps
from thumbnet.training.sleep.recording import read_converter_signals, read_recording
from thumbnet.training.sleep.stages import STAGES

FILTERS = {
    "EEG": {"highpass": 0.3, "lowpass": 20.0},
    "EOG": {"highpass": 0.3, "lowpass": 12.0},
    "EMG": {"highpass": 10.0, "notch": [20.0], "envelope": 4.0},
}
RECORDED = {
    "channels": {"EEG": "C3-A1", "EOG": "EOG1-A1", "EMG": "EMG1"},
    "emg": "raw",
    "unit": "uV",
    "filters": FILTERS,
    "converter": {"bits": 16, "rate": 50, "microvolts_per_count": {"EEG": 0.02, "EOG": 0.02, "EMG": 0.01}},
}
SCALING = ChannelScaling(("EEG", "EOG", "EMG"), (90.0, 150.0, 12.0))


def network(channels: int = 3, samples: int = 3000) -> bytes:
    """A convolution over all channels, then the mean of each feature."""
    builder, rng = ModelBuilder(), np.random.default_rng(1)
    x = builder.tensor((1, channels, samples, 1), scale=1 / 127, name="signals")
    y = builder.tensor((1, channels, samples, 4), scale=0.05, zero_point=-128, name="features")
    z = builder.tensor((1, 5), scale=0.05, zero_point=-128, name="stages")
    weights = builder.tensor((4, 1, 3, 1), scale=[0.01] * 4, data=rng.integers(-127, 128, (4, 1, 3, 1)), name="w")
    bias = builder.tensor((4,), "int32", scale=[0.01 / 127] * 4, data=np.zeros(4), name="b")
    means = builder.tensor((1, 4), scale=0.05, zero_point=-128, name="means")
    dense = builder.tensor((5, 4), scale=0.01, data=rng.integers(-127, 128, (5, 4)), name="d")
    zeros = builder.tensor((5,), "int32", scale=0.0005, data=np.zeros(5), name="e")
    builder.operator("CONV_2D", [x, weights, bias], [y], activation="RELU", stride_h=1, stride_w=1, padding="SAME")
    builder.operator("MEAN", [y, builder.constant([1, 2])], [means], keep_dims=False)
    builder.operator("FULLY_CONNECTED", [means, dense, zeros], [z])
    return builder.build([x], [z])


def make_bundle(path, table=RECORDED, scaling=SCALING):
    config = SignalConfig.from_table(table)
    Bundle.create(
        network(len(scaling.channels)),
        scaling=scaling,
        rate=config.rate,
        channel_kinds=["eeg", "eog", "emg raw"],
        preprocessing=config.steps(),
        labels=STAGES,
        calibration={"windows": 8},
        training={"protocol": "none, a toy"},
        licences=["Apache-2.0"],
        versions={},
        signals=declare_signals(config, scaling),
    ).write(path)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "model.bundle")


@pytest.fixture
def excerpt(shared_dir):
    path = shared_dir / "data" / "sleep" / "dreams-spindles" / "excerpt3.edf"
    if not path.is_file():
        pytest.skip("the DREAMS recording is absent")
    return path


def test_parity_of_a_bundle_with_its_own_preprocessing(bundle):
    outcome = thumbnet(
        "parity", bundle, "--signals", "bundle", "--board", "host", "--windows", "4", "--layers", "--json"
    )
    assert outcome.code == 0, outcome.err
    assert outcome.json["mismatches"] == 0 and outcome.json["first_diverging_layer"] is None
    assert outcome.json["schedule"] == "stream"
    assert [row["name"] for row in outcome.json["signals"]["channels"]] == ["EEG", "EOG", "EMG"]


def test_profile_of_a_bundle_with_its_own_preprocessing(bundle):
    alone, behind = (
        thumbnet("profile", bundle, "--board", "host", "--schedule", "stream", *more, "--json").json
        for more in ([], ["--signals", "bundle"])
    )
    assert (alone["signals"], behind["signals"]) == (False, True)
    assert behind["state_bytes"] > alone["state_bytes"] and behind["code_bytes"] > alone["code_bytes"]
    assert [layer["op"] for layer in behind["layers"]] == [*(layer["op"] for layer in alone["layers"]), "SIGNALS"]
    assert behind["macs"] == alone["macs"]


def test_without_a_declaration_parity_says_so(tmp_path):
    plain = make_bundle(tmp_path / "plain.bundle", {**RECORDED, "filters": {}, "converter": {}})
    assert Bundle.read(plain).signals is not None
    bare = make_bundle(
        tmp_path / "bare.bundle", {k: v for k, v in RECORDED.items() if k not in ("filters", "converter")}
    )
    outcome = thumbnet("parity", bare, "--signals", "bundle", "--board", "host")
    assert outcome.code == 2 and "carries no declaration of its preprocessing" in outcome.sentence


def test_training_s_float_reference_is_the_host_s(bundle, excerpt):
    """Epochs of the reader, and the declared steps over converter samples of endless resolution."""
    config, declared = SignalConfig.from_table(RECORDED), Bundle.read(bundle).signals
    epochs = read_recording(excerpt, None, config, scored=False)
    seen = read_converter_signals(excerpt, config)
    for row, channel in enumerate(declared["channels"]):
        trained = epochs.signals[:, row].reshape(-1)
        np.testing.assert_array_equal(trained, apply_steps(channel["steps"], seen[row]).astype(np.float32))
        # The recording has steps of 0.01 uV; the converter's are no coarser than 0.02.
        counts = to_counts(declared, seen)[row] * channel["microvolts_per_count"]
        assert np.abs(apply_steps(channel["steps"], counts) - trained).max() < 0.1


def test_integers_follow_floating_point_through_half_an_hour(bundle, excerpt):
    """Without a reset: neither the high-pass at 0.3 Hz nor the envelope drifts."""
    declared = Bundle.read(bundle).signals
    plan = SignalPlan.from_dict(declared)
    counts = to_counts(declared, read_converter_signals(excerpt, SignalConfig.from_table(RECORDED)))
    constants = design(plan)
    values = run_values(constants, counts) / 2.0**constants.point
    for row, channel in enumerate(declared["channels"]):
        exact = apply_steps(channel["steps"], counts[row])
        assert values.shape[1] == len(exact) == 180_000
        assert np.abs(values[row] - exact).max() * channel["microvolts_per_count"] < 0.001


@pytest.mark.parametrize("app", ["--app", "--no-app"])
def test_generate_writes_the_preprocessing_beside_the_model(bundle, tmp_path, app):
    schedule = "whole" if app == "--no-app" else "stream-w"
    outcome = thumbnet(
        *("generate", bundle, "--signals", "bundle", "--target", "host", "--prefix", "net"),
        *("--schedule", schedule, app, "--output", tmp_path, "--json"),
    )
    assert outcome.code == 0, outcome.err
    sources = tmp_path / "src"
    assert ("src/tn_app_model.h" in outcome.json["files"]) == (app == "--app")
    if app == "--app":
        assert "net_signals_push" in (sources / "tn_app_model.h").read_text()
    assert "50 times a second" in (sources / "net_signals.h").read_text()
    assert json.loads((tmp_path / "net.json").read_text())["signals"] == Bundle.read(bundle).signals
    for source in sources.glob("*.c"):
        words = ["cc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-c"]
        subprocess.run([*words, str(source), "-o", str(tmp_path / "o.o")], check=True, cwd=sources)


def test_generate_takes_a_declaration_from_a_file(bundle, tmp_path):
    signals = tmp_path / "signals.json"
    signals.write_text(json.dumps({**Bundle.read(bundle).signals, "bits": 12}))
    outcome = thumbnet("generate", bundle, "--signals", signals, "--target", "cortex-m4", "--output", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert "SIGNALS_BITS 12" in (tmp_path / "out" / "src" / "model_signals.h").read_text()
    # Behind its preprocessing the model streams, whatever was not asked for.
    assert "schedule stream" in outcome.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--engine", "tflm"], "--signals is about the engine aot, got engine tflm"),
        (["--schedule", "stream-h"], "3 channels are declared, a slice of the model's input holds 3000 codes"),
    ],
)
def test_generate_refuses_what_does_not_fit(bundle, tmp_path, options, words):
    outcome = thumbnet("generate", bundle, "--signals", "bundle", "--output", tmp_path / "out", *options)
    assert outcome.code == 2 and words in outcome.sentence
    assert not (tmp_path / "out").exists()


def test_a_declaration_of_other_channels_is_refused_without_the_application_too(bundle, tmp_path):
    content = Bundle.read(bundle).signals
    plan = SignalPlan.from_dict({**content, "channels": content["channels"] * 3})
    (tmp_path / "signals.json").write_text(json.dumps(plan.to_dict() | {"channels": plan.to_dict()["channels"][:7]}))
    outcome = thumbnet(
        *("generate", bundle, "--signals", tmp_path / "signals.json", "--no-app", "--output", tmp_path / "out")
    )
    assert outcome.code == 2 and "7 channels are declared, the model's input has shape" in outcome.sentence


@pytest.mark.slow
@pytest.mark.qemu
def test_recorded_eeg_eog_and_emg_on_a_board(bundle, excerpt, capsys):
    """Half an hour of a polysomnogram: filters, envelope and resampling from 50 to 100 Hz on an emulated Cortex-M4."""
    outcome = thumbnet(
        *("parity", bundle, "--signals", "bundle", "--board", "qemu_m4", "--recording", excerpt, "--layers", "--json"),
        timeout=900,
    )
    assert outcome.code == 0, outcome.err
    found = outcome.json
    assert found["windows"] == 60 and found["mismatches"] == 0 and found["first_diverging_layer"] is None
    rows = found["signals"]["channels"]
    assert max(row["float_difference_max_uv"] for row in rows) < 0.001
    with capsys.disabled():
        told = ", ".join(f"{row['name']} {row['float_difference_max_uv']:.2g} uV" for row in rows)
        print(f"\nqemu_m4: 0 of {found['bytes']} bytes differ over 60 windows; largest difference to float: {told}")
