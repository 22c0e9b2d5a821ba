"""Fetching Sleep-EDF: MNE's own downloader against a server on this machine, with files and a table of our own."""

from __future__ import annotations

import functools
import http.server
import json
import threading

import pytest
from edf_files import write_pair
from mne.datasets.sleep_physionet import age
from thumbnet.training.errors import ConfigError, DatasetError, DownloadError
from thumbnet.training.sleep import fetch
from thumbnet.training.sleep.config import SignalConfig
from thumbnet.training.sleep.dataset import DATA_FILE, file_sha1, find_recordings, load_folder

NIGHT = [0, 1, 2, 3, 4, 0]


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self):
        self.asked.append(self.path.lstrip("/"))
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    for subject in (0, 1):
        for night in (1, 2):
            write_pair(folder, NIGHT, stem=f"SC4{subject:02d}{night}E")
    return folder


@pytest.fixture
def server(files, tmp_path, monkeypatch):
    """Serve the files; MNE's table names them with their hashes."""
    table = tmp_path / "records.csv"
    rows = ["subject,night,record type,age,sex,lights off,sha,fname"]
    for path in sorted(files.glob("*.edf"), reverse=True):
        kind = path.stem.split("-")[1]
        rows.append(f"{int(path.name[3:5])},{path.name[5]},{kind},30,female,23:00:00,{file_sha1(path)},{path.name}")
    table.write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(age, "AGE_SLEEP_RECORDS", str(table))
    monkeypatch.setattr(Quiet, "asked", [])
    handler = functools.partial(Quiet, directory=str(files))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_fetched_recordings_are_readable_and_say_where_they_come_from(server, tmp_path):
    done = fetch.fetch_sleep_edf("sleep-edf", tmp_path / "data", [0, 1], [1], mirror=server)
    assert len(done.files) == 4 and all(path.is_file() for path in done.files)
    table = json.loads((tmp_path / "data" / DATA_FILE).read_text())
    assert table["licence"] == "ODC-BY 1.0" and "PhysioNet" in table["source"] and len(table["files"]) == 4
    epochs = load_folder(tmp_path / "data", SignalConfig(emg="raw"))
    assert len(epochs) == 12 and sorted(set(epochs.subjects)) == ["SC400", "SC401"]
    assert find_recordings(tmp_path / "data")[0][0].lights_off == "23:00:00"


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    fetch.fetch_sleep_edf("sleep-edf", tmp_path, [0], [1], mirror=server)
    Quiet.asked.clear()
    done = fetch.fetch_sleep_edf("sleep-edf", tmp_path, [0], [1, 2], mirror=server)
    assert done.already_there == 2 and sorted(Quiet.asked) == ["SC4002E0-PSG.edf", "SC4002EC-Hypnogram.edf"]
    assert len(json.loads((tmp_path / DATA_FILE).read_text())["files"]) == 4


def test_a_half_downloaded_file_is_fetched_again_and_kept_aside(server, tmp_path, files):
    done = fetch.fetch_sleep_edf("sleep-edf", tmp_path, [0], [1], mirror=server)
    psg = next(path for path in done.files if "PSG" in path.name)
    psg.write_bytes(psg.read_bytes()[:1000])
    again = fetch.fetch_sleep_edf("sleep-edf", tmp_path, [0], [1], mirror=server)
    assert again.replaced == (psg.name,) and psg.read_bytes() == (files / psg.name).read_bytes()
    assert psg.with_name(psg.name + ".damaged").stat().st_size == 1000


def test_a_failed_download_is_one_sentence_and_the_same_command_goes_on(server, tmp_path, files):
    hidden = (files / "SC4011E0-PSG.edf").rename(files / "hidden")
    try:
        with pytest.raises(DownloadError) as caught:
            fetch.fetch_sleep_edf("sleep-edf", tmp_path, [0, 1], [1], mirror=server)
    finally:
        hidden.rename(files / "SC4011E0-PSG.edf")
    assert "subject 1, night 1 cannot be fetched" in str(caught.value) and "2 of 4 files are there" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert fetch.fetch_sleep_edf("sleep-edf", tmp_path, [0, 1], [1], mirror=server).already_there == 2


def test_no_network_is_one_sentence(server, tmp_path):
    with pytest.raises(DownloadError, match=r"cannot be fetched from http://127\.0\.0\.1:9 .* run the same command"):
        fetch.fetch_sleep_edf("sleep-edf", tmp_path, [0], [1], mirror="http://127.0.0.1:9")


def test_a_wrong_file_on_the_server_is_refused(server, tmp_path, files):
    right = (files / "SC4001EC-Hypnogram.edf").read_bytes()
    (files / "SC4001EC-Hypnogram.edf").write_bytes(right + b" ")
    try:
        with pytest.raises(DownloadError, match=r"hash|SHA"):
            fetch.fetch_sleep_edf("sleep-edf", tmp_path, [0], [1], mirror=server)
    finally:
        (files / "SC4001EC-Hypnogram.edf").write_bytes(right)


def test_a_file_that_changed_after_the_download_is_skipped_and_said(server, tmp_path):
    fetch.fetch_sleep_edf("sleep-edf", tmp_path, [0, 1], [1], mirror=server)
    psg = next(tmp_path.rglob("SC4001E0-PSG.edf"))
    data = bytearray(psg.read_bytes())
    data[-1] ^= 1
    psg.write_bytes(data)
    epochs = load_folder(tmp_path, SignalConfig(emg="raw"))
    assert set(epochs.subjects) == {"SC401"}
    assert len(epochs.skipped) == 1 and "SC4001E0-PSG.edf: its SHA-1" in epochs.skipped[0]


def test_a_damaged_table_of_contents_is_one_sentence(tmp_path):
    write_pair(tmp_path, NIGHT)
    (tmp_path / DATA_FILE).write_text("{")
    with pytest.raises(DatasetError, match="is damaged"):
        find_recordings(tmp_path)


def test_names_mean_the_published_sets():
    def count(name):
        entries = fetch.select(name, None, (1, 2))
        return len({e.subject for e in entries}), sum(e.name.endswith("-PSG.edf") for e in entries)

    assert count("sleep-edf-20") == (20, 39) and count("sleep-edf-78") == (78, 153)


@pytest.mark.parametrize(
    ("name", "subjects", "nights", "sentence"),
    [
        ("sleep-edg", None, (1,), "data set must be one of"),
        ("sleep-edf", None, (1,), "--subjects must name at least one"),
        ("sleep-edf", [83], (1,), "--subjects must be numbers from 0 to 82"),
        ("sleep-edf", [39], (1,), "without"),
        ("sleep-edf", [0], (3,), "--recording must be"),
        ("sleep-edf", [13], (2,), "have no night"),
    ],
)
def test_wrong_names_numbers_and_nights(name, subjects, nights, sentence):
    with pytest.raises(ConfigError, match=sentence):
        fetch.select(name, subjects, nights)
