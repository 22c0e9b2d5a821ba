"""`thumbnet evaluate hemodynamics`: what it prints and writes, and mistakes in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from thumbnet.host_tools.cli import run

pytest.importorskip("sklearn", reason="needs thumbnet[train]")

from thumbnet.training.hemodynamics.readers.npy_pair import write_npy_pair
from thumbnet.training.hemodynamics.synthetic import synthetic_windows


def test_everything_is_written_and_printed(tmp_path, capsys):
    ppg, labels = write_npy_pair(synthetic_windows(20, 4).with_tasks(["HR", "CO", "SV"]), tmp_path)
    words = ["--ppg-file", str(ppg), "--labels-file", str(labels), "--tasks", "HR,CO,SV"]
    assert run(["evaluate", "hemodynamics", *words, "--output-dir", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "16 windows of 4 subjects" in text and "no protocol pass" in text and "CO = HR * SV / 1000" in text
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert report["schema"] == "thumbnet.evaluate-hemodynamics/1"
    assert report["errors"]["model"]["HR"]["mae"] < 2
    assert len(list((tmp_path / "out" / "plots").glob("*.png"))) == 6


def test_estimates_of_ones_own_and_underscores(tmp_path, capsys):
    windows = synthetic_windows(8, 3, seed=1)
    ppg, labels = write_npy_pair(windows, tmp_path)
    np.save(tmp_path / "mine.npy", windows.labels + 2)
    words = ["--ppg_file", str(ppg), "--labels_file", str(labels), "--estimates", str(tmp_path / "mine.npy"), "--json"]
    assert run(["evaluate", "hemodynamics", *words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == "mine"
    assert report["errors"]["model"]["SBP"]["me"] == pytest.approx(2)
    assert report["settings"]["source"] == "npy"


def test_one_set_trains_and_another_is_tested(tmp_path, capsys):
    ppg, labels = write_npy_pair(synthetic_windows(6, 2, seed=9).with_tasks(["SBP", "DBP"]), tmp_path)
    words = ["--subjects", "20", "--windows-each", "3", "--test-ppg-file", str(ppg), "--test-labels-file", str(labels)]
    assert run(["evaluate", "hemodynamics", *words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["windows"]["test"] == 12
    assert list(report["errors"]["model"]) == ["SBP", "DBP"]
    assert "trained on synthetic population, tested on" in report["protocol"]["label"]


def test_the_leaky_protocol_says_so(capsys):
    words = ["--subjects", "10", "--windows-each", "3", "--protocol", "random-segment"]
    assert run(["evaluate", "hemodynamics", *words]) == 0
    text = capsys.readouterr().out
    assert "random-segment (leaky" in text and "tested windows are of people who are in training" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--source", "wfdb"], "data.folder must name the folder of the source 'wfdb'"),
        (["--source", "npy"], "data.ppg_file and data.labels_file must name the files"),
        (["--subjects", "2", "--windows-each", "2"], "calibration-free needs at least 3 subjects"),
        (
            ["--subjects", "4", "--windows-each", "1", "--estimates", "absent.npy"],
            "absent.npy cannot be read as estimates",
        ),
        (["--ppg-file", "absent.npy", "--labels-file", "absent.npy"], "absent.npy cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence, capsys):
    assert run(["evaluate", "hemodynamics", *words]) == 2
    text = capsys.readouterr().err
    assert sentence in text and text.count("\n") == 1
