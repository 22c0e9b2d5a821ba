"""A search as a user starts it: real networks on few signals of 10 Hz. Nothing here says how good the networks are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from thumbnet.codegen import compile_model
from thumbnet.host_tools.build import build_firmware
from thumbnet.host_tools.elf import read_footprint
from thumbnet.host_tools.recipe_search import SearchTable
from thumbnet.host_tools.recipes import load_recipe
from thumbnet.host_tools.search.cost import ESTIMATED, LINKED, Cost, linked_bytes, measure

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "firmware" / "example_model" / "model.tflite"
RECIPE = """
name = "search"
[signals]
emg = "raw"
rate = 10.0
[signals.synthetic]
subjects = 4
hours = 1.0
[model]
filters = [4, 8]
[training]
epochs = 2
learning_rate = 0.003
[quantize]
calibration_windows = 16
[boards]
names = ["host"]
[search]
trials = 3
blocks = [1, 2]
filters = [4, 8]
window_passes = 200
finalists = 1
state_bytes = 4000
"""


# ---- costs


def test_costs_say_what_exceeds_which_budget():
    cost = Cost(3000, 20_000, 10**6, "stream-w", LINKED)
    assert cost.over({"state_bytes": 3000, "flash_bytes": 20_000}) == ""
    assert cost.over({"state_bytes": 2000, "flash_bytes": 20_000}) == "state_bytes 3,000 of 2,000"
    assert cost.excess({"state_bytes": 2000}) == {"state_bytes": 0.5}


def test_auto_keeps_to_the_budget_of_state_and_takes_the_least_where_none_does():
    tflite = MODEL.read_bytes()
    roomy = measure(tflite, "cortex-m4", "auto", {"state_bytes": 200_000})
    tight = measure(tflite, "cortex-m4", "auto", {"state_bytes": 4_000})
    hopeless = measure(tflite, "cortex-m4", "auto", {"state_bytes": 10})
    assert roomy.instructions <= tight.instructions and tight.state_bytes <= 4_000 and hopeless.state_bytes > 10


def test_without_a_cross_compiler_flash_is_an_estimate_and_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    cost = measure(MODEL.read_bytes(), "cortex-m4", "stream", {})
    assert cost.flash_source == ESTIMATED and abs(cost.flash_bytes - 29_000) < 6_000


@pytest.mark.qemu
@pytest.mark.parametrize("schedule", ["whole", "stream"])
def test_linked_bytes_are_those_of_the_firmware(schedule, tmp_path):
    compiled = compile_model(MODEL.read_bytes(), target="cortex-m4", schedule=schedule, app=True)
    compiled.write(tmp_path)
    image = read_footprint(build_firmware(tmp_path, "qemu_m4").elf)
    assert linked_bytes(compiled) == image.code_bytes + image.weight_bytes


def test_the_shipped_recipe_asks_for_what_the_network_itself_exceeds():
    recipe = load_recipe(ROOT / "training" / "recipes" / "sleep_search.toml")
    assert recipe.search.budgets == {"state_bytes": 2048, "flash_bytes": 24_576}
    assert SearchTable().budgets == {}


# ---- whole runs


def search(recipe: Path, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "thumbnet.host_tools", "search", "sleep", "--recipe", str(recipe),
             "--output", str(output), *more]  # fmt: skip
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
    pytest.importorskip("optuna", reason="the extra thumbnet[search] is not installed")
    path = tmp_path_factory.mktemp("recipe") / "search.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def done(recipe, tmp_path_factory):
    output = tmp_path_factory.mktemp("done") / "run"
    outcome = search(recipe, output, "--json")
    assert outcome.returncode == 0, outcome.stderr
    return output, json.loads(outcome.stdout)


@pytest.mark.train
@pytest.mark.slow
def test_a_search_leaves_front_choice_and_files(done):
    output, told = done
    assert told["schema"] == "thumbnet.search/1" and [row["trial"] for row in told["trials"]] == [0, 1, 2]
    assert told["trials"][0]["network"]["filters"] == [4, 8] and told["trials"][1]["network"]["filters"] == [4]
    assert set(told["front"]) <= {row["trial"] for row in told["trials"] if row["accuracy"] is not None}
    assert told["chosen"]["cost"]["state_bytes"] <= 4000 and told["chosen"]["over"] == ""
    for name in ("model.bundle", "model.tflite", "model.keras", "best.toml"):
        assert (output / "search" / name).is_file()
    assert (output / "plots" / "search_front.png").is_file()
    assert load_recipe(_with_best(output)).model.filters == tuple(told["chosen"]["widths"]["filters"])
    # The bundle's model costs what the search said.
    again = measure((output / "search" / "model.tflite").read_bytes(), "cortex-m4", "auto", {"state_bytes": 4000})
    assert again.to_dict() == told["chosen"]["cost"]


def _with_best(output: Path) -> Path:
    path = output / "again.toml"
    path.write_text('name = "again"\nsignals.emg = "raw"\n' + (output / "search" / "best.toml").read_text())
    return path


@pytest.mark.train
@pytest.mark.slow
def test_every_key_is_documented(done):
    text = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8").partition("thumbnet.search/1")[2]
    text = text.partition("## `thumbnet.predict/1`")[0]
    told = done[1]
    keys = {*told, *told["trials"][1], *told["trials"][1]["network"], *told["trials"][1]["cost"], *told["chosen"]}
    keys -= {"schema", "run"}
    assert [key for key in sorted(keys) if not re.search(rf"`{key}`", text)] == []


@pytest.mark.train
@pytest.mark.slow
def test_nothing_is_done_twice_and_more_trials_are_added(done, recipe):
    output, told = done
    again = search(recipe, output, "--json")
    assert json.loads(again.stdout) == told and again.stderr.count("up to date") == 2
    more = search(recipe, output, "--trials", "4", "--jobs", "2")
    assert more.returncode == 0 and "3 of 4 trials are done" in more.stderr, more.stderr
    assert "Pareto front" in more.stdout and "recipe's own" in more.stdout


@pytest.mark.train
@pytest.mark.slow
def test_budgets_that_nothing_meets_are_one_sentence(recipe, tmp_path):
    outcome = search(recipe, tmp_path / "run", "--max-flash", "1K", "--trials", "2")
    last = outcome.stderr.splitlines()[-1]
    assert outcome.returncode == 2 and outcome.stdout == ""
    assert last.startswith("thumbnet: error: none of 2 networks keeps within search.state_bytes = 4000, ")
    assert "search.flash_bytes = 1024; the nearest, 4 k3 h0, 50% pruned" in last and "allow more" in last
    assert not (tmp_path / "run" / "search.json").exists()


@pytest.mark.train
@pytest.mark.slow
def test_ray_does_the_same_trials(done, recipe, tmp_path):
    pytest.importorskip("ray", reason="the extra thumbnet[ray] is not installed")
    outcome = search(recipe, tmp_path / "run", "--json", "--engine", "ray", "--address", "local")
    assert outcome.returncode == 0, outcome.stderr
    told, expected = json.loads(outcome.stdout), done[1]
    for rows in (told["trials"], expected["trials"]):
        for row in rows:
            row.pop("cpu_seconds", None)
    assert told["trials"] == expected["trials"] and told["front"] == expected["front"]
