"""Commands of the published code on ten windows in the published format; what needs training is in test_hemo_runs."""

from __future__ import annotations

import types

import numpy as np
import pytest
from thumbnet.host_tools.cli import run
from thumbnet.host_tools.hemodynamics import printing
from thumbnet.host_tools.hemodynamics import run as runs
from thumbnet.training.hemodynamics.synthetic import synthetic_windows

NETWORK = ["--num_experts", "4", "--hidden_channels", "16", "--noisy_gating", "--noise_type", "salt_and_pepper", "--k",
           "2", "--use_msfgm"]  # fmt: skip
TRAINING = ["--epochs", "2", "--batch_size", "4", "--lr", "0.001"]


@pytest.fixture
def pair(tmp_path):
    """Ten windows and their pressures, as the published sample has them: no subjects, no names."""
    windows = synthetic_windows(10, 1).with_tasks(["SBP", "DBP"])
    np.save(tmp_path / "sampledata.npy", windows.signals.astype(float))
    np.save(tmp_path / "labels.npy", windows.labels)
    return ["--ppg_file", str(tmp_path / "sampledata.npy"), "--labels_file", str(tmp_path / "labels.npy")]


@pytest.fixture
def untrained(monkeypatch):
    """Runs that only read their windows; returns the recipes and how far each would have gone."""
    seen = []
    real = runs.run_hemo_part

    def read_only(recipe, place, last, say, new_task):
        seen.append((recipe, last))
        return real(recipe, place, "data", say, new_task)

    monkeypatch.setattr(runs, "run_hemo_part", read_only)
    for name in ("print_training", "print_compression"):
        monkeypatch.setattr(printing, name, lambda run: None)
    return seen


def test_the_published_options_make_the_same_recipe_everywhere(pair, untrained, tmp_path, capsys):
    place = ["--output_dir", str(tmp_path / "run")]
    assert run(["train", "hemodynamics", *pair, *NETWORK, *TRAINING, *place]) == 0, capsys.readouterr().err
    smaller = ["--target_sparsity", "0.8", "--teacher_weights", str(tmp_path / "run" / "model.keras")]
    assert run(["compress", "hemodynamics", *pair, *NETWORK, *smaller, *place]) == 0, capsys.readouterr().err
    (trained, first), (compressed, second) = untrained
    assert (first, second) == ("train", "compress")
    for recipe in (trained, compressed):
        config = recipe.model.sizes(1250, 2)
        assert (config.experts, config.channels, config.k) == (4, 16, 2)
        assert (config.noisy, config.noise, config.use_msfgm) == (True, "salt-and-pepper", True)
    assert (trained.training.epochs, trained.training.batch_size, trained.training.learning_rate) == (2, 4, 0.001)
    assert compressed.compression.target_sparsity == 0.8
    assert compressed.training.weights.endswith("model.keras")
    facts = runs.RunFolder.open(tmp_path / "run").facts("data")
    assert facts["tasks"] == ["SBP", "DBP"]
    assert facts["windows"] == {"train": 6, "validation": 2, "test": 2, "known": 0}


def test_evaluation_takes_them_too_and_says_what_two_windows_are_worth(pair, tmp_path, capsys):
    assert run(["evaluate", "hemodynamics", *pair]) == 0
    text = capsys.readouterr().out
    assert "6 windows train, 2 validate, 2 are tested: enough to see that every step works, too few" in text
    words = [*NETWORK, *TRAINING, "--model_weights", str(tmp_path / "model.keras")]
    assert run(["evaluate", "hemodynamics", *pair, *words]) == 2
    assert "must be the folder of a run" in capsys.readouterr().err


def test_a_teacher_of_another_division_is_refused(pair, untrained, tmp_path, capsys):
    """It has learned from people whom the new division tests."""
    assert run(["train", "hemodynamics", *pair, "--seed", "1", "--output_dir", str(tmp_path / "run")]) == 0
    weights = ["--teacher_weights", str(tmp_path / "run" / "model.keras"), "--output_dir", str(tmp_path / "small")]
    capsys.readouterr()
    assert run(["compress", "hemodynamics", *pair, *weights, "--seed", "2"]) == 2
    text = capsys.readouterr().err
    assert "has learned from people who are tested here: data.seed was 1 and is 2" in text and text.count("\n") == 1
    assert not (tmp_path / "small").exists()
    assert run(["compress", "hemodynamics", *pair, *weights, "--seed", "1"]) == 0
    assert run(["compress", "hemodynamics", *weights, "--subjects", "12"]) == 0  # other data: nobody is known


def compressed(asked: float, left: int, windows: tuple[int, int, int]):
    """Facts of a run whose network kept `left` of 100 parameters."""
    row = {"name": "teacher", "title": "teacher, float", "mae": {"SBP": 9.0}, "parameters": 100, "active_macs": 50,
           "served": [1.0], "gain_kept": None}  # fmt: skip
    facts = {
        "data": {"tasks": ["SBP"], "windows": dict(zip(("train", "validation", "test"), windows, strict=True))},
        "compress": {"rows": [row, {**row, "name": "device", "parameters": left}], "table": {"target_sparsity": asked},
                     "missing": [], "why_no_bundle": "none is needed here"},
    }  # fmt: skip
    return types.SimpleNamespace(folder=types.SimpleNamespace(facts=facts.__getitem__))


def test_a_network_too_small_for_its_target_says_so(capsys):
    printing.print_compression(compressed(0.8, 40, (6, 2, 2)))
    text = capsys.readouterr().out
    assert "pruned by 60.0% instead of 80.0%: of a network of these sizes no more can go" in text
    assert "6 windows train, 2 validate, 2 are tested" in text
    printing.print_compression(compressed(0.5, 50, (900, 300, 300)))
    text = capsys.readouterr().out
    assert "pruned by" not in text and "too few" not in text


def test_no_gain_is_not_minus_nothing(pair, capsys):
    run_ = compressed(0.5, 50, (6, 2, 2))
    quality = {"mae": {"SBP": 10.01}, "mean_mae": {"SBP": 10.0}, "gain": {"SBP": -0.001}, "served": [1.0]}
    network = {"parameters": 1, "active_macs": 1, "most_active": 1, "config": {"experts": 1}}
    facts = {"data": {**run_.folder.facts("data"), "name": "few", "label": "calibration-free"},
             "train": {"network": network, "quality": quality}}  # fmt: skip
    run_.folder = types.SimpleNamespace(facts=facts.__getitem__, output=lambda name: name)
    printing.print_training(run_)
    assert "-0" not in capsys.readouterr().out
