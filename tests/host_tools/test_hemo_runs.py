"""Runs about hemodynamic parameters from windows to a board: minutes, because networks are trained."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.command import thumbnet

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = [pytest.mark.train, pytest.mark.slow]

RECIPE = """
name = "tiny"
task = "hemodynamics"
[data]
subjects = 24
each = 3
[model]
experts = 2
k = 1
channels = 32
blocks = 1
strides = [4]
stem_stride = 8
[training]
epochs = 2
[compression]
target_sparsity = 0.4
epochs = 1
aware_epochs = 1
calibration_windows = 16
[boards]
names = ["host"]
windows = 6
"""
OPTIONS = ["--num_experts", "2", "--hidden_channels", "16", "--noisy_gating", "--noise_type", "uniform", "--k", "1",
           "--use_msfgm", "--num_blocks", "1", "--epochs", "1", "--batch_size", "4", "--lr", "0.001"]  # fmt: skip


def test_a_whole_run(tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    done = thumbnet("run", recipe, "--output", tmp_path / "run", "--json", timeout=3000)
    assert done.code == 0, done.err
    report = done.json
    names = [row["name"] for row in report["compress"]["rows"]]
    assert names == ["teacher", "teacher-int8", "pruned", "two-way", "int8", "aware"]
    counts = [row["parameters"] for row in report["compress"]["rows"]]
    assert counts[1] == counts[0] and max(counts[2:]) <= 0.6 * counts[0]
    parity = report["boards"][0]["parity"]
    assert parity["mismatches"] == 0
    # From counts of the converter: codes and outputs alike.
    assert parity["signals"]["windows"] == 6 and parity["signals"]["passed"]
    signals = report["compress"]["signals"]
    assert signals["bits"] == 16 and signals["share_of_codes_that_differ"] < 0.01 and signals["largest_difference"] == 1
    assert report["boards"][0]["profile"]["signals"]
    assert (tmp_path / "run" / "model.bundle").is_file()
    by_name = {row["name"]: row["mae"] for row in report["compress"]["rows"]}
    for task, floating in by_name["teacher"].items():
        assert by_name["teacher-int8"][task] == pytest.approx(floating, rel=0.1)
    for task, floating in by_name["two-way"].items():
        assert by_name["int8"][task] == pytest.approx(floating, rel=0.1)
    told = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert told["schema"] == "thumbnet.evaluate-hemodynamics/1"
    errors = told["errors"]["compressed network, int8"]
    assert {task: row["mae"] for task, row in errors.items()} == pytest.approx(by_name["aware"])
    assert {"network, float", "population mean", "pulse features"} <= told["errors"].keys()
    assert told["device"]["experts"]["active"]["largest"] == 1
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Which expert serves whom" in page and page.count('class="cloud"') == 20
    for folder in ("plots", "plots/int8"):
        assert len(list((tmp_path / "run" / folder).glob("*.png"))) == 20
    again = thumbnet("run", recipe, "--output", tmp_path / "run", timeout=3000)
    assert again.code == 0 and again.err.count("up to date") == 9
    assert "report:" in again.out and "compressed network, int8" in again.out


def test_the_published_sample_goes_through(tmp_path, shared_dir):
    """Train, compress and evaluate with the published options, down to a bundle that a board computes alike."""
    sample = shared_dir / "data" / "ppg" / "lsmoe-sample"
    files = ["--ppg_file", str(sample / "sampledata.npy"), "--labels_file", str(sample / "labels.npy")]
    teacher, small = tmp_path / "teacher", tmp_path / "small"
    trained = thumbnet("train", "hemodynamics", *files, *OPTIONS, "--output_dir", teacher, timeout=3000)
    assert trained.code == 0, trained.err
    assert "6 windows train, 2 validate, 2 are tested" in trained.out
    given = ["--teacher_weights", teacher / "model.keras", "--target_sparsity", "0.8", "--compare",
             "--distillation_epochs", "1", "--aware_epochs", "1", "--output_dir", small]  # fmt: skip
    done = thumbnet("compress", "hemodynamics", *files, *OPTIONS, *given, "--json", timeout=3000)
    assert done.code == 0, done.err
    report = done.json
    assert report["data"]["tasks"] == ["SBP", "DBP"]
    names = [row["name"] for row in report["compress"]["rows"]]
    assert names == ["teacher", "teacher-int8", "pruned", "retrained", "one-way", "two-way", "int8", "aware"]
    counts = [row["parameters"] for row in report["compress"]["rows"]]
    assert counts[-1] < counts[0]
    with np.load(small / "test_int8.npz") as arrays:
        assert arrays["estimates"].shape == arrays["labels"].shape
    again = thumbnet("compress", "hemodynamics", *files, *OPTIONS, *given, timeout=3000)
    assert again.err.count("up to date") == 4 and "no more can go" in again.out
    judged = thumbnet("evaluate", "hemodynamics", *files, *OPTIONS, "--output_dir", small, "--json", timeout=3000)
    assert judged.code == 0, judged.err
    assert set(judged.json["errors"]) >= {"model", "network, float", "compressed network, int8", "population mean"}
    assert judged.json["remarks"][0].startswith("6 windows train")
    weights = ["--model_path", teacher / "model.keras", "--output_dir", tmp_path / "evaluation"]
    published = thumbnet("evaluate", "hemodynamics", *files, *weights, timeout=3000)
    assert published.code == 0, published.err
    assert (tmp_path / "evaluation" / "evaluation.json").is_file()
    parity = thumbnet("parity", small / "model.bundle", "--board", "host", "--windows", "8", "--json", timeout=3000)
    assert parity.code == 0, parity.err
    assert parity.json["mismatches"] == 0


def test_divisions_of_real_people(tmp_path, shared_dir):
    """Two networks of one pass each: what is checked is the table, not its figures."""
    data = ["--source", "ppg-bp", "--data", shared_dir / "data" / "ppg" / "ppg-bp"]
    words = ["evaluate", "hemodynamics", *data, *OPTIONS, "--aware_epochs", "0", "--output_dir", tmp_path, "--json",
             "--repeats"]  # fmt: skip
    first = thumbnet(*words, "1", timeout=3000)
    assert first.code == 0, first.err
    both = thumbnet(*words, "2", timeout=3000)
    assert both.code == 0, both.err
    assert both.err.count("up to date") >= 5  # data, train, prune, compress and evaluate of the first division
    summary = both.json
    assert [row["test"] for row in summary["subjects"]] == [44, 44]
    assert list(summary["models"]["demographics only"]) == ["SBP", "DBP", "HR"]
    assert set(summary["models"]) >= {"compressed network, int8", "network, float, with demographics"}
    assert summary["absent"] == ["subject mean", "last cuff reading"]
    own = [table.json["models"]["compressed network, int8"]["SBP"]["mae"]["values"][0] for table in (first, both)]
    assert own[0] == own[1]
    # Real figures, fixed by the data: what a mean and demographics say about these people.
    demographics = summary["models"]["demographics only"]["SBP"]["mae"]["values"]
    assert demographics[0] == pytest.approx(12.6, abs=0.1)
