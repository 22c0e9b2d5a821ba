"""The bundle: equal contents are equal bytes, what was written is read, and damage is told in one sentence."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thumbnet.codegen.signals import SignalPlan
from thumbnet.quantize.bundle import MANIFEST, MODEL, Bundle
from thumbnet.quantize.errors import BundleError
from thumbnet.quantize.scaling import ChannelScaling
from thumbnet.quantize.signals import check_signals, declare_signals, declare_window, to_counts
from thumbnet.training.sleep.config import SignalConfig

ROOT = Path(__file__).resolve().parents[2]
TFLITE = b"\x1c\0\0\0TFL3" + bytes(range(256))
SCALING = ChannelScaling(("EEG", "EMG"), (181.3, 12.07))


def bundle(**changes) -> Bundle:
    arguments = {
        "scaling": SCALING,
        "rate": 100.0,
        "channel_kinds": ["eeg", "emg raw"],
        "preprocessing": [{"step": "read", "rate": 100.0}, {"step": "scale-and-clip"}],
        "labels": ["W", "N1", "N2", "N3", "REM"],
        "calibration": {"windows": 300, "subjects": 8, "method": "clip at the 99.5 percentile"},
        "training": {"protocol": "subject-wise", "accuracy": 0.85},
        "licences": ["Apache-2.0"],
        "versions": {"thumbnet": "0.1.0"},
    }
    return Bundle.create(TFLITE, **{**arguments, **changes})


def archive(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return buffer.getvalue()


def altered(**changes) -> bytes:
    """Return an archive whose manifest differs; None removes a key."""
    manifest = {**bundle().manifest, **changes}
    kept = {key: value for key, value in manifest.items() if value is not None}
    return archive({MANIFEST: json.dumps(kept).encode(), MODEL: TFLITE})


def channel(**changes) -> list[dict]:
    first, second = bundle().manifest["channels"]
    return [{**first, **changes}, second]


def test_equal_bundles_are_equal_bytes():
    assert bundle().to_bytes() == bundle().to_bytes()
    assert bundle(versions={"b": "2", "a": "1"}).to_bytes() == bundle(versions={"a": "1", "b": "2"}).to_bytes()
    assert bundle().to_bytes() != bundle(rate=128.0).to_bytes()


def test_what_was_written_is_read(tmp_path):
    bundle().write(tmp_path / "model.bundle")
    found = Bundle.read(tmp_path / "model.bundle")
    assert found == bundle()
    assert (found.tflite, found.scaling, found.rate) == (TFLITE, SCALING, 100.0)
    assert (found.channels, found.labels) == (("EEG", "EMG"), ("W", "N1", "N2", "N3", "REM"))
    signals = np.random.default_rng(0).normal(0, 50, (2, 2, 8))
    assert np.array_equal(found.scale(signals), SCALING.apply(signals))
    assert found.to_bytes() == (tmp_path / "model.bundle").read_bytes()


def test_any_zip_tool_reads_it_and_may_pack_it_anew(tmp_path):
    data = bundle().to_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as content:
        assert content.namelist() == [MANIFEST, MODEL]
        files = {name: content.read(name) for name in content.namelist()}
    assert Bundle.from_bytes(archive(files, zipfile.ZIP_DEFLATED)) == bundle()


def test_no_tensorflow_is_imported():
    code = (
        "import sys\n"
        "from thumbnet.quantize.bundle import Bundle\n"
        "heavy = {'tensorflow', 'tf_keras', 'ai_edge_litert', 'sklearn', 'matplotlib', 'mne'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is not a readable bundle"),
        (b"no zip archive at all", "is not a readable bundle"),
        (bundle().to_bytes()[:-40], "is not a readable bundle"),
        (archive({MODEL: TFLITE}), "holds no manifest.json"),
        (archive({MANIFEST: b"{", MODEL: TFLITE}), "manifest.json is not JSON"),
        (archive({MANIFEST: b"\xff\xfe", MODEL: TFLITE}), "manifest.json is not JSON"),
        (archive({MANIFEST: b"[1]", MODEL: TFLITE}), "must hold one JSON object, got list"),
        (archive({MANIFEST: json.dumps(bundle().manifest).encode()}), "lacks the file 'model.tflite'"),
        (bundle().to_bytes().replace(TFLITE, TFLITE[::-1]), "is not a readable bundle.*CRC"),
        (
            archive({MANIFEST: json.dumps(bundle().manifest).encode(), MODEL: b"x"}),
            "has SHA-256 .*, the manifest",
        ),
        (archive({MANIFEST: b"{}", MODEL: b""}, zipfile.ZIP_BZIP2), "compressed by method 12; allowed are"),
        (altered(schema_version=2), "has schema version 2; this thumbnet reads 1"),
        (altered(schema_version=None), "has schema version None"),
        (altered(schema_version=True), "schema_version must be int, got True"),
        (altered(kind="weather"), "is of the kind 'weather'; allowed are"),
        (altered(labels=None), "lacks 'labels'"),
        (altered(labels=[]), "needs at least one channel and one label"),
        (altered(labels=[1]), "labels must be a list of strings"),
        (altered(channels=[]), "needs at least one channel"),
        (altered(models=[]), "composes 0 models"),
        (altered(composition="cascade"), "composes 1 models as 'cascade'"),
        (altered(channels=["EEG"]), "channel must be a JSON object"),
        (altered(channels=channel(unit="mV")), "channel 'EEG' has the unit 'mV'"),
        (altered(channels=channel(rate=0)), "rate of channel 'EEG' must be positive, got 0"),
        (
            altered(channels=channel(clip_uv=float("nan"))),
            "clip_uv of channel 'EEG' must be positive, got nan",
        ),
        (altered(channels=channel(gain=1.0)), "gain and clip_uv of channel 'EEG' must multiply to 1"),
        (altered(channels=channel(gain=10**400)), "bundle"),
        (altered(preprocessing=[{}]), "preprocessing step lacks 'step'"),
    ],
)
def test_damage_is_told_in_one_sentence(data, sentence, tmp_path):
    (tmp_path / "bad.bundle").write_bytes(data)
    with pytest.raises(BundleError, match=sentence) as caught:
        Bundle.read(tmp_path / "bad.bundle")
    assert str(tmp_path / "bad.bundle") in str(caught.value) and "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bytes_never_pass_for_another_bundle(data):
    packed = st.sampled_from([bundle().to_bytes(), archive(bundle_files(), zipfile.ZIP_DEFLATED)])
    damaged = bytearray(data.draw(packed))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = Bundle.from_bytes(bytes(damaged))
    except BundleError:
        return
    assert found == bundle()


def bundle_files() -> dict[str, bytes]:
    return {MANIFEST: json.dumps(bundle().manifest).encode(), MODEL: TFLITE}


def test_a_missing_file_and_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(BundleError, match="does not exist"):
        Bundle.read(tmp_path / "none.bundle")
    with pytest.raises(BundleError, match="cannot be written"):
        bundle().write(tmp_path / "none" / "model.bundle")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"channel_kinds": ["eeg"]}, "2 channels need as many kinds"),
        ({"rate": 0.0}, "rate of channel 'EEG' must be positive"),
        ({"labels": []}, "needs at least one channel and one label"),
        ({"kind": "weather"}, "is of the kind 'weather'"),
    ],
)
def test_values_that_are_refused(changes, sentence):
    with pytest.raises(BundleError, match=sentence):
        bundle(**changes)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}])
def test_only_json_goes_into_a_manifest(value):
    with pytest.raises(BundleError, match="must hold finite JSON values"):
        bundle(training={"accuracy": value}).to_bytes()


def test_every_key_is_documented():
    page = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    manifest = bundle().manifest
    for key in (*manifest, *manifest["channels"][0], *manifest["models"][0]):
        assert f"`{key}`" in page, key


# --- preprocessing on the device ----------------------------------------------------------------------------


def declared(**changes) -> dict:
    config = SignalConfig.from_table({
        "channels": {"EEG": "C3", "EMG": "EMG1"},
        "emg": "raw",
        "filters": {"EEG": {"highpass": 0.3}, "EMG": {"envelope": 4}},
        "converter": {"bits": 12, "microvolts_per_count": {"EEG": 0.1, "EMG": 0.02}, "rate": 200},
    })  # fmt: skip
    return {**declare_signals(config, SCALING), **changes}


def test_the_declaration_ends_in_the_codes_of_the_scaling_and_reads_back():
    made = bundle(signals=declared())
    read = Bundle.from_bytes(made.to_bytes())
    assert read.signals == json.loads(json.dumps(made.signals)) and bundle().signals is None
    assert (read.signals["bits"], read.signals["rate"]) == (12, 200.0)
    rows = read.signals["channels"]
    assert [row["microvolts_per_code"] for row in rows] == [181.3 / 127, 12.07 / 127]
    assert [row["microvolts_per_count"] for row in rows] == [0.1, 0.02]
    assert [[step["step"] for step in row["steps"]] for row in rows] == [
        ["biquads", "resample"],
        ["rectify", "biquads", "resample"],
    ]
    plan = SignalPlan.from_dict(read.signals)
    assert plan.ratio == (1, 2) and plan.rate == 200 and plan.to_dict() == read.signals


def test_without_filters_and_converter_nothing_is_declared():
    assert declare_signals(SignalConfig(emg="raw"), SCALING) is None


def test_the_converter_rounds_and_clips():
    counts = to_counts(declared(), np.array([[0.14, -0.16, 1e6], [0.03, -1e6, 0.0]]))
    assert counts.tolist() == [[1, -2, 2047], [2, -2048, 0]] and counts.dtype == np.int32


@pytest.mark.parametrize(
    ("signals", "words"),
    [
        (3, "signals must be a JSON object, got 3"),
        (declared(bits=1.5), "signals: bits must be int, got 1.5"),
        (declared(rate=-1), "signals: rate must be positive, got -1"),
        (declared(channels=[]), r"must name the channels \['EEG', 'EMG'\] in this order, got \[\]"),
        (declared(channels=declared()["channels"][::-1]), r"got \['EMG', 'EEG'\]"),
        (declared(channels=[{"name": "EEG"}, {"name": "EMG"}]), "of channel 'EEG': microvolts_per_count must be int"),
        (
            declared(channels=[{**row, "steps": [{"step": "median"}]} for row in declared()["channels"]]),
            "of channel 'EEG': step must be one of .*, got 'median'",
        ),
        (
            declared(channels=[{**row, "steps": [{"step": "biquads"}]} for row in declared()["channels"]]),
            "step 'biquads': sections must be list or int, got None",
        ),
    ],
)
def test_a_malformed_declaration_is_refused(signals, words):
    with pytest.raises(BundleError, match=words):
        Bundle.from_bytes(altered(signals=signals))


@pytest.mark.parametrize(
    ("normalise", "words"),
    [
        (None, "signals: normalise must be a JSON object, got None"),
        ({"scale": 0, "zero_point": 0}, "normalise: scale must be positive, got 0"),
        ({"scale": 0.1}, "normalise: zero_point must be int, got None"),
        ({"scale": 0.1, "zero_point": 0, "low": "a"}, "normalise: low must be int or float, got 'a'"),
    ],
)
def test_normalised_windows_say_how(normalise, words):
    signals = declare_window("PPG", 16, 125.0, [])
    check_signals(signals, ["PPG"], "x", normalised=True)
    with pytest.raises(BundleError, match=words):
        check_signals({**signals, "normalise": normalise}, ["PPG"], "x", normalised=True)
    without = {key: value for key, value in signals.items() if key != "normalise"}
    check_signals(without, ["PPG"], "x")
    with pytest.raises(BundleError, match="normalise must be a JSON object"):
        check_signals(without, ["PPG"], "x", normalised=True)
