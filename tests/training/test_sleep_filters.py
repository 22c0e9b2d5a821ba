"""Filters of a recipe: what they do, that they are causal and run through the whole recording, and where they are told.

That the same steps in integers give the same signals is the business of tests/host_tools/test_device_signals.py.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from edf_files import four_channels, noise, write_edf, write_pair
from scipy import signal
from thumbnet.training.errors import ConfigError
from thumbnet.training.sleep.cached import cached_folder
from thumbnet.training.sleep.config import SignalConfig
from thumbnet.training.sleep.filters import ChannelFilters, apply_steps, design_steps
from thumbnet.training.sleep.recording import read_converter_signals, read_recording

FILTERS = {"EEG": {"highpass": 0.5, "lowpass": 30}, "EMG": {"highpass": 10, "notch": 25, "envelope": 4.0, "order": 3}}
NIGHT = [0, 0, 1, 2, 2, 3, 4, 0]


def configured(**settings) -> SignalConfig:
    return SignalConfig.from_table({"emg": "raw", **settings})


def gain_at(frequency: float, **settings) -> float:
    """Largest output for a sine of amplitude 1 at 100 Hz, once the start is over."""
    steps = design_steps(ChannelFilters(**settings), 100, 100)
    wave = np.sin(2 * np.pi * frequency * np.arange(4000) / 100)
    return float(np.abs(apply_steps(steps, wave)[3000:]).max())


@pytest.mark.parametrize(
    ("settings", "kept", "removed"),
    [({"highpass": 1.0}, 10, 0.05), ({"lowpass": 20.0}, 5, 45), ({"notch": (30.0,)}, 25, 30)],
    ids=lambda value: str(value),
)
def test_each_filter_keeps_and_removes(settings, kept, removed):
    assert gain_at(kept, **settings) == pytest.approx(1, abs=0.06)
    assert gain_at(removed, **settings) < 0.05


def test_an_envelope_is_the_smoothed_magnitude():
    steps = design_steps(ChannelFilters(envelope=2.0), 100, 100)
    wave = 3 * np.sin(2 * np.pi * 30 * np.arange(4000) / 100)
    assert apply_steps(steps, wave)[2000:] == pytest.approx(np.abs(wave).mean(), rel=0.02)


def test_epochs_are_cut_from_a_signal_filtered_as_a_whole(tmp_path):
    """As SciPy filters the recording from its start; the state is not reset at an epoch."""
    epochs = read_recording(*write_pair(tmp_path, NIGHT), configured(filters=FILTERS))
    bare = read_recording(*write_pair(tmp_path, NIGHT), configured())
    eeg, eog, emg = (bare.signals[:, row].reshape(-1).astype(float) for row in (0, 2, 3))
    expected = signal.sosfilt(signal.butter(2, 0.5, "highpass", fs=100, output="sos"), eeg)
    expected = signal.sosfilt(signal.butter(2, 30, fs=100, output="sos"), expected)
    np.testing.assert_allclose(epochs.signals[:, 0].reshape(-1), expected, atol=1e-4)
    np.testing.assert_array_equal(epochs.signals[:, 2].reshape(-1), eog.astype(np.float32))
    expected = signal.sosfilt(signal.butter(3, 10, "highpass", fs=100, output="sos"), emg)
    expected = np.abs(signal.lfilter(*signal.iirnotch(25, 30, fs=100), expected))
    expected = signal.sosfilt(signal.butter(3, 4, fs=100, output="sos"), expected)
    np.testing.assert_allclose(epochs.signals[:, 3].reshape(-1), expected, atol=1e-4)
    assert "EEG Fpz-Cz: high-pass 0.5 Hz, low-pass 30 Hz, order 2, causal, at 100 Hz" in epochs.notes


@pytest.mark.parametrize("rate", [200, 250, 50, 128])
def test_the_device_resamples_causally_where_its_converter_has_another_rate(tmp_path, rate):
    time = np.arange(90 * rate) / rate
    write_edf(tmp_path / "a.edf", {"C3": (50 * np.sin(2 * np.pi * 3 * time), rate, "uV")})
    config = SignalConfig.from_table({"channels": {"EEG": "C3"}, "converter": {"rate": float(rate)}})
    epochs = read_recording(tmp_path / "a.edf", None, config, scored=False)
    found = epochs.signals.reshape(-1)[1000:].astype(float)
    delay = 5 / min(rate, 100)
    expected = 50 * np.sin(2 * np.pi * 3 * (np.arange(len(epochs) * 3000)[1000:] / 100 - delay))
    assert np.abs(found - expected).max() < 0.6
    assert f"EEG: resampled from {rate} to 100 Hz (causal)" in epochs.notes


def test_no_sample_depends_on_a_later_one(tmp_path):
    """A recording cut short gives the same epochs as far as it goes."""
    config = configured(filters=FILTERS, converter={"rate": 200.0})
    kept = []
    for seconds in (90, 60):
        channels = {
            name: (noise(90, 200, seed=i)[: seconds * 200], 200, "uV") for i, name in enumerate(four_channels(1))
        }
        for data, _, _ in channels.values():
            data[:2] = (-200, 200)  # one range in both files
        write_edf(tmp_path / f"{seconds}.edf", channels)
        kept.append(read_recording(tmp_path / f"{seconds}.edf", None, config, scored=False).signals[:2])
    np.testing.assert_array_equal(*kept)


def test_what_the_converter_sees_is_not_filtered(tmp_path):
    psg, _ = write_pair(tmp_path, NIGHT, emg_rate=1)
    config = configured(filters={"EEG": {"lowpass": 30}}, emg="envelope")
    bare = read_recording(psg, None, configured(emg="envelope"), scored=False)
    seen = read_converter_signals(psg, config)
    np.testing.assert_allclose(seen[:, : 8 * 3000], bare.signals.transpose(1, 0, 2).reshape(4, -1), atol=1e-4)


def test_the_cache_tells_filters_apart_and_its_manifest_names_them(tmp_path):
    write_pair(tmp_path, NIGHT)
    sets = [cached_folder(tmp_path, c, tmp_path / "cache") for c in (configured(), configured(filters=FILTERS))]
    first, second = (json.loads(found.manifest.read_text())["settings"] for found in sets)
    assert first["reader"]["filters"] == {} and not any(step["step"] == "filter" for step in first["steps"])
    assert second["reader"]["filters"]["EMG"] == {"highpass": 10.0, "notch": [25.0], "envelope": 4.0, "order": 3}
    assert [step["channel"] for step in second["steps"] if step["step"] == "filter"] == [
        "EEG Fpz-Cz", "EEG Pz-Oz", "EMG",
    ]  # fmt: skip
    assert not np.array_equal(sets[0].epochs().signals[np.arange(2)], sets[1].epochs().signals[np.arange(2)])


def test_a_role_goes_before_its_kind_and_a_bundle_s_step_reads_back():
    config = configured(
        filters={"EEG": {"lowpass": 30}, "EEG Pz-Oz": {"lowpass": 20}},
        converter={"bits": 12, "microvolts_per_count": {"EEG": 0.1, "EOG": 0.2, "EMG": 0.05}, "rate": 200},
    )
    assert config.device_steps("EEG Fpz-Cz") != config.device_steps("EEG Pz-Oz")
    assert config.device_converter.microvolts_of("EOG") == 0.2
    step = {key: value for key, value in json.loads(json.dumps(config.steps()[0])).items() if key != "step"}
    again = SignalConfig.from_table(step)
    assert (again.filters, again.converter) == (config.filters, config.converter)


def test_without_filters_nothing_is_declared():
    config = configured()
    assert config.device_converter is None and all(config.device_steps(role) == [] for role in config.channels)
    assert [step["step"] for step in config.steps()] == ["read", "hold", "resample", "epoch"]
    assert set(config.steps()[0]) == {"step", "channels", "rate", "emg", "epoch_seconds"}


@pytest.mark.parametrize(
    ("table", "key", "allowed", "got"),
    [
        ({"filters": 3}, "signals.filters", "a table", "3"),
        ({"filters": {"ECG": {"lowpass": 3}}}, "signals.filters.ECG", "'EEG', 'EOG', 'EMG'", "'ECG'"),
        ({"filters": {"EEG": 3}}, "signals.filters.EEG", "a table", "3"),
        ({"filters": {"EEG": {"order": 2}}}, "signals.filters.EEG", "highpass", "{'order': 2}"),
        ({"filters": {"EEG": {"lowpass": "x"}}}, "signals.filters.EEG.lowpass", "positive number of Hz", "'x'"),
        ({"filters": {"EEG": {"lowpass": True}}}, "signals.filters.EEG.lowpass", "positive number of Hz", "True"),
        ({"filters": {"EEG": {"lowpass": 50}}}, "signals.filters.EEG.lowpass", "below 50 Hz", "50"),
        ({"filters": {"EEG": {"highpass": 0.001}}}, "signals.filters.EEG.highpass", "at least 0.01 Hz", "0.001"),
        ({"filters": {"EEG": {"notch": [20, 60]}}}, "signals.filters.EEG.notch", "below 50 Hz", "60"),
        ({"filters": {"EEG": {"highpass": 30, "lowpass": 20}}}, "signals.filters.EEG.highpass", "below lowpass", "30"),
        ({"filters": {"EEG": {"lowpass": 3, "order": 9}}}, "signals.filters.EEG.order", "1 to 8", "9"),
        ({"filters": {"EEG": {"lowpass": 3, "order": 2.0}}}, "signals.filters.EEG.order", "whole number", "2.0"),
        ({"converter": 3}, "signals.converter", "a table", "3"),
        ({"converter": {"bits": 1}}, "signals.converter.bits", "2 to 24", "1"),
        ({"converter": {"rate": 0}}, "signals.converter.rate", "positive number", "0"),
        ({"converter": {"rate": 99.99}}, "signals.converter.rate", "up to 1024", "9999 to 10000"),
        ({"converter": {"microvolts_per_count": -1}}, "signals.converter.microvolts_per_count", "positive", "-1"),
        ({"converter": {"microvolts_per_count": {"EEG": 1}}}, "microvolts_per_count", "every channel", "none for"),
        ({"converter": {"microvolts_per_count": {"ECG": 1}}}, "microvolts_per_count.ECG", "'EEG'", "'ECG'"),
    ],
)  # fmt: skip
def test_a_mistake_names_key_allowed_and_got(table, key, allowed, got):
    with pytest.raises(ConfigError) as caught:
        configured(**table)
    assert key in str(caught.value) and allowed in str(caught.value) and f"got {got}" in str(caught.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [({"filters": {"EEG": {"lowpas": 3}}}, "signals.filters.EEG.lowpas is no setting"),
     ({"converter": {"bit": 3}}, "signals.converter.bit is no setting; the settings are")],
)  # fmt: skip
def test_an_unknown_key_is_named(table, words):
    with pytest.raises(ConfigError, match=words):
        configured(**table)
