"""Folders: pairs, persons, what is skipped and why; the real recording and the real hypnograms."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from edf_files import four_channels, noise, write_edf, write_pair
from thumbnet.training.errors import DatasetError
from thumbnet.training.sleep.dataset import SignalConfig, find_recordings, load_folder, subject_of
from thumbnet.training.sleep.hypnogram import read_annotated_stages
from thumbnet.training.splits import WITHIN_RECORDING, subject_split

RAW = SignalConfig(emg="raw")
NIGHT = [0, 1, 2, 3, 4, 0]

REAL = SignalConfig.from_table(
    {
        "emg": "raw",
        "unit": "uV",
        "hypnogram_channel": "hypnogram",
        "hypnogram_codes": {"5": "W", "4": "REM", "3": "N1", "2": "N2", "1": "N3", "0": "N3"},
        "channels": {
            "EEG Fpz-Cz": ["EEG Fpz-Cz", "FP1-A1 - C3-A1"],
            "EEG Pz-Oz": ["EEG Pz-Oz", "C3-A1 - O1-A1"],
            "EOG": ["EOG horizontal", "EOG1-A1 - EOG2-A1"],
            "EMG": ["EMG submental", "EMG1"],
        },
    }
)


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("SC4001E0-PSG", "SC400"),
        ("SC4002E0-PSG", "SC400"),
        ("SC4821G0-PSG", "SC482"),
        ("ST7011J0-PSG", "ST701"),
        ("excerpt3", "excerpt3"),
        ("anna-PSG", "anna"),
    ],
)
def test_two_nights_share_a_subject(name, subject):
    assert subject_of(name) == subject


def test_pairs_are_found_and_the_rest_is_explained(tmp_path):
    (tmp_path / "below").mkdir()
    write_pair(tmp_path / "below", NIGHT, "SC4001E")
    write_pair(tmp_path, NIGHT, "SC4002E")
    write_pair(tmp_path, NIGHT, "SC4011E")
    (tmp_path / "SC4011E0-PSG.edf").unlink()
    write_pair(tmp_path, NIGHT, "SC4021E")
    (tmp_path / "SC4021EC-Hypnogram.edf").unlink()
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "rubbish.edf").write_bytes(b"rubbish" * 100)
    calls = []
    epochs = load_folder(tmp_path, RAW, progress=lambda *call: calls.append(call))
    assert set(epochs.subjects) == {"SC400"} and len(epochs) == 12
    assert set(epochs.recordings) == {"SC4002E0", "below/SC4001E0"}
    assert len(epochs.skipped) == 3
    assert [line.split(":")[0] for line in epochs.skipped] == [
        "SC4011EC-Hypnogram.edf",
        "SC4021E0-PSG.edf",
        "rubbish.edf",
    ]
    assert calls[0] == (0, 4, "SC4002E0")


def test_one_file_is_a_folder_of_one(tmp_path):
    psg, _ = write_pair(tmp_path, NIGHT)
    write_pair(tmp_path, NIGHT, "SC4011E")
    epochs = load_folder(psg, RAW)
    assert set(epochs.subjects) == {"SC400"} and epochs.skipped == ()


def test_any_name_pairs_by_its_stem(tmp_path):
    psg, hypnogram = write_pair(tmp_path, NIGHT)
    psg.rename(tmp_path / "anna-PSG.edf")
    hypnogram.rename(tmp_path / "anna-Hypnogram.edf")
    found, skipped = find_recordings(tmp_path)
    assert found[0].hypnogram == tmp_path / "anna-Hypnogram.edf" and found[0].subject == "anna"
    assert not skipped


def test_folders_with_nothing_in_them(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        load_folder(tmp_path / "none", RAW)
    with pytest.raises(DatasetError, match=r"must hold at least one recording \(\*\.edf\), got none"):
        load_folder(tmp_path, RAW)
    write_edf(tmp_path / "a.edf", {"C3": (noise(60), 100, "uV")})
    write_edf(tmp_path / "b.edf", four_channels(60))
    with pytest.raises(DatasetError, match=r"no usable recording: a.edf: channel .* \(and 1 more\)"):
        load_folder(tmp_path, RAW)


def test_a_real_hypnogram_over_a_signal(shared_dir, tmp_path):
    """The whole reader on real stages: 22 hours, 60-s data records, an EMG envelope, 30 min of wake kept."""
    source = shared_dir / "data" / "sleep" / "sleep-edf-hypnograms" / "SC4001EC-Hypnogram.edf"
    if not source.is_file():
        pytest.skip("the Sleep-EDF hypnograms are not on this machine")
    (tmp_path / source.name).write_bytes(source.read_bytes())
    seconds = 79500
    # One slow ramp in each channel: the value of a sample tells when it was taken.
    ramp = np.arange(seconds * 2) / 2 / 100
    channels = {name: (ramp, 2, "uV") for name in ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal")}
    channels["EMG submental"] = (ramp[::2], 1, "uV")
    write_edf(tmp_path / "SC4001E0-PSG.edf", channels, 60, datetime(1989, 4, 24, 16, 13))
    epochs = load_folder(tmp_path, SignalConfig(emg="envelope", rate=10))
    labels = read_annotated_stages(source).labels
    asleep = np.flatnonzero(labels > 0)
    assert len(epochs) == asleep[-1] - asleep[0] + 1 + 2 * 60 == 841
    assert epochs.labels.tolist() == [labels[int(onset / 30)] for onset in epochs.onsets]
    assert epochs.counts(5)[1:].tolist() == [58, 250, 220, 125]
    expected = (epochs.onsets[:, None] + np.arange(300)[None] / 10) // 0.5 * 0.5 / 100
    assert np.abs(epochs.signals[:, 0] - expected).max() < 0.02
    assert set(epochs.subjects) == {"SC400"}


def test_the_real_polysomnogram(shared_dir):
    """DREAMS excerpt 3: 50 Hz, codes of its own, units misspelt, in a folder of other files."""
    folder = shared_dir / "data" / "sleep" / "dreams-spindles"
    if not (folder / "excerpt3.edf").is_file():
        pytest.skip("the DREAMS recording is not on this machine")
    epochs = load_folder(folder, REAL)
    assert epochs.signals.shape == (60, 4, 3000)
    assert epochs.counts(5).tolist() == [6, 12, 39, 3, 0]
    text = (folder / "Hypnogram_excerpt3.txt").read_text().split()[1:]
    codes = np.array(text[:360], int).reshape(60, 6)
    stage = {5: 0, 3: 1, 2: 2, 1: 3}
    for label, six in zip(epochs.labels, codes, strict=True):
        values, counts = np.unique(six, return_counts=True)
        assert counts.max() > 3 and label == stage[values[counts.argmax()]]
    # Amplitudes of an EEG in microvolts, though the header's unit says nothing.
    assert (np.median(np.abs(epochs.signals), axis=(0, 2))[:3] > 5).all()
    assert np.abs(epochs.signals).max() < 1000
    split = subject_split(epochs)
    assert split.protocol == WITHIN_RECORDING
    assert set(epochs.labels[split.train]) == set(epochs.labels)
