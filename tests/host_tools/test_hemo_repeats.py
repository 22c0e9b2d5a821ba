"""`thumbnet evaluate hemodynamics --repeats`: divisions, their summary and its table; nothing is trained here."""

from __future__ import annotations

import json
import types
from dataclasses import replace

import numpy as np
import pytest
from thumbnet.host_tools.cli import run
from thumbnet.host_tools.hemodynamics import evaluation, repeats
from thumbnet.host_tools.hemodynamics.evaluate import write_evaluation
from thumbnet.host_tools.hemodynamics.judging import Judged
from thumbnet.host_tools.pipeline.folder import RunFolder
from thumbnet.training.hemodynamics.protocols import divide
from thumbnet.training.hemodynamics.sources import Data, DataConfig
from thumbnet.training.hemodynamics.synthetic import synthetic_windows
from thumbnet.training.hemodynamics.windowset import PpgWindows


def judged(seed: int, windows: PpgWindows) -> Judged:
    """A network that is off by 2 and, where the seed is odd, by 40; its integers by 1 more."""
    off = 2 if seed % 2 == 0 else 40
    estimated = windows.labels + off * np.where(np.arange(len(windows)) % 2, 1, -1)[:, None]
    return Judged("compressed network, float", DataConfig(seed=seed).to_dict(), None,
                  Data(windows, divide(windows, seed=seed)), estimated,
                  {"network, float": estimated, "compressed network, int8": estimated + 1})  # fmt: skip


@pytest.fixture
def windows() -> PpgWindows:
    """One window of each person, so that nobody has an earlier reading."""
    return replace(synthetic_windows(40, 1, seed=3).with_tasks(["SBP", "DBP"]), name="a set")


@pytest.fixture
def stand_ins(windows, monkeypatch):
    """Runs without networks; returns the names of the folders as they were worked in and judged."""
    seen = []

    def run_hemo_part(recipe, place, last, say, new_task):
        assert last == "compress" and recipe.training.seed == recipe.source.seed
        seen.append(place.name)
        return types.SimpleNamespace(folder=RunFolder.create(place, recipe.name))

    def evaluate(run):
        if not run.folder.up_to_date("evaluate", "key"):
            seen.append("judged")
            found = judged(int(run.folder.path.name.split("_")[1]), windows)
            run.folder.perform("evaluate", "key", lambda folder: write_evaluation(found.report(), found, folder) or {})

    monkeypatch.setattr(repeats, "run_hemo_part", run_hemo_part)
    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr("thumbnet.training.hemodynamics.plots.save_plots", lambda *arguments: [])
    return seen


def test_each_division_has_a_run_and_a_place_in_the_summary(stand_ins, tmp_path, capsys):
    words = ["evaluate", "hemodynamics", "--repeats", "3", "--seed", "4", "--output_dir", str(tmp_path / "out")]
    assert run([*words, "--num_experts", "2"]) == 0
    assert stand_ins == ["seed_4", "judged", "seed_5", "judged", "seed_6", "judged"]
    text = capsys.readouterr().out
    assert "a set: 3 divisions, 8 subjects tested in each" in text
    assert "14.67 +- 21.94" in text  # 2, 40, 2
    assert text.count("2 of 3") == 4  # the network and its integers, twice
    assert "last cuff reading: none, as it needs an earlier reading of the tested person" in text
    assert "no confidence interval" in text and "no protocol pass" in text
    summary = json.loads((tmp_path / "out" / "repeats.json").read_text())
    assert summary["schema"] == "thumbnet.repeats-hemodynamics/1"
    assert summary["seeds"] == [4, 5, 6] and summary["absent"] == ["subject mean", "last cuff reading"]
    model = summary["models"]["network, float"]["SBP"]  # nothing was removed from it
    assert model["mae"]["values"] == pytest.approx([2, 40, 2])
    assert model["mae"]["mean"] == pytest.approx(44 / 3) and model["better"] == 2
    assert "compressed network, float" not in summary["models"]
    assert set(summary["models"]) >= {"compressed network, int8", "population mean", "demographics only"}
    assert (tmp_path / "out" / "seed_5" / "evaluation.json").is_file()


def test_what_is_finished_is_not_done_again(stand_ins, tmp_path, capsys):
    words = ["evaluate", "hemodynamics", "--output-dir", str(tmp_path), "--json", "--repeats"]
    assert run([*words, "1"]) == 0
    first = json.loads(capsys.readouterr().out)
    stand_ins.clear()
    assert run([*words, "2"]) == 0
    assert stand_ins == ["seed_0", "seed_1", "judged"]
    both = json.loads(capsys.readouterr().out)
    own = [found["models"]["compressed network, int8"]["DBP"]["mae"]["values"][0] for found in (first, both)]
    assert own[0] == own[1]


def test_one_division_has_no_deviation(windows):
    summary = repeats.summarise({7: judged(7, windows).report()})
    row = summary["models"]["population mean"]["SBP"]["mae"]
    assert row["sd"] is None and row["values"] == [row["mean"]]
    assert not any("confidence" in line for line in summary["remarks"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--repeats", "2", "--run", "x"], "--repeats trains its own networks"),
        (["--repeats", "2", "--test-source", "synthetic"], "--repeats trains its own networks"),
        (["--repeats", "0"], "0 is not in the range"),
        (["--num-experts", "4"], "--num-experts is about a network: name its run"),
        (["--target-sparsity", "0.5"], "--target-sparsity is about a network: name its run"),
        (["--model_path", "absent/model.keras"], "absent must be the folder of a run"),
    ],
)
def test_options_that_do_not_go_together_are_told(words, sentence, capsys):
    assert run(["evaluate", "hemodynamics", *words]) == 2
    text = capsys.readouterr().err
    assert sentence in text and text.count("\n") == 1


def test_divisions_do_not_go_into_the_folder_of_a_run(tmp_path, capsys):
    RunFolder.create(tmp_path / "run", "run").save()
    assert run(["evaluate", "hemodynamics", "--repeats", "2", "--output-dir", str(tmp_path / "run")]) == 2
    assert "is the folder of one run; divisions need a folder of their own" in capsys.readouterr().err
