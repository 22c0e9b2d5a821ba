"""k-fold runs as a user starts them: interrupted, in parallel, on Ray, they end with the same figures.

Signals are made up, sampled at 10 Hz and few, so that a fold takes seconds: nothing here says how good the network is.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = [pytest.mark.train, pytest.mark.slow]

RECIPE = """
name = "folds"
[signals]
emg = "raw"
rate = 10.0
[signals.synthetic]
subjects = 5
hours = 1.0
[training]
epochs = 8
learning_rate = 0.003
[folds]
count = 2
protocols = ["subject-wise", "published"]
[quantize]
calibration_windows = 16
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "folds.toml"
    path.write_text(RECIPE)
    return path


def words(recipe: Path, output: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "thumbnet.host_tools", "folds", "sleep", "--recipe", str(recipe),
            "--output", str(output), "--json", *more]  # fmt: skip


def figures(output: Path) -> dict:
    """What a run came to, without how long it took."""
    protocols = json.loads((output / "folds.json").read_text())["protocols"]
    for summary in protocols.values():
        for row in summary["fold_list"]:
            row.pop("seconds")
    return protocols


@pytest.fixture(scope="module")
def unbroken(recipe, tmp_path_factory):
    output = tmp_path_factory.mktemp("unbroken") / "run"
    done = subprocess.run(words(recipe, output, "--jobs", "2"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output, json.loads(done.stdout)


def test_both_protocols_and_all_models_are_there(unbroken):
    output, content = unbroken
    assert content["schema"] == "thumbnet.folds/1" and list(content["protocols"]) == ["subject-wise", "published"]
    for protocol, summary in content["protocols"].items():
        assert set(summary["models"]) == {"float", "int8", "band_power", "majority"}
        assert summary["folds"] == 2 and summary["label"].startswith(protocol)
        assert summary["generalises"] == (protocol == "subject-wise") == (not summary["leaks"])
        pooled = summary["models"]["int8"]["pooled"]
        assert sum(map(sum, pooled["confusion"])) == summary["epochs"]
        assert 0 < summary["wake_share"] == pooled["shares"]["W"] < 1
        assert summary["statistics"]["nights"] == summary["recordings"]
        assert (output / "folds" / protocol / "02" / "model.tflite").is_file()
        assert list((output / "folds" / protocol / "02" / "tensorboard").iterdir())
        assert (output / "plots" / f"folds_{protocol}_confusion_int8.svg").is_file()
    assert content["protocols"]["subject-wise"]["subjects"] == 5
    assert "1 recordings beyond equal folds are left out" in content["protocols"]["published"]["leaks"][-1]


def test_nothing_is_done_twice(recipe, unbroken):
    output, content = unbroken
    done = subprocess.run(words(recipe, output), capture_output=True, text=True, check=False)
    assert done.stderr.count("up to date") == 2 and json.loads(done.stdout) == content


def test_a_run_killed_at_a_random_moment_ends_with_the_same_figures(recipe, unbroken, tmp_path):
    """Twice: once soon after the start, when signals may still be read, and once while folds are trained."""
    output = tmp_path / "run"
    seed = random.SystemRandom().randrange(10**6)
    moments = [random.Random(seed).uniform(0, 15), random.Random(seed).uniform(0, 40)]
    while not (output / "folds.json").is_file():
        run = subprocess.Popen(
            words(recipe, output, "--jobs", "2"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if moments:
            limit = time.monotonic() + moments.pop(0)
            while time.monotonic() < limit and run.poll() is None:
                time.sleep(0.05)
            run.kill()
        _, errors = run.communicate()
        assert run.returncode in (0, -signal.SIGKILL), f"seed {seed}: {errors}"
    assert figures(output) == figures(unbroken[0]), f"seed {seed}"


def test_ray_gives_the_same_figures(recipe, unbroken, tmp_path):
    pytest.importorskip("ray", reason="the extra thumbnet[ray] is not installed")
    more = ("--engine", "ray", "--address", "local")
    done = subprocess.run(words(recipe, tmp_path / "run", *more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert figures(tmp_path / "run") == figures(unbroken[0])


def test_a_recipe_without_folds_is_one_sentence(recipe, tmp_path):
    (tmp_path / "x.toml").write_text(RECIPE.replace("count = 2", "count = 0"))
    done = subprocess.run(words(tmp_path / "x.toml", tmp_path / "run"), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "the recipe asks for no folds; set folds.count" in done.stderr.splitlines()[-1]
