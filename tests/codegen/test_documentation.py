"""The page of supported operators is the one that the constraints print."""

from __future__ import annotations

from pathlib import Path

from thumbnet.codegen.documentation import supported_operators
from thumbnet.codegen.ops import OPERATORS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date() -> None:
    page = ROOT / "docs" / "supported-operators.md"
    assert page.read_text() == supported_operators(), f"write it with python -m thumbnet.codegen.documentation > {page}"


def test_every_operator_has_a_row() -> None:
    rows = [line for line in supported_operators().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(OPERATORS)
    assert all(operator.summary for operator in OPERATORS.values())
