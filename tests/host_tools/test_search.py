"""Search without training: choices, budgets, interruption, front; what a real network does is in test_search_runs.py.

The judge here is a formula, so that these tests say how a search goes on, not how good its networks are.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from report_sample import sample_report
from thumbnet.host_tools.recipe_search import ModelTable, SearchTable
from thumbnet.host_tools.recipes import RecipeError, parse_recipe
from thumbnet.host_tools.report.page import render
from thumbnet.host_tools.report.search import search_section
from thumbnet.host_tools.search.front import finalists, nearest_miss, pareto_front
from thumbnet.host_tools.search.space import Candidate, first_trials, own_network, parameters_of, smallest, suggest
from thumbnet.host_tools.search.text import recipe_lines

OWN = Candidate((8, 16, 32), 3, 64, 0.0, 99.5)


def record(trial, accuracy, flash, state=100, instructions=1000, **changes):
    network = Candidate((trial + 1,), 3, 0, 0.0, 99.5).to_dict()
    cost = {"flash_bytes": flash, "state_bytes": state, "instructions": instructions}
    outcome = "over budget" if accuracy is None else "trained"
    return {"trial": trial, "network": network, "outcome": outcome, "accuracy": accuracy, "cost": cost,
            "reason": "", **changes}  # fmt: skip


# ---- front and choice


def test_the_front_holds_what_no_other_trial_beats():
    trials = [
        record(0, 0.80, 20_000),
        record(1, 0.80, 19_000),  # beats 0
        record(2, 0.70, 10_000),
        record(3, 0.70, 10_000, state=90),  # beats 2
        record(4, 0.60, 30_000, instructions=10),  # cheapest in one figure
        record(5, None, 1),  # never trained
        record(6, 0.60, 30_000, instructions=10),  # the same figures as 4
    ]
    assert pareto_front(trials) == [1, 3, 4]
    assert pareto_front([record(0, None, 1)]) == []


def test_finalists_are_the_most_accurate_and_not_twice_the_same_network():
    twin = record(3, 0.90, 12_000, network=record(1, 0, 0)["network"])
    trials = [record(0, 0.80, 10_000), record(1, 0.90, 12_000), record(2, 0.90, 11_000), twin]
    assert [row["trial"] for row in finalists(trials, 3)] == [2, 1, 0]


def test_the_nearest_miss_is_by_the_worst_budget():
    trials = [record(0, None, 200, state=900), record(1, None, 300, state=300)]
    assert nearest_miss(trials, {"flash_bytes": 100, "state_bytes": 100})["trial"] == 1


def test_the_report_shows_the_front_and_both_networks():
    def full(accuracy, flash, measured):
        shares = {part: {"float": accuracy, "int8": accuracy} for part in ("validation", "test")}
        return {"network": OWN.to_dict(), "widths": {"filters": [8, 16, 32], "hidden_units": 64}, "parameters": 11869,
                "cost": {"flash_bytes": flash, "state_bytes": 1500, "instructions": 3_000_000}, "accuracy": shares,
                "measured": measured}  # fmt: skip

    trials = [record(0, None, 40_000), record(1, 0.85, 15_000), record(2, 0.80, 10_000), record(3, 0.70, 20_000)]
    found = {
        "windows": {"validation": 600, "test": 700}, "target": "cortex-m4",
        "outcomes": {"over budget": 1, "trained": 3}, "budgets": {"flash_bytes": 24_576},
        "trials": trials, "front": [1, 2], "full": full(0.9, 28_000, None),
        "chosen": {"trial": 1, **full(0.886, 15_000, {"board": "qemu_m4", "instructions": 2_500_000})},
    }  # fmt: skip
    section = search_section(found)
    flash, state, _ = section["panels"]
    assert [point["kind"] for point in flash["points"]] == ["trained", "front", "chosen"]
    assert 0 < flash["points"][1]["left"] < flash["points"][2]["left"] < flash["budget"] < 100
    assert state["budget"] is None
    assert flash["points"][2]["top"] < flash["points"][1]["top"] < flash["points"][0]["top"]
    page = render({**sample_report(), "search": found})
    assert "Search for other sizes" in page and "trial 1, chosen" in page and "88.6" in page
    assert "Search for other sizes" not in render({**sample_report(), "search": None})


# ---- space


def test_a_search_begins_with_the_own_network_the_smallest_and_the_own_one_pruned():
    table = SearchTable()
    first = [suggest(Chosen(params), table) for params in first_trials(OWN, table)]
    assert first[0] == OWN and first[1] == suggest(Chosen(smallest(table)), table)
    assert [(network.filters, network.prune) for network in first[2:]] == [(OWN.filters, 0.25), (OWN.filters, 0.5)]
    assert first_trials(Candidate((7,), 3, 64, 0.0, 99.5), table) == [{}, smallest(table)]


class Chosen:
    """Stands for Optuna's trial."""

    def __init__(self, params):
        self.params = params

    def suggest_int(self, name, low, high):
        assert low <= self.params[name] <= high
        return self.params[name]


def test_parameters_and_candidates_are_the_same_thing():
    table = SearchTable()
    assert suggest(Chosen(parameters_of(OWN, table)), table) == OWN
    small = suggest(Chosen(smallest(table)), table)
    assert small == Candidate((4, 4), 3, 0, 0.5, 99.5)
    assert Candidate.from_dict(small.to_dict()) == small
    assert parameters_of(Candidate((5,), 3, 64, 0.0, 99.5), table) is None


def test_the_recipes_own_network_and_the_way_back():
    recipe = parse_recipe({"name": "x", "signals": {"emg": "raw"}, "model": {"filters": [4, 8], "hidden_units": 0}})
    assert own_network(recipe) == Candidate((4, 8), 3, 0, 0.0, 99.9)
    text = recipe_lines({"network": OWN.to_dict(), "widths": {"filters": [8, 16, 32], "hidden_units": 64}})
    assert "filters = [8, 16, 32]" in text and "clip_percentile = 99.5" in text
    assert ModelTable().sizes() == {"filters": (8, 16, 32), "taps": 3, "hidden_units": 64}


@pytest.mark.parametrize(
    ("table", "key", "allowed", "got"),
    [
        ({"search": {"filters": []}}, "search.filters", "at least one number", "[]"),
        ({"search": {"filters": [0]}}, "search.filters.0", "at least 1", "0"),
        ({"search": {"trials": 0}}, "search.trials", "at least 1", "0"),
        ({"search": {"target": "z80"}}, "search.target", "cortex-m4", "'z80'"),
        ({"search": {"pruner": "axe"}}, "search.pruner", "'median' or 'none'", "'axe'"),
        ({"search": {"prune": [1.0]}}, "search.prune.0", "less than 1", "1.0"),
        ({"model": {"filters": [1, 2, 3, 4, 5, 6]}}, "model.filters", "1 to 5 numbers", "[1, 2, 3, 4, 5, 6]"),
    ],
)
def test_a_mistake_in_the_recipe_is_one_sentence(table, key, allowed, got):
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"name": "x", "signals": {"emg": "raw"}, **table}, "my.toml")
    text = str(caught.value)
    assert text.startswith(f"recipe my.toml: {key} must be") and allowed in text and text.endswith(f"got {got}")


# ---- the study

SCRIPT = """
    import sys, time
    from pathlib import Path
    from thumbnet.host_tools.recipe_search import SearchTable
    from thumbnet.host_tools.search import study
    from thumbnet.host_tools.search.space import Candidate

    def judge(candidate, report, place):
        size = sum(candidate.filters) * candidate.taps + candidate.hidden_units
        cost = {"flash_bytes": 100 * size, "state_bytes": size, "instructions": size}
        if size > 150:
            return study.Verdict(study.OVER, "too large", cost, {"flash_bytes": size / 150 - 1})
        for number in range(3):
            time.sleep(float(sys.argv[3]))
            report(number, 1 - abs(size - 100) / 100)
        return study.Verdict(study.TRAINED, "", cost, {"flash_bytes": size / 150 - 1}, 1 - abs(size - 100) / 100)

    folder, table = Path(sys.argv[1]), SearchTable(trials=int(sys.argv[2]), flash_bytes=15_000)
    with study.quiet():
        study.prepare(folder, table, Candidate((8, 16, 32), 3, 64, 0.0, 99.5))
        study.run_trials(folder, table, 0, judge)
"""


def start(folder, trials, pause=0.0):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(SCRIPT), str(folder), str(trials), str(pause)],
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def study():
    pytest.importorskip("optuna", reason="the extra thumbnet[search] is not installed")
    from thumbnet.host_tools.search import study

    return study


@pytest.fixture(scope="module")
def unbroken(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "search"
    finish(start(folder, 14))
    return study.records(folder)


def test_trials_learn_from_each_other_and_from_budgets(unbroken):
    assert [row["trial"] for row in unbroken] == list(range(14))
    assert unbroken[0]["network"] == OWN.to_dict() and unbroken[0]["outcome"] == "over budget"
    assert unbroken[1]["network"]["filters"] == [4, 4] and unbroken[1]["outcome"] == "trained"
    assert len({str(row["network"]) for row in unbroken}) > 7


def test_more_trials_go_on_where_the_search_ended(study, unbroken, tmp_path):
    finish(start(tmp_path / "search", 9))
    assert len(study.records(tmp_path / "search")) == 9
    finish(start(tmp_path / "search", 14))
    assert study.records(tmp_path / "search") == unbroken


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_search_that_is_killed_ends_with_the_same_trials(study, unbroken, tmp_path):
    folder = tmp_path / "search"
    process = start(folder, 14, pause=0.1)
    limit = time.monotonic() + 120
    while len(list((folder / "trials").glob("*.json"))) < 4 and time.monotonic() < limit:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert 4 <= len(study.records(folder)) < 14
    # What a process leaves that dies while it writes: half a line, and its lock.
    with (folder / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code": 4, "tri')
    (folder / "journal.log.lock").unlink(missing_ok=True)
    (folder / "journal.log.lock").symlink_to(folder / "journal.log")
    finish(start(folder, 14))
    assert study.records(folder) == unbroken


def test_a_trial_that_lags_behind_is_stopped(study, tmp_path):
    def judge(_candidate, report, place):
        for number in range(3):
            report(number, 0.9 - 0.1 * place + 0.01 * number)
        cost = {"flash_bytes": 1, "state_bytes": 1, "instructions": 1}
        return study.Verdict(study.TRAINED, "", cost, {}, 0.9 - 0.1 * place)

    table = SearchTable(trials=6)
    with study.quiet():
        assert study.prepare(tmp_path, table, OWN) == 6
        study.run_trials(tmp_path, table, 0, judge)
        assert study.prepare(tmp_path, table, OWN) == 0
    outcomes = [(row["outcome"], row["reason"]) for row in study.records(tmp_path)]
    assert outcomes[:4] == [("trained", "")] * 4
    assert outcomes[5] == ("stopped", "accuracy 41.0% after pass 2 lags behind")
