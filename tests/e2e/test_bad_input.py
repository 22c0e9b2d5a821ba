"""`thumbnet run` on bad recipes and bad data: exit code 2, one sentence, and nothing left that looks like a result."""

import numpy as np
import pytest
from support.command import thumbnet

RECIPE = 'name = "bad"\n[signals]\nemg = "raw"\n[boards]\nnames = ["host"]\n'


def attempt(folder, recipe=RECIPE, *words):
    (folder / "bad.toml").write_text(recipe)
    outcome = thumbnet("run", folder / "bad.toml", "--output", folder / "run", *words)
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    assert not (folder / "run" / "report.html").exists()
    last = outcome.err.strip().splitlines()[-1]
    assert last.startswith("thumbnet: error: ")
    return last


def write_edf(path, signals, rate=100, labels=("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal", "EMG submental")):
    import edfio

    edfio.Edf([edfio.EdfSignal(s, rate, label=name, physical_dimension="uV", physical_range=(-500, 500))
               for s, name in zip(signals, labels, strict=True)]).write(path)  # fmt: skip


def noise(minutes=20, channels=4):
    return np.random.default_rng(1).normal(0, 20, (channels, minutes * 6000)).clip(-499, 499)


def test_no_recipe(tmp_path):
    outcome = thumbnet("run", tmp_path / "none.toml")
    assert outcome.code == 2 and "does not exist" in outcome.sentence


def test_no_data_folder(tmp_path):
    assert "does not exist" in attempt(tmp_path, RECIPE, "--data", tmp_path / "nights")


def test_an_empty_data_folder(tmp_path):
    (tmp_path / "nights").mkdir()
    assert "at least one recording" in attempt(tmp_path, RECIPE, "--data", tmp_path / "nights")


def test_an_unknown_board_names_the_nearest(tmp_path):
    sentence = attempt(tmp_path, RECIPE.replace("host", "qemu_m44"))
    assert "unknown board 'qemu_m44'" in sentence and "qemu_m4" in sentence


def test_an_output_folder_of_something_else(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("x")
    assert "holds thesis.tex but no run.json" in attempt(tmp_path)


def test_a_damaged_run_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{")
    assert "is damaged" in attempt(tmp_path)


def test_a_recording_without_hypnogram(tmp_path):
    (tmp_path / "nights").mkdir()
    write_edf(tmp_path / "nights" / "a.edf", noise())
    assert "hypnogram" in attempt(tmp_path, RECIPE, "--data", tmp_path / "nights")


def test_a_recording_without_a_channel(tmp_path):
    (tmp_path / "nights").mkdir()
    write_edf(tmp_path / "nights" / "a.edf", noise(channels=3), labels=("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal"))
    assert "'EMG'" in attempt(tmp_path, RECIPE, "--data", tmp_path / "nights")


def test_a_truncated_recording(tmp_path):
    (tmp_path / "nights").mkdir()
    (tmp_path / "nights" / "a.edf").write_bytes(b"0       " + b" " * 100)
    assert "a.edf" in attempt(tmp_path, RECIPE, "--data", tmp_path / "nights")


def test_a_flat_channel(tmp_path):
    (tmp_path / "nights").mkdir()
    signals = noise()
    signals[2] = 0
    write_edf(tmp_path / "nights" / "a.edf", signals)
    assert "a.edf" in attempt(tmp_path, RECIPE, "--data", tmp_path / "nights")


@pytest.mark.parametrize("words", [("report", "{}"), ("report", "{}/none")])
def test_a_report_of_no_run(tmp_path, words):
    outcome = thumbnet(*(word.format(tmp_path) for word in words))
    assert outcome.code == 2 and "is not the folder of a run" in outcome.sentence


@pytest.mark.train
def test_convert_refuses_what_is_no_model_or_no_array(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2), np.float32))
    (tmp_path / "m.keras").write_bytes(b"not a model")
    missing = thumbnet("convert", tmp_path / "none.keras", "--calibration", tmp_path / "x.npy")
    assert missing.code == 2 and "does not exist" in missing.sentence
    broken = thumbnet("convert", tmp_path / "m.keras", "--calibration", tmp_path / "x.npy")
    assert broken.code == 2 and "cannot be read as a Keras model" in broken.err
    assert not (tmp_path / "m.tflite").exists()
