"""Fetching: what the libraries are asked for, what is written, and failures in one sentence. Nothing here is online."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import threading
import types
import zipfile

import numpy as np
import pytest
from ppg_sets import circulation_waves
from thumbnet.host_tools.cli import run
from thumbnet.training.errors import ConfigError, DownloadError
from thumbnet.training.hemodynamics import fetch
from thumbnet.training.hemodynamics.readers.wfdb_records import read_wfdb_folder


class Row(dict):
    @property
    def iloc(self):
        return [self]


def stand_in(waves, calls: list) -> types.SimpleNamespace:
    """VitalDB's package with two cases of one person; case 3 has no arterial pressure."""

    def load_case(case, tracks, interval):
        calls.append((case, tracks, interval))
        signals = np.stack([100 * waves.volume[case - 1], waves.pressure[case - 1]], axis=1)
        signals[:40] = np.nan
        return np.where([True, case != 3], signals, np.nan)

    def load_clinical_data(cases, columns):
        return Row(subjectid=77, age=63.0, sex="F", height=160.2, weight=67.5)

    return types.SimpleNamespace(load_case=load_case, load_clinical_data=load_clinical_data)


def test_cases_of_vitaldb_become_records_of_their_person(tmp_path, monkeypatch):
    waves, calls = circulation_waves(3, 31, 125, seed=1), []
    monkeypatch.setattr(fetch, "_library", lambda name: stand_in(waves, calls))
    done = fetch.fetch_vitaldb(tmp_path, [1, 2])
    assert calls == [(1, ["SNUADC/PLETH", "SNUADC/ART"], 1 / 125), (2, ["SNUADC/PLETH", "SNUADC/ART"], 1 / 125)]
    assert len(done.files) == 4 and done.already_there == 0
    assert fetch.fetch_vitaldb(tmp_path, [1, 2]).already_there == 4
    assert len(calls) == 2
    windows, rejections = read_wfdb_folder(tmp_path)
    assert set(windows.subjects) == {"s00077"} and len(set(windows.records)) == 2
    assert windows.people[0].tolist() == [63, 0, 160.2, 67.5]
    assert rejections.reasons == {"samples are missing": 2}
    np.testing.assert_allclose(windows.label("SBP")[:2].mean(), waves.systolic[0], rtol=0.03)


def test_a_case_without_arterial_pressure_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_library", lambda name: stand_in(circulation_waves(3, 11, 125), []))
    with pytest.raises(DownloadError, match=r"case 3 cannot be fetched from VitalDB \(no SNUADC/PLETH or SNUADC/ART"):
        fetch.fetch_vitaldb(tmp_path, [3])
    assert list(tmp_path.rglob("*.*")) == []


def test_mimic_asks_for_its_records(tmp_path, monkeypatch):
    asked = {}

    def dl_database(database, folder, records, annotators):
        asked.update(database=database, records=records)
        (tmp_path / "r.hea").write_text("x")

    monkeypatch.setattr(fetch, "_library", lambda name: types.SimpleNamespace(dl_database=dl_database))
    assert run(["data", "fetch", "mimic", "--records", "30/3000063/, 31/3100033/", "--output", str(tmp_path)]) == 0
    assert asked == {"database": "mimic3wdb", "records": ["30/3000063/", "31/3100033/"]}
    monkeypatch.setattr(fetch, "_library", lambda name: types.SimpleNamespace())
    with pytest.raises(DownloadError, match="run the same command again"):
        fetch.fetch_mimic(tmp_path, ["30/3000063/"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["vitaldb"], "--subjects must be numbers of cases from 1 to 6388, got none"),
        (["vitaldb", "--subjects", "0,9999"], "--subjects must be numbers of cases from 1 to 6388, got [0, 9999]"),
        (["mimic"], "--records must name at least one record"),
        (
            ["ppg-bp", "--mirror", "http://127.0.0.1:9/table"],
            "the list of files cannot be fetched from http://127.0.0.1:9",
        ),
    ],
)
def test_wrong_words_are_one_sentence(tmp_path, words, sentence, capsys):
    assert run(["data", "fetch", *words, "--output", str(tmp_path / "out")]) == 2
    text = capsys.readouterr().err
    assert sentence in text and text.count("\n") == 1


def test_a_package_that_is_missing_is_named():
    with pytest.raises(ConfigError, match=r"needs the package no_such_package: pip install 'thumbnet\[ppg\]'"):
        fetch._library("no_such_package")


@pytest.fixture
def figshare(tmp_path):
    """A server with a table of files and one archive; set `content` to what it should hold."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("Data File/0_subject/1_1.txt", "1 2 3")
    state = {"archive": archive.getvalue()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = state["archive"] if self.path == "/file" else json.dumps({"files": [{
                "name": "PPG-BP Database.zip", "download_url": f"{address}/file", "computed_md5": state["md5"]
            }]}).encode()  # fmt: skip
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    state |= {"md5": hashlib.md5(state["archive"], usedforsecurity=False).hexdigest(), "address": f"{address}/table"}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()


def test_ppg_bp_is_fetched_checked_and_unpacked_once(tmp_path, figshare):
    done = fetch.fetch_ppg_bp(tmp_path / "set", figshare["address"])
    assert (tmp_path / "set" / "Data File" / "0_subject" / "1_1.txt").read_text() == "1 2 3"
    assert len(done.files) == 2 and done.already_there == 0
    assert fetch.fetch_ppg_bp(tmp_path / "set", figshare["address"]).already_there == 1


def test_a_damaged_archive_is_refused(tmp_path, figshare):
    figshare["md5"] = "0" * 32
    with pytest.raises(DownloadError, match="its MD5 is not that of the table"):
        fetch.fetch_ppg_bp(tmp_path, figshare["address"])
    assert list(tmp_path.iterdir()) == []


def test_an_archive_cannot_write_elsewhere(tmp_path, figshare):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("../outside.txt", "x")
    figshare["archive"] = archive.getvalue()
    figshare["md5"] = hashlib.md5(figshare["archive"], usedforsecurity=False).hexdigest()
    with pytest.raises(DownloadError, match="leads out of its folder"):
        fetch.fetch_ppg_bp(tmp_path / "set", figshare["address"])
    assert not (tmp_path / "outside.txt").exists()
