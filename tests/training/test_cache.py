"""Preprocessed epochs on disk: the same numbers as read directly, whole or not at all, and what can go wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edf_files import four_channels, write_edf, write_pair
from thumbnet.training import cache as cache_module
from thumbnet.training.cache import Cache, hash_of, open_set
from thumbnet.training.epochs import EpochSet
from thumbnet.training.errors import CacheError, DatasetError
from thumbnet.training.mapped import MappedWindows, chunks_of
from thumbnet.training.sleep import cached as cached_module
from thumbnet.training.sleep.cached import cached_folder
from thumbnet.training.sleep.config import SignalConfig
from thumbnet.training.sleep.dataset import load_folder
from thumbnet.training.sleep.hypnogram import runs_of_stages, write_annotated_stages

RAW = SignalConfig(emg="raw")
NIGHT = [0, 1, 2, 3, 4, 0]


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for number in (0, 1, 2):
        write_pair(data, NIGHT, stem=f"SC4{number:02d}1E")
    return data


def reads_of(monkeypatch) -> list[str]:
    """Names of the recordings that are really read from now on."""
    seen: list[str] = []
    original = cached_module.read_night_of

    def counted(files, config):
        seen.append(files.recording)
        return original(files, config)

    monkeypatch.setattr(cached_module, "read_night_of", counted)
    return seen


def test_the_cache_holds_what_the_reader_gives(folder, tmp_path):
    direct = load_folder(folder, RAW)
    cached = cached_folder(folder, RAW, tmp_path / "cache").epochs()
    assert isinstance(cached.signals, MappedWindows) and cached.signals.shape == direct.signals.shape
    assert np.array_equal(np.asarray(cached.signals), direct.signals)
    for name in ("labels", "subjects", "recordings", "onsets"):
        assert np.array_equal(getattr(cached, name), getattr(direct, name))
    assert (cached.channels, cached.rate, cached.notes) == (direct.channels, direct.rate, direct.notes)


def test_rows_of_the_disk_are_rows_of_the_array(folder, tmp_path):
    signals = cached_folder(folder, RAW, tmp_path / "cache").epochs().signals
    whole = np.asarray(signals)
    some = np.array([17, 0, 5, 5, 12])
    assert np.array_equal(signals[some], whole[some])
    assert np.array_equal(signals[3:15:2], whole[3:15:2])
    assert np.array_equal(signals[signals.row_of == 0], whole[np.array([0, 6, 12])])
    assert np.array_equal(signals[4], whole[4])
    assert np.array_equal(np.asarray(signals.take(some).take(np.array([1, 0]))), whole[[0, 17]])
    assert np.array_equal(np.concatenate(list(chunks_of(signals, 7))), whole)
    assert (len(signals), signals.ndim, signals.size) == (18, 3, whole.size)


def test_nothing_is_read_twice_unless_it_changed(folder, tmp_path, monkeypatch):
    seen = reads_of(monkeypatch)
    cached_folder(folder, RAW, tmp_path / "cache")
    assert len(seen) == 3
    cached_folder(folder, RAW, tmp_path / "cache")
    assert len(seen) == 3
    write_pair(folder, [0, 2, 2, 2, 4, 0], stem="SC4011E")
    again = cached_folder(folder, RAW, tmp_path / "cache")
    assert seen[3:] == ["SC4011E0"] and again.epochs().labels.tolist()[6:12] == [0, 2, 2, 2, 4, 0]
    cached_folder(folder, replace(RAW, rate=50.0), tmp_path / "cache")
    assert len(seen) == 7


def test_another_process_opens_the_same_set(folder, tmp_path):
    made = cached_folder(folder, RAW, tmp_path / "cache")
    again = open_set(made.manifest)
    assert np.array_equal(np.asarray(again.epochs().signals), np.asarray(made.epochs().signals))
    assert again.skipped == made.skipped


def test_an_interrupted_build_goes_on(folder, tmp_path, monkeypatch):
    original, seen = cached_module.read_night_of, []

    def dies_at_the_third(files, config):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(files.recording)
        return original(files, config)

    monkeypatch.setattr(cached_module, "read_night_of", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        cached_folder(folder, RAW, tmp_path / "cache")
    monkeypatch.setattr(cached_module, "read_night_of", original)
    later = reads_of(monkeypatch)
    assert len(cached_folder(folder, RAW, tmp_path / "cache").nights) == 3
    assert later == ["SC4021E0"]


def test_half_a_file_is_refused_when_opened_and_written_anew_when_built(folder, tmp_path, monkeypatch):
    made = cached_folder(folder, RAW, tmp_path / "cache")
    array = made.nights[1].array.path
    os.truncate(array, array.stat().st_size // 2)
    with pytest.raises(CacheError, match=rf"{array.name} is not whole; run again"):
        open_set(made.manifest)
    seen = reads_of(monkeypatch)
    again = cached_folder(folder, RAW, tmp_path / "cache")
    assert seen == ["SC4011E0"] and np.array_equal(np.asarray(again.epochs().signals), load_folder(folder, RAW).signals)


def test_leftovers_of_a_killed_process_go(folder, tmp_path):
    cached_folder(folder, RAW, tmp_path / "cache")
    rest = tmp_path / "cache" / ".partial-1-x.npy"
    rest.write_bytes(b"half")
    cached_folder(folder, RAW, tmp_path / "cache")
    assert not rest.exists()


def test_a_cache_of_another_version_is_left_alone(folder, tmp_path):
    place = tmp_path / "cache"
    cached_folder(folder, RAW, place)
    (place / "cache.json").write_text(json.dumps({"schema": "thumbnet.cache/0"}))
    before = sorted(path.name for path in place.iterdir())
    with pytest.raises(CacheError, match=r"schema 'thumbnet.cache/0', this version reads 'thumbnet.cache/1'; give"):
        cached_folder(folder, RAW, place)
    assert sorted(path.name for path in place.iterdir()) == before


def test_a_folder_of_something_else_is_left_alone(folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(CacheError, match=r"holds thesis.tex but no cache.json; choose another"):
        cached_folder(folder, RAW, tmp_path / "mine")


def test_damaged_manifests_are_one_sentence(folder, tmp_path):
    made = cached_folder(folder, RAW, tmp_path / "cache")
    for text in ("", "[]", "{}", '{"schema": "thumbnet.cache/1"}'):
        made.manifest.write_text(text)
        with pytest.raises(CacheError):
            open_set(made.manifest)


def test_a_full_disk_is_one_sentence_and_loses_nothing(folder, tmp_path, monkeypatch):
    original, written = np.save, []

    def full(file, array):
        if len(written) == 2:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(file)
        original(file, array)

    monkeypatch.setattr(cache_module.np, "save", full)
    with pytest.raises(CacheError, match=r"SC4021E0 cannot be written to the cache .*: No space left on device \("):
        cached_folder(folder, RAW, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob(".partial-*"))
    monkeypatch.setattr(cache_module.np, "save", original)
    seen = reads_of(monkeypatch)
    assert len(cached_folder(folder, RAW, tmp_path / "cache").nights) == 3 and seen == ["SC4021E0"]


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from thumbnet.training.errors import CacheError
from thumbnet.training.sleep.cached import cached_folder
from thumbnet.training.sleep.config import SignalConfig
try:
    cached_folder(sys.argv[1], SignalConfig(emg="raw"), sys.argv[2])
except CacheError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX")
def test_a_disk_that_really_refuses(folder, tmp_path):
    words = [sys.executable, "-c", LIMITED, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "SC4001E0 cannot be written to the cache" in done.stdout and done.stdout.count("\n") == 1, done.stderr
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["cache.json"]


def test_sets_of_other_settings_stay_unless_pruned(folder, tmp_path):
    place = tmp_path / "cache"
    first = cached_folder(folder, RAW, place)
    cached_folder(folder, replace(RAW, rate=50.0), place)
    assert len(open_set(first.manifest).nights) == 3
    cached_folder(folder, replace(RAW, rate=50.0), place, prune=True)
    assert not first.manifest.exists() and len(list(place.glob("*.npy"))) == 3


def test_names_of_recordings_may_hold_anything(tmp_path):
    store = Cache(tmp_path / "cache")
    for name in ("a/b", "a_b", "é ü", "x" * 300):
        epochs = EpochSet(
            np.ones((2, 1, 4), "f4"), np.zeros(2, int), np.full(2, "s"), np.full(2, name), np.arange(2.0), ("C",), 1.0
        )
        store.put(name, hash_of(name), epochs, np.array([True, False]))
    done = store.finish([(n, hash_of(n)) for n in ("a/b", "a_b", "é ü", "x" * 300)], {}, ("C",), 1.0)
    assert [night.recording for night in done.nights] == ["a/b", "a_b", "é ü", "x" * 300]
    assert len(done.epochs()) == 4 and len(done.everything(["é ü"])) == 2


def spoil(data: Path) -> dict[str, str]:
    """Nights that cannot be used, one of each kind; returns what must be said about each."""
    psg, hypnogram = write_pair(data, NIGHT, stem="SC4101E")
    psg.write_bytes(psg.read_bytes()[:-5000])
    write_pair(data, NIGHT, stem="SC4111E")[1].unlink()
    psg, hypnogram = write_pair(data, NIGHT, stem="SC4121E")
    write_annotated_stages(hypnogram, *runs_of_stages(np.array(NIGHT * 3)))
    psg, hypnogram = write_pair(data, NIGHT, stem="SC4131E")
    channels = four_channels(30 * len(NIGHT))
    write_edf(psg, {name: channels[name] for name in list(channels)[:3]})
    write_pair(data, NIGHT, stem="SC4141E")[0].write_bytes(b"<html>404 Not Found</html>" * 40)
    write_pair(data, NIGHT, stem="SC4151E")[0].write_bytes(b"")
    return {
        "SC4101E0-PSG.edf": "truncated",
        "SC4111E0-PSG.edf": "no hypnogram",
        "SC4121E0-PSG.edf": "past the end of the signal",
        "SC4131E0-PSG.edf": "channel 'EMG' must be one of",
        "SC4141E0-PSG.edf": "not an EDF file",
        "SC4151E0-PSG.edf": "an EDF header has at least 256 bytes",
    }


def test_every_bad_night_is_skipped_and_listed_and_the_others_are_used(folder, tmp_path):
    expected = spoil(folder)
    done = cached_folder(folder, RAW, tmp_path / "cache")
    assert len(done.nights) == 3
    for name, words in expected.items():
        lines = [line for line in done.skipped if line.startswith(name)]
        assert len(lines) == 1 and words in lines[0] and "\n" not in lines[0], (name, done.skipped)
    assert open_set(done.manifest).skipped == done.skipped


def test_only_bad_nights_are_an_error(tmp_path):
    spoil(tmp_path)
    with pytest.raises(DatasetError, match=r"no usable recording: .*\(and 5 more\)"):
        cached_folder(tmp_path, RAW, tmp_path.parent / "cache")


def test_epochs_in_bed_are_there_for_statistics_and_not_for_training(tmp_path):
    labels = np.array([0, 0, 1, 2, -1, 2, 4, 0, 0])
    data = tmp_path / "data"
    data.mkdir()
    _, hypnogram = write_pair(data, labels)
    onsets, durations, texts = runs_of_stages(labels)
    write_annotated_stages(
        hypnogram, [30.0, *onsets, 240.0], [0.0, *durations, 0.0], ["Lights off", *texts, "lights on"]
    )
    done = cached_folder(data, replace(RAW, wake_minutes=0.5), tmp_path / "cache")
    night = done.nights[0]
    assert (night.lights_off, night.lights_on) == (30.0, 240.0)
    assert done.epochs().labels.tolist() == [0, 1, 2, 2, 4, 0]
    assert done.everything().labels.tolist() == [0, 1, 2, -1, 2, 4, 0]
    assert done.everything().onsets.tolist() == [30.0 * n for n in range(1, 8)]


def test_isruc_style_folders(tmp_path):
    """A folder per person, signals in .rec, a text file of one code per epoch, other channel names."""
    config = SignalConfig.from_table(
        {
            "channels": {"EEG": ["C4-A1", "C4-M1"]},
            "recordings": "*.rec",
            "hypnogram_file": "{stem}_1.txt",
            "hypnogram_codes": {"0": "W", "1": "N1", "2": "N2", "3": "N3", "5": "REM"},
            "subjects": "folder",
            "rate": 100.0,
        }
    )
    for person in ("1", "2"):
        for night in ("1", "2"):
            place = tmp_path / "isruc" / person
            place.mkdir(parents=True, exist_ok=True)
            samples = four_channels(180)["EEG Fpz-Cz"]
            name = "C4-A1" if person == "1" else "C4-M1"
            edf = write_edf(tmp_path / "x.edf", {name: (np.repeat(samples[0], 2), 200, "uV")})
            shutil.move(edf, place / f"{night}.rec")
            (place / f"{night}_1.txt").write_text("0\n1\n2\n3\n5\n0\n\n")
            (place / f"{night}_2.txt").write_text("0\n" * 6)
    epochs = cached_folder(tmp_path / "isruc", config, tmp_path / "cache").epochs()
    assert sorted(set(epochs.subjects)) == ["1", "2"] and len(set(epochs.recordings)) == 4
    assert epochs.labels.tolist() == [0, 1, 2, 3, 4, 0] * 4 and epochs.signals.shape == (24, 1, 3000)
    (tmp_path / "isruc" / "2" / "2_1.txt").write_text("0\nx\n")
    (tmp_path / "isruc" / "1" / "2_1.txt").write_text("0\n7\n")
    done = cached_folder(tmp_path / "isruc", config, tmp_path / "cache")
    assert len(done.nights) == 2
    assert "2_1.txt: codes must be among [0, 1, 2, 3, 5], got [7]" in done.skipped[0]
    assert "2_1.txt: line 2 must be an integer code, got 'x'" in done.skipped[1]
