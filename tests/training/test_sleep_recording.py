"""The reader: what it makes of channels, rates and units, and what it refuses, in one sentence each."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest
from edf_files import START, four_channels, noise, spoil_field, spoil_header, write_edf, write_pair
from hypothesis import given, settings
from hypothesis import strategies as st
from thumbnet.training.errors import (
    ChannelError,
    ConfigError,
    HypnogramError,
    RecordingError,
    TrainingError,
)
from thumbnet.training.sleep.config import SignalConfig
from thumbnet.training.sleep.hypnogram import write_annotated_stages
from thumbnet.training.sleep.recording import envelope, hold, read_recording
from thumbnet.training.sleep.stages import DROPPED

RAW = SignalConfig(emg="raw")
ENVELOPE = SignalConfig(emg="envelope")
NIGHT = [0] * 4 + [1, 2, 3, DROPPED, 4, 0]


def one_channel(**settings) -> SignalConfig:
    return SignalConfig(channels={"EEG": ("C3",)}, **settings)


def test_a_pair_gives_microvolts_labels_and_onsets(tmp_path):
    epochs = read_recording(*write_pair(tmp_path, NIGHT), RAW, subject="S")
    assert epochs.signals.shape == (9, 4, 3000) and epochs.signals.dtype == np.float32
    assert epochs.labels.tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 0] and epochs.labels.dtype == np.int64
    assert epochs.onsets.tolist() == [0, 30, 60, 90, 120, 150, 180, 240, 270]
    assert epochs.channels == ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG", "EMG")
    assert set(epochs.subjects) == {"S"} and set(epochs.recordings) == {"SC4001E0-PSG"}
    written = noise(300, seed=2).reshape(10, 3000)[[0, 1, 2, 3, 4, 5, 6, 8, 9]]
    step = 2 * np.abs(written).max() / 65535
    assert np.abs(epochs.signals[:, 2] - written).max() < 2 * step


@pytest.mark.parametrize("record_seconds", [1, 30, 60, 7.5])
def test_data_records_of_any_length(tmp_path, record_seconds):
    epochs = read_recording(*write_pair(tmp_path, NIGHT, record_seconds=record_seconds), RAW)
    assert len(epochs) == 9
    assert np.abs(epochs.signals[0, 0] - noise(300)[:3000]).max() < 0.01


def test_wake_far_from_sleep_is_left_out(tmp_path):
    labels = [0] * 100 + [2] * 5 + [0] * 90
    epochs = read_recording(*write_pair(tmp_path, labels), RAW)
    assert len(epochs) == 60 + 5 + 60
    assert epochs.onsets[0] == 40 * 30
    assert "70 wake far from sleep" in epochs.notes[-1]


def test_slow_channels_are_held_and_never_look_ahead(tmp_path):
    """Each output sample is exactly the latest input sample; MNE would interpolate towards the next one."""
    epochs = read_recording(*write_pair(tmp_path, NIGHT, emg_rate=1), ENVELOPE)
    held = epochs.signals[:, 3].reshape(9, 30, 100)
    assert (held == held[:, :, :1]).all()
    written = noise(300, 1, seed=3).reshape(10, 30)[[0, 1, 2, 3, 4, 5, 6, 8, 9]]
    assert np.abs(held[:, :, 0] - written).max() < 0.01
    assert "EMG: 1 Hz held causally at 100 Hz" in epochs.notes


def test_hold_at_rates_that_do_not_divide():
    signal = np.arange(7.0)
    held = hold(signal, Fraction(7, 2), Fraction(10))
    assert held.tolist() == [int(n * 0.35) for n in range(20)]


def test_fast_channels_beside_slow_ones_stay_as_they_are(tmp_path):
    mixed = read_recording(*write_pair(tmp_path, NIGHT, emg_rate=1), ENVELOPE)
    alone = read_recording(*write_pair(tmp_path, NIGHT), RAW)
    assert np.array_equal(mixed.signals[:, :3], alone.signals[:, :3])


def test_a_raw_emg_becomes_an_envelope_of_the_past(tmp_path):
    epochs = read_recording(*write_pair(tmp_path, NIGHT), ENVELOPE)
    emg = noise(300, seed=3).reshape(300, 100)
    expected = emg.std(axis=1)
    second = epochs.signals[:4, 3].reshape(120, 100)
    assert (second == second[:, :1]).all()
    assert np.abs(second[1:, 0] - expected[:119]).max() < 0.01
    assert "EMG: envelope made of a raw signal" in epochs.notes


def test_an_envelope_leaves_no_trace_of_the_future():
    signal = np.zeros(1050)
    signal[500:] = noise(6, scale=50)[:550]
    assert (envelope(signal, 100)[:6] == 0).all()
    assert (envelope(signal, 100)[6:] > 30).all()
    assert len(envelope(signal, 100)) == 10


def test_an_envelope_is_not_a_raw_emg(tmp_path):
    with pytest.raises(ChannelError, match=r"must be a raw EMG as signals\.emg says, got an envelope at 1 Hz"):
        read_recording(*write_pair(tmp_path, NIGHT, emg_rate=1), RAW)


@pytest.mark.parametrize("rate", [50, 128, 200, 256])
def test_other_rates_are_resampled(tmp_path, rate):
    time = np.arange(90 * rate) / rate
    path = write_edf(tmp_path / "a.edf", {"C3": (50 * np.sin(2 * np.pi * 7 * time), rate, "uV")})
    epochs = read_recording(path, config=one_channel(), scored=False)
    expected = 50 * np.sin(2 * np.pi * 7 * np.arange(9000) / 100).reshape(3, 1, 3000)
    assert np.abs(epochs.signals - expected)[1].max() < 0.5
    assert f"resampled from {rate} to 100 Hz" in epochs.notes[0]


@pytest.mark.parametrize(
    ("unit", "override", "factor"),
    [
        ("uV", None, 1),
        ("mV", None, 1e3),
        ("V", None, 1e6),
        ("nV", None, 1e-3),
        ("", "uV", 1),
        ("UV", "mV", 1e3),
    ],
)
def test_units(tmp_path, unit, override, factor):
    path = write_edf(tmp_path / "a.edf", {"C3": (noise(60), 100, unit)})
    epochs = read_recording(path, config=one_channel(unit=override), scored=False)
    assert np.abs(epochs.signals[:, 0].ravel() / factor - noise(60)).max() < 0.01


def test_a_unit_that_is_no_voltage_must_be_declared(tmp_path):
    path = write_edf(tmp_path / "a.edf", {"C3": (noise(60), 100, "UV")})
    with pytest.raises(ChannelError, match=r"or have signals\.unit set, got unit 'UV'"):
        read_recording(path, config=one_channel(), scored=False)


def test_alternative_names_and_differences(tmp_path):
    path = write_edf(tmp_path / "a.edf", {"E1": (noise(60), 100, "uV"), "E2": (noise(60, seed=1), 100, "uV")})
    config = SignalConfig(channels={"EOG": ("EOG horizontal", "E1 - E2"), "one": ("e1",)})
    epochs = read_recording(path, config=config, scored=False)
    assert np.abs(epochs.signals[:, 0].ravel() - (noise(60) - noise(60, seed=1))).max() < 0.01
    assert np.abs(epochs.signals[:, 1].ravel() - noise(60)).max() < 0.01


def test_without_stages_every_whole_epoch_is_read(tmp_path):
    path = write_edf(tmp_path / "a.edf", {"C3": (noise(100), 100, "uV")}, record_seconds=10)
    epochs = read_recording(path, config=one_channel(), scored=False)
    assert epochs.labels.tolist() == [DROPPED] * 3


def test_a_channel_of_codes_is_read_at_its_own_rate(tmp_path):
    codes = np.repeat([5.0, 3, 2, 2, 1, 4], [30, 20, 10, 30, 15, 45])
    path = write_edf(tmp_path / "a.edf", {"C3": (noise(150), 100, "uV"), "stage": (codes, 1, "")})
    config = one_channel(hypnogram_channel="stage", hypnogram_codes={5: 0, 3: 1, 2: 2, 1: 3, 4: 4})
    epochs = read_recording(path, config=config)
    # The fourth epoch is half N3 and half REM: no stage covers more than half of it.
    assert epochs.labels.tolist() == [0, 1, 2, 4]
    assert epochs.onsets.tolist() == [0, 30, 60, 120]


def test_a_flat_epoch_is_an_artefact_a_flat_channel_an_error(tmp_path):
    data = noise(90)
    data[:3000] = 0
    path = write_edf(tmp_path / "a.edf", {"C3": (data, 100, "uV")})
    assert len(read_recording(path, config=one_channel(), scored=False)) == 3
    path = write_edf(tmp_path / "b.edf", {"C3": (np.zeros(9000), 100, "uV")})
    with pytest.raises(ChannelError, match="channel 'C3' must vary, it is flat at"):
        read_recording(path, config=one_channel(), scored=False)


def spoilt(tmp_path, spoil):
    psg, hypnogram = write_pair(tmp_path, NIGHT)
    spoil(psg)
    return psg, hypnogram


@pytest.mark.parametrize(
    ("spoil", "error", "sentence"),
    [
        (lambda p: p.unlink(), RecordingError, "is not a file"),
        (
            lambda p: p.write_bytes(p.read_bytes()[:-9000]),
            RecordingError,
            "truncated, the header declares 10",
        ),
        (lambda p: p.write_bytes(p.read_bytes()[:700]), RecordingError, "truncated, the header alone needs"),
        (
            lambda p: p.write_bytes(p.read_bytes()[:100]),
            RecordingError,
            "has at least 256 bytes, the file has 100",
        ),
        (lambda p: p.write_bytes(b""), RecordingError, "has at least 256 bytes, the file has 0"),
        (lambda p: p.write_bytes(b"\xffBIOSEMI" + p.read_bytes()[8:]), RecordingError, "not an EDF file"),
        (lambda p: p.write_bytes(np.random.default_rng(0).bytes(50000)), RecordingError, "not an EDF file"),
        (lambda p: spoil_header(p, 252, 4, "many"), RecordingError, "number of signals .* must be a number"),
        (lambda p: spoil_header(p, 252, 4, "0"), RecordingError, "at least 1 signal, got 0"),
        (
            lambda p: spoil_header(p, 252, 4, "nan"),
            RecordingError,
            "number of signals .* must be a whole number",
        ),
        (lambda p: spoil_header(p, 184, 8, "512"), RecordingError, "must have .* bytes, it declares 512"),
        (lambda p: spoil_header(p, 244, 8, "0"), ChannelError, "sampling rate above zero, got 0 Hz"),
        (
            lambda p: spoil_header(p, 244, 8, "-30"),
            RecordingError,
            "seconds per data record must be positive",
        ),
        (lambda p: spoil_header(p, 236, 8, "99999"), RecordingError, "truncated, the header declares 99999"),
        (lambda p: spoil_header(p, 192, 5, "EDF+D"), RecordingError, "must be a continuous recording"),
        (
            lambda p: spoil_field(p, 0, "samples", "0"),
            ChannelError,
            "'EEG Fpz-Cz' must have a sampling rate above",
        ),
        (
            lambda p: spoil_field(p, 0, "samples", "-5"),
            RecordingError,
            "whole number of samples per record, got -5",
        ),
        (lambda p: spoil_field(p, 0, "physical_min", "nan"), ChannelError, "finite physical minimum"),
        (
            lambda p: spoil_field(p, 0, "physical_min", "abc"),
            RecordingError,
            "physical min .* must be a number",
        ),
        (lambda p: spoil_field(p, 0, "digital_min", "32767"), ChannelError, "finite digital minimum"),
        (lambda p: spoil_field(p, 1, "label", "EEG Fpz-Cz"), ChannelError, "must be unique, got 2 of them"),
        (
            lambda p: spoil_field(p, 1, "label", "EEG Oz"),
            ChannelError,
            "'EEG Pz-Oz' must be one of .* 'EEG Oz'",
        ),
    ],
)
def test_spoilt_files_give_one_sentence(tmp_path, spoil, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        read_recording(*spoilt(tmp_path, spoil), RAW)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_spoilt_byte_ends_in_a_traceback(tmp_path_factory, data):
    """Any bytes of either file replaced, or its end cut off: epochs, or one sentence; never anything else."""
    folder = tmp_path_factory.mktemp("spoilt")
    pair = write_pair(folder, [0, 1], record_seconds=1)
    victim = data.draw(st.sampled_from(pair))
    content = bytearray(victim.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(content), 3000) - 9))
        piece = data.draw(st.sampled_from([b"-1", b"1e9", b"nan", b"0       ", b"\x14\x14", b"\xff\x00", b"inf", b" "]))
        content[at : at + len(piece)] = piece
    victim.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    try:
        epochs = read_recording(*pair, RAW)
    except TrainingError as error:
        assert "\n" not in str(error)
    else:
        assert len(epochs) and np.isfinite(epochs.signals).all()


def test_a_recorder_that_was_not_stopped_is_read_and_noted(tmp_path):
    epochs = read_recording(*spoilt(tmp_path, lambda p: spoil_header(p, 236, 8, "-1")), RAW)
    assert len(epochs) == 9
    assert "10 data records by the file's size, the header declares -1" in epochs.notes[0]


def test_a_recording_shorter_than_an_epoch(tmp_path):
    path = write_edf(tmp_path / "a.edf", {"C3": (noise(20), 100, "uV")}, record_seconds=10)
    with pytest.raises(RecordingError, match="lasts 20 s, one epoch needs 30 s"):
        read_recording(path, config=one_channel(), scored=False)


def test_no_hypnogram(tmp_path):
    psg, _ = write_pair(tmp_path, NIGHT)
    with pytest.raises(HypnogramError, match="no hypnogram, looked for a hypnogram file beside it and a channel"):
        read_recording(psg, None, RAW)
    other = write_edf(tmp_path / "a.edf", four_channels(60))
    with pytest.raises(HypnogramError, match=r"a\.edf: no hypnogram, the file has no 'EDF Annotations'"):
        read_recording(psg, other, RAW)


def test_a_hypnogram_of_another_night(tmp_path):
    psg, _ = write_pair(tmp_path, NIGHT)
    _, longer = write_pair(tmp_path, NIGHT * 2, stem="SC4011E")
    with pytest.raises(HypnogramError, match=r"scores 300 s past the end of the signal \(300 s\)"):
        read_recording(psg, longer, RAW)


def test_a_hypnogram_that_started_later_is_shifted(tmp_path):
    psg, path = write_pair(tmp_path, NIGHT)
    late = START + timedelta(seconds=60)
    write_annotated_stages(path, [0, 30], [30, 30], ["Sleep stage 2", "Sleep stage R"], late)
    epochs = read_recording(psg, path, RAW)
    assert epochs.onsets.tolist() == [60, 90] and epochs.labels.tolist() == [2, 4]
    write_annotated_stages(path, [0], [30], ["Sleep stage 2"], START - timedelta(hours=1))
    with pytest.raises(HypnogramError, match="begins 3600 s before the signal"):
        read_recording(psg, path, RAW)


def test_unknown_stages_past_the_end_are_no_error(tmp_path):
    psg, _ = write_pair(tmp_path, NIGHT)
    _, longer = write_pair(tmp_path, NIGHT + [DROPPED] * 50, stem="SC4011E")
    assert len(read_recording(psg, longer, RAW)) == 9


def test_nothing_but_unknown_stages(tmp_path):
    with pytest.raises(HypnogramError, match="no epoch of the hypnogram has a stage and a signal"):
        read_recording(*write_pair(tmp_path, [DROPPED] * 4), RAW)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"rates": 100}, "signals.rates is no setting; the settings are .*'rate'"),
        ({"emg": "raw", "rate": 0}, "signals.rate must be a positive number, got 0"),
        ({"emg": "raw", "rate": "100"}, "signals.rate must be a positive number, got '100'"),
        ({"emg": "raw", "rate": float("nan")}, "signals.rate must be a positive number, got nan"),
        ({"emg": "raw", "wake_minutes": -1}, "signals.wake_minutes must be a number, got -1"),
        ({"emg": "raw", "rate": 33.33}, "whole number of samples, got 33.33 x 30"),
        ({}, r"signals.emg must be one of \['raw', 'envelope'\], got None"),
        ({"emg": "loud"}, r"signals.emg must be one of \['raw', 'envelope'\], got 'loud'"),
        ({"emg": 1}, "signals.emg must be a string, got 1"),
        ({"emg": "raw", "unit": "bpm"}, "signals.unit must be one of .* got 'bpm'"),
        ({"emg": "raw", "hypnogram": "guess"}, "signals.hypnogram must be one of .* got 'guess'"),
        ({"emg": "raw", "hypnogram": "channel"}, "hypnogram_channel must name the signal of codes"),
        ({"emg": "raw", "hypnogram_channel": "h"}, "hypnogram_codes must map codes to stages"),
        ({"emg": "raw", "channels": {}}, "at least one channel"),
        ({"emg": "raw", "channels": ["EEG"]}, "signals.channels must be a table"),
        ({"emg": "raw", "channels": {"EEG": []}}, "signals.channels.'EEG' must be a name or a list of names"),
        ({"emg": "raw", "channels": {"EEG": 3}}, "signals.channels.'EEG' must be a name or a list of names"),
    ],
)
def test_settings_that_are_none(table, sentence):
    with pytest.raises(ConfigError, match=sentence):
        SignalConfig.from_table(table)


def test_settings_of_a_recipe():
    config = SignalConfig.from_table(
        {
            "channels": {"EEG": "C3", "EOG": ["E1", "E2"]},
            "hypnogram_channel": "h",
            "hypnogram_codes": {"5": "W"},
        }
    )
    assert config.channels == {"EEG": ("C3",), "EOG": ("E1", "E2")}
    assert config.hypnogram_codes == {5: 0} and config.samples == 3000
