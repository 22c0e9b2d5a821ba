"""`thumbnet evaluate hemodynamics`: what it prints and writes, and mistakes in one sentence."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
from thumbnet.host_tools.cli import run

pytest.importorskip("sklearn", reason="needs thumbnet[train]")

from thumbnet.host_tools.pipeline.folder import RunFolder
from thumbnet.training.hemodynamics.protocols import divide
from thumbnet.training.hemodynamics.readers.npy_pair import write_npy_pair
from thumbnet.training.hemodynamics.sources import DataConfig
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


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Folder of a run whose network tells the truth of its own synthetic windows, plus 3, and knows two experts."""
    windows = synthetic_windows(8, 3, seed=4)
    truth = {row.tobytes(): label for row, label in zip(windows.signals, windows.labels, strict=True)}

    def load_estimator(folder, name):
        def estimate(signals):
            told = [truth.get(row.tobytes(), windows.labels[0]) for row in signals]
            weights = np.tile([0.25, 0.75], (len(signals), 1, 1))
            return {"estimates": np.stack(told) + (3 if name == "student.keras" else 1), "weights": weights}

        return estimate

    stand_in = types.SimpleNamespace(load_estimator=load_estimator, STUDENT="student.keras")
    monkeypatch.setitem(sys.modules, "thumbnet.host_tools.hemodynamics.networks", stand_in)
    folder = RunFolder.create(tmp_path / "run", "run")
    folder.perform("data", "key", lambda place: {"tasks": list(windows.tasks)})
    folder.save()
    settings = DataConfig(subjects=8, each=3, seed=4).to_dict()
    (tmp_path / "run" / "data.json").write_text(json.dumps({"schema": "x", "data": settings}))
    for name in ("model.keras", "student.keras"):
        (tmp_path / "run" / name).write_text("a network")
    return tmp_path / "run"


def test_a_run_is_judged_on_its_own_division(trained, capsys):
    assert run(["evaluate", "hemodynamics", "--run", str(trained), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == "compressed network, float"
    assert report["errors"]["model"]["SBP"]["me"] == pytest.approx(3)
    assert report["errors"]["network, float"]["SBP"]["me"] == pytest.approx(1)
    assert "pulse features" in report["errors"]
    assert report["experts"]["importance"] == pytest.approx([0.25, 0.75])
    assert report["tested"] is None
    assert 0 <= report["joined"]["SBP"] <= 1
    assert "SBP" in report["errors"]["model, with demographics"]


def test_a_network_that_nothing_was_removed_from_goes_by_its_own_name(trained, capsys, monkeypatch):
    stand_in = sys.modules["thumbnet.host_tools.hemodynamics.networks"]
    monkeypatch.setattr(stand_in, "load_estimator", lambda folder, name, load=stand_in.load_estimator: load(folder, ""))
    assert run(["evaluate", "hemodynamics", "--run", str(trained), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == "network, float"
    assert not any("compressed" in name for name in report["errors"])


def test_the_bundle_of_a_run_is_judged_by_its_integers(trained, capsys, monkeypatch):
    """Codes in, units of 1/65536 out, for the tested windows alone."""
    seen = []
    oracle = types.SimpleNamespace(chosen=np.zeros(2, int))

    def run_codes(inputs):
        # The first window goes to both experts, every other one to the second.
        oracle.chosen += [not seen, 1]
        seen.append(inputs[0])
        return [np.arange(10).reshape(1, 10) * 65536 + 32768]

    (trained / "model.bundle").write_bytes(b"a bundle")
    monkeypatch.setattr("thumbnet.quantize.bundle.Bundle.read", lambda path: types.SimpleNamespace(tflite=b"mixture"))
    oracle.run = run_codes
    monkeypatch.setattr("thumbnet.host_tools.hemodynamics.integers.open_oracle", lambda model: oracle)
    assert run(["evaluate", "hemodynamics", "--run", str(trained), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    windows = synthetic_windows(8, 3, seed=4)
    tested = divide(windows, seed=4).test
    np.testing.assert_array_equal(np.stack(seen)[:, 0, 0, :, 0], np.round(127 * (2 * windows.signals[tested] - 1)))
    expected = (np.arange(10) + 0.5 - windows.labels[tested]).mean(axis=0)
    found = [row["me"] for row in report["errors"]["compressed network, int8"].values()]
    np.testing.assert_allclose(found, expected)
    device = report["device"]
    assert device["model"] == "compressed network, int8"
    assert device["experts"]["served"] == pytest.approx([1 / len(tested), 1])
    # The float network of this test runs both experts for every window.
    assert device["same_experts"] == pytest.approx(1 / len(tested))
    assert set(device["strata"]) == set(report["strata"]) and set(device["identities"]) == set(report["identities"])


def test_estimates_that_the_run_left_are_taken(trained, capsys, monkeypatch):
    """No integers are computed again for the run's own windows."""
    windows = synthetic_windows(8, 3, seed=4)
    tested = divide(windows, seed=4).test
    (trained / "model.bundle").write_bytes(b"a bundle")
    chosen = np.tile([True, False], (len(tested), 1))
    np.savez(trained / "test_int8.npz", estimates=windows.labels[tested] - 2, chosen=chosen, places=tested)
    assert run(["evaluate", "hemodynamics", "--run", str(trained), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["errors"]["compressed network, int8"]["DBP"]["me"] == pytest.approx(-2)
    assert report["device"]["experts"]["idle"] == [1] and report["device"]["same_experts"] == 0
    assert run(["evaluate", "hemodynamics", "--run", str(trained)]) == 0
    assert "the same on the device, %: 100, 0" in capsys.readouterr().out


def test_the_folder_of_a_run_as_output_and_its_own_options_say_the_same(trained, capsys, monkeypatch):
    monkeypatch.setattr("thumbnet.training.hemodynamics.plots.save_plots", lambda *arguments: [])
    words = ["--subjects", "8", "--output-dir", str(trained), "--json"]
    assert run(["evaluate", "hemodynamics", *words]) == 0
    assert json.loads(capsys.readouterr().out)["errors"]["model"]["SBP"]["me"] == pytest.approx(3)
    assert (trained / "evaluation.json").is_file()


def test_a_run_is_tested_whole_on_other_data(trained, tmp_path, capsys):
    ppg, labels = write_npy_pair(synthetic_windows(5, 1, seed=9).with_tasks(["DBP", "SBP"]), tmp_path)
    words = [
        "--run",
        str(trained),
        "--ppg-file",
        str(ppg),
        "--labels-file",
        str(labels),
        "--tasks",
        "DBP,SBP",
        "--json",
    ]
    assert run(["evaluate", "hemodynamics", *words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["windows"]["test"] == 5
    assert list(report["errors"]["model"]) == ["SBP", "DBP"]
    assert report["tested"]["source"] == "npy"
    assert "the network has its own division" in report["remarks"][0]
    assert "joined" not in report  # its own people, whom the network has seen, would tell the weight


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--seed", "5"], "a run keeps its own division; --seed goes with data of another --source only"),
        (["--estimates", "x.npy"], "--run judges its own networks"),
        (["--test-source", "synthetic"], "--run judges its own networks"),
    ],
)
def test_a_run_refuses_what_would_mix_its_people(trained, words, sentence, capsys):
    assert run(["evaluate", "hemodynamics", "--run", str(trained), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_what_is_no_run_is_told(tmp_path, capsys):
    assert run(["evaluate", "hemodynamics", "--run", str(tmp_path)]) == 2
    assert "must be the folder of a run of `thumbnet train hemodynamics`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--source", "wfdb"], "data.folder must name the folder of the source 'wfdb'"),
        (
            ["--source", "wfdb", "--data", ".", "--lowpass", "70"],
            "data.lowpass must be above 0 and below 62.5 Hz, got 70",
        ),
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
