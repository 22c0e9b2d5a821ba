"""A short run, whole: synthetic nights, a few passes of training, int8, C, host firmware, parity, report.

What this shows: every stage hands the next what it needs, byte-exact parity holds on the host for a trained network,
and a second run does nothing. What it does not show: that the network is any good (it is hardly trained; the demo
shows that), or anything about boards (`tests/firmware`, and the slow test below).
"""

import functools
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.command import thumbnet

pytestmark = pytest.mark.train

RECIPE = """
name = "short"
[signals]
emg = "raw"
[signals.synthetic]
subjects = 3
hours = 1.0
seed = 11
[training]
epochs = 2
[quantize]
calibration_windows = 24
[boards]
names = ["host"]
windows = 12
[budgets]
parity_mismatches = 0
state_bytes = 400_000
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("short")
    (folder / "short.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def first(place):
    outcome = thumbnet("run", place / "short.toml", "--output", place / "run", "--json", timeout=600)
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.fixture(scope="module")
def run(place, first):
    return place / "run"


def test_every_artefact_is_there(run):
    for name in ("model.keras", "model.tflite", "model.bundle", "history.json", "metrics.json", "parity.json",
                 "profile.json", "run.json", "report.html", "report.json", "generated/host/src/model.c",
                 "firmware/host.elf", "plots/hypnogram.png", "plots/confusion_int8.svg", "plots/learning_curves.png",
                 "signals/SC4001E0-PSG.edf"):  # fmt: skip
        assert (run / name).is_file(), name
    assert [path.name for path in run.glob(".*")] == [".lock"]


def test_parity_is_exact_on_held_out_windows(run):
    parity = json.loads((run / "parity.json").read_text())["boards"]["host"]
    assert parity["windows"] == 12
    assert parity["bytes"] == 12 * 5
    assert parity["mismatches"] == 0 and parity["passed"]


def test_the_report_says_what_the_files_say(run, first):
    report = first.json
    assert report["schema"] == "thumbnet.report/1"
    assert report["model"]["parameters"] == 13337
    assert report["model"]["hash"] == json.loads((run / "parity.json").read_text())["boards"]["host"]["model"]["sha256"]
    assert report["run"]["protocol"] == "subject-wise"
    parts = report["signals"]["subjects"]
    assert not set(parts["train"]) & set(parts["test"]) and not set(parts["train"]) & set(parts["validation"])
    assert report["metrics"]["baseline"]["epochs"] == report["metrics"]["int8"]["epochs"]
    assert 0 <= report["agreement"]["share"] <= 1
    page = (run / "report.html").read_text()
    assert "0 of 60 output bytes differ" in page
    assert not re.findall(r"""(?:src|href)\s*=|url\(|https?://""", page)


def test_the_parity_windows_are_the_bundle_s_codes_of_the_test_subject(run):
    windows = np.load(run / "parity_windows.npy")
    assert windows.shape == (12, 4, 3000, 1) and windows.dtype == np.int8
    assert windows.min() >= -127


def test_run_file_names_inputs_versions_seeds_and_metrics(run):
    content = json.loads((run / "run.json").read_text())
    assert content["seeds"] == {"signals": 11, "training": 1, "quantize": 1}
    assert content["versions"]["tensorflow"]
    assert set(content["metrics"]) == {"float", "int8", "baseline"}
    inputs = content["stages"]["signals"]["facts"]["inputs"]
    assert len(inputs) == 6 and all(len(item["sha256"]) == 64 for item in inputs)


def test_a_second_run_does_nothing(place, first):
    outcome = thumbnet("run", place / "short.toml", "--output", place / "run")
    assert outcome.code == 0, outcome.err
    stages = [line for line in outcome.err.splitlines() if line]
    assert stages and all(line.endswith("up to date") for line in stages)
    assert "0 of 60 bytes" in outcome.out


def test_an_interrupted_run_leaves_nothing_half_written_and_goes_on(place, tmp_path):
    words = [sys.executable, "-m", "thumbnet.host_tools", "run", place / "short.toml", "--output", tmp_path / "run"]
    # A shell that runs these tests in the background leaves its children deaf to interrupts.
    hear = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=hear) as process:
        for line in process.stderr:
            if line.startswith("train"):
                process.send_signal(signal.SIGINT)
                break
        process.stderr.read()
    assert process.returncode == 130
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "cache", "run.json", "signals"]
    again = thumbnet("train", "sleep", "--recipe", place / "short.toml", "--output", tmp_path / "run")
    assert again.code == 0, again.err
    assert "signals                  up to date" in again.err
    assert (tmp_path / "run" / "model.keras").is_file()


def test_other_windows_redo_only_what_depends_on_them(place, run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (tmp_path / "short.toml").write_text(RECIPE.replace("windows = 12", "windows = 4"))
    outcome = thumbnet("run", tmp_path / "short.toml", "--output", copy)
    assert outcome.code == 0, outcome.err
    skipped = {line.split()[0] for line in outcome.err.splitlines() if line.endswith("up to date")}
    assert skipped == {"signals", "train", "plots", "generate:host", "build:host", "profile:host"}


def test_an_exceeded_budget_fails_the_run_after_the_report(place, run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (tmp_path / "short.toml").write_text(RECIPE.replace("400_000", "1_000"))
    outcome = thumbnet("run", tmp_path / "short.toml", "--output", copy)
    assert outcome.code == 1
    assert "budgets.state_bytes allows at most 1000, host has" in outcome.err
    assert "exceeded" in (copy / "report.html").read_text()


def test_report_of_a_run_into_another_folder(run, tmp_path):
    outcome = thumbnet("report", run, "--output", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "out" / "report.html").is_file()
    assert outcome.json == json.loads((tmp_path / "out" / "report.json").read_text())


def test_a_night_is_scored_with_the_bundle_on_the_host_board(run, tmp_path):
    night = run / "signals" / "SC4001E0-PSG.edf"
    results = {}
    for name, words in {"oracle": (), "board": ("--board", "host")}.items():
        outcome = thumbnet(
            "predict", night, "--model", run / "model.bundle", "--output", tmp_path / name, "--json", *words
        )
        assert outcome.code == 0, outcome.err
        results[name] = outcome.json
    assert results["board"]["scorer"] == "board host"
    assert results["board"]["probabilities"] == results["oracle"]["probabilities"]


def test_evaluate_reads_the_same_run(place, first):
    outcome = thumbnet("evaluate", "sleep", "--recipe", place / "short.toml", "--output", place / "run", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["metrics"] == first.json["metrics"]


def test_convert_gives_the_int8_model_again(run, tmp_path):
    from thumbnet.quantize.bundle import Bundle
    from thumbnet.training.sleep.config import SignalConfig
    from thumbnet.training.sleep.dataset import load_folder

    epochs = load_folder(run / "signals", SignalConfig(emg="raw"))
    np.save(tmp_path / "x.npy", Bundle.read(run / "model.bundle").scaling.apply(epochs.signals[:16]))
    words = ("--calibration", tmp_path / "x.npy", "--output", tmp_path / "m.tflite", "--json")
    outcome = thumbnet("convert", run / "model.keras", *words)
    assert outcome.code == 0, outcome.err
    analysis = thumbnet("analyze", tmp_path / "m.tflite", "--json")
    assert analysis.code == 0 and analysis.json["macs"] == 2_795_264


@pytest.mark.slow
@pytest.mark.qemu
def test_the_same_model_on_two_emulated_boards(place, run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    words = ("--board", "qemu_m4", "--board", "netduinoplus2", "--json")
    outcome = thumbnet("run", place / "short.toml", "--output", copy, *words, timeout=600)
    assert outcome.code == 0, outcome.err
    assert [board["parity"]["mismatches"] for board in outcome.json["boards"]] == [0, 0]
    assert all(board["profile"]["instructions"] for board in outcome.json["boards"])
    assert not (copy / "firmware" / "host.elf").exists()


@pytest.mark.slow
def test_a_real_recording_of_one_person(shared_dir, tmp_path):
    recording = shared_dir / "data" / "sleep" / "dreams-spindles" / "excerpt3.edf"
    if not recording.is_file():
        pytest.skip(f"{recording} is not on this machine")
    (tmp_path / "data").mkdir()
    shutil.copyfile(recording, tmp_path / "data" / "excerpt3.edf")
    recipe = Path(__file__).resolve().parents[2] / "training" / "recipes" / "sleep_demo.toml"
    words = ("--data", tmp_path / "data", "--board", "host", "--output", tmp_path / "run", "--json")
    outcome = thumbnet("run", recipe, *words, timeout=900)
    assert outcome.code in (0, 1), outcome.err
    assert "no generalisation claim" in outcome.json["run"]["protocol"]
    assert outcome.json["boards"][0]["parity"]["mismatches"] == 0
    assert "no generalisation claim" in (tmp_path / "run" / "report.html").read_text()
