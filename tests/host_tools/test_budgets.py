"""Budgets: which figure is held against which limit, and what is said when one is exceeded."""

import pytest
from thumbnet.host_tools.pipeline.budgets import check_budgets
from thumbnet.host_tools.recipes import BudgetsTable

METRICS = {"float": {"accuracy": 0.85}, "int8": {"accuracy": 0.83}}


def board(name="qemu_m4", mismatches=0, **profile):
    figures = {"ram_bytes": 100_000, "flash_bytes": 50_000, "state_bytes": 90_000, "stack_bytes": 700}
    return {
        "name": name,
        "parity": {"mismatches": mismatches},
        "profile": {**figures, "instructions": 30_000_000, **profile},
    }


def failed(boards, **limits):
    found = check_budgets(BudgetsTable(**limits), METRICS, 0.98, boards)
    return [budget for budget in found if not budget.ok]


def test_without_limits_only_parity_is_checked():
    found = check_budgets(BudgetsTable(), METRICS, 0.98, [board(), board("netduinoplus2")])
    assert [(budget.key, budget.where) for budget in found] == [
        ("parity_mismatches", "qemu_m4"),
        ("parity_mismatches", "netduinoplus2"),
    ]


@pytest.mark.parametrize(
    ("mismatches", "passed", "value"),
    [(0, True, 0), (3, False, 3), (0, False, 1)],
    ids=["equal", "bytes", "codes only"],
)
def test_parity_from_samples_of_the_converter_is_held_against_the_same_limit(mismatches, passed, value):
    filtered = board()
    filtered["parity"]["signals"] = {"mismatches": mismatches, "passed": passed}
    plain, behind = check_budgets(BudgetsTable(), METRICS, 0.98, [filtered])
    assert plain.ok and (behind.where, behind.value, behind.ok) == ("qemu_m4 from samples", value, passed)


@pytest.mark.parametrize(
    ("key", "limit", "value"),
    [
        ("ram_bytes", 99_999, 100_000),
        ("flash_bytes", 49_999, 50_000),
        ("state_bytes", 1, 90_000),
        ("stack_bytes", 699, 700),
        ("instructions", 29_999_999, 30_000_000),
        ("accuracy_drop", 0.01, 0.02),
        ("agreement", 0.99, 0.98),
    ],
)
def test_each_limit(key, limit, value):
    (budget,) = failed([board()], **{key: limit})
    assert (budget.key, budget.value) == (key, pytest.approx(value))
    assert budget.sentence.startswith(f"budgets.{key} allows at {'least' if key == 'agreement' else 'most'} ")
    assert not failed([board()], **{key: value})


def test_any_mismatch_is_one_too_many():
    (budget,) = failed([board(mismatches=3)])
    assert budget.sentence == "budgets.parity_mismatches allows at most 0, qemu_m4 has 3"


def test_what_a_board_does_not_measure_is_not_checked_there():
    assert not failed([board(instructions=None, stack_bytes=None)], instructions=1, stack_bytes=1)
