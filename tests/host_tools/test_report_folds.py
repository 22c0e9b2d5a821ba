"""The part of the report about folds: every protocol with its label and leaks, every row compared with its own."""

from __future__ import annotations

import numpy as np
import pytest
from report_sample import sample_report
from test_report import Checker
from thumbnet.host_tools.report.folds import comparison_rows, drop_text, fold_rows, print_folds, statistic_rows
from thumbnet.host_tools.report.page import render

pytest.importorskip("sklearn", reason="needs thumbnet[train]")

from thumbnet.training.sleep.published import PUBLISHED_FIGURES
from thumbnet.training.sleep.results import FoldResult, summarise
from thumbnet.training.sleep.stages import STAGES


def summary_of(protocol: str, leaks: tuple[str, ...], lights: bool) -> dict:
    rng = np.random.default_rng(1)
    folds = []
    for number in range(3):
        labels = np.repeat([0, 1, 2, 3, 2, 4, 0], 6)
        guess = np.where(rng.random(42) < 0.2, (labels + 1) % 5, labels)
        exact = np.where(np.arange(42) == 3, (guess + 1) % 5, guess)
        folds.append(
            FoldResult(
                np.full(42, f"N{number}"), np.full(42, f"S{number}"), 30.0 * np.arange(42), labels, np.ones(42, bool),
                {"float": guess, "int8": exact, "band_power": guess, "majority": np.full(42, 2)},
            )
        )  # fmt: skip
    times = {f"N{number}": (0.0, 1260.0) for number in range(3)} if lights else {}
    head = {"protocol": protocol, "label": f"{protocol}, 3 folds", "leaks": list(leaks), "generalises": not leaks,
            "data": "made up"}  # fmt: skip
    return {**head, **summarise(folds, STAGES, times)}


@pytest.fixture(scope="module")
def report():
    content = sample_report()
    content["folds"] = {
        "protocols": {
            "subject-wise": summary_of("subject-wise", (), True),
            "published": summary_of("published", ("the checkpoint is picked on the test fold",), False),
        }
    }
    content["published"] = [figure.to_dict() for figure in PUBLISHED_FIGURES]
    return content


def text_of(page: str) -> str:
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    return " ".join(" ".join(checker.text).split())


def test_the_page_has_both_protocols_their_labels_and_leaks(report):
    text = text_of(render(report))
    for part in ("Cross-validation: subject-wise", "Cross-validation: published", "subject-wise, 3 folds",
                 "leak the checkpoint is picked on the test fold", "majority class", "band powers",
                 "Pooled confusion matrix, int8", "3 of 3 nights with lights off and on known",
                 "0 of 3 nights with lights off and on known) unknown", "int8 costs",
                 "28.6 % of them wake"):  # fmt: skip
        assert part in text, part
    for word in ("None", "nan", "Undefined", "{{"):
        assert word not in text


def test_each_row_of_the_comparison_says_its_protocol_and_data(report):
    rows = comparison_rows(report)
    own = [row for row in rows if not row["published"]]
    assert [row["model"] for row in own] == ["ULW-SleepNet, float", "ULW-SleepNet, int8"] * 3
    assert [row["protocol"].split(",")[0] for row in own] == ["subject-wise"] * 2 + ["published"] * 2 + [
        "subject-wise",
        "on-board: subject-wise",
    ]
    assert "qemu_m4, netduinoplus2 gave the host's int8 answers byte for byte on" in own[-1]["protocol"]
    assert all(row["protocol"] and row["data"] and row["source"] for row in rows)
    assert [row["accuracy"] for row in rows if row["published"]][:2] == [0.869, 0.814]


def test_a_board_that_differs_is_not_called_on_board(report):
    content = {**report, "boards": [{"name": "x", "parity": {"mismatches": 1}}]}
    assert not [row for row in comparison_rows(content) if "on-board" in row["protocol"]]


def test_without_folds_there_is_no_comparison():
    assert comparison_rows(sample_report()) == []
    assert "Cross-validation" not in render(sample_report())


def test_rows_of_a_protocol(report):
    summary = report["folds"]["protocols"]["subject-wise"]
    rows = {row["key"]: row for row in fold_rows(summary)}
    assert list(rows) == ["majority", "band_power", "float", "int8"]
    assert rows["majority"]["fold_accuracy"] == "28.6 ± 0.0 %" and rows["majority"]["kappa"] == 0
    assert " to " in rows["int8"]["night_kappa"]
    assert "points of accuracy (2 of 126 epochs)" in drop_text(summary)
    table = statistic_rows(summary, "int8")
    assert table[0][:3] == ("time in bed", "3", "21.0 min") and len(table) == 10
    assert statistic_rows(report["folds"]["protocols"]["published"], "int8") == []


def test_the_terminal_shows_the_same(report, capsys):
    print_folds(report["folds"]["protocols"])
    text = capsys.readouterr().out
    assert "published, 3 folds" in text and "leak: the checkpoint is picked on the test fold" in text
