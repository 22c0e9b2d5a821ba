"""The figures of a run about hemodynamic parameters as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import formats
from .device import window_facts
from .experts import expert_section
from .hemo_tables import COST_HEAD, compression_notes, cost_cells, error_section
from .summary import board_rows

if TYPE_CHECKING:
    from rich.table import Table


def print_summary(report: Mapping[str, Any], page: Path) -> None:
    """Print what a run came to on standard output: errors, costs, experts, boards, where the report is."""
    from ..text import open_console

    console = open_console()
    evaluation, table = report["evaluation"], report["compress"]
    tested = f"{formats.count(evaluation['windows']['test'])} held-out windows"
    people = f"{formats.count(evaluation['subjects']['test'])} people"
    console.print(f"\n[bold]{report['run']['name']}: {tested} of {people}, {report['data']['name']}[/]", soft_wrap=True)
    console.print(f"  {evaluation['protocol']['label']}", soft_wrap=True, markup=False)
    console.print(_errors(evaluation))
    for remark in (*evaluation["protocol"]["leaks"], *evaluation["remarks"]):
        console.print(f"  {remark}", soft_wrap=True, markup=False)
    console.print(_costs(table))
    for note in compression_notes(table)[1:]:
        console.print(f"  {note}", soft_wrap=True, markup=False)
    if report["boards"]:
        console.print(_boards(report["boards"]))
    for oracle, windows in sorted({(row["parity"]["oracle"], row["parity"]["windows"]) for row in report["boards"]}):
        console.print(f"  mismatches: output bytes of {windows} windows a board against {oracle}", soft_wrap=True)
    for name, text in window_facts(report):
        console.print(f"  {name}: {text}", soft_wrap=True, markup=False)
    experts = expert_section(evaluation, table["network"])
    if experts is not None:
        shares = ", ".join(formats.percent(row["bars"][-1]["value"], 0) for row in experts["bars"])
        console.print(f"  experts serve {shares} of the windows; {experts['active']}", soft_wrap=True, markup=False)
    if table["why_no_bundle"]:
        console.print(f"  no bundle: {table['why_no_bundle']}", soft_wrap=True, markup=False)
    if report["run"]["synthetic"]:
        console.print("  synthetic windows: the figures say nothing about people", markup=False)
    console.print(f"  report: [bold]{page}[/]", soft_wrap=True)


def _table(columns: Sequence[str]) -> Table:
    from rich import box

    from ..text import new_table

    table = new_table("", "|".join([columns[0], *(f">{name}" for name in columns[1:])]))
    table.title, table.box = None, box.SIMPLE_HEAD
    return table


def _errors(evaluation: Mapping[str, Any]) -> Table:
    section = error_section(evaluation)
    table = _table(["MAE", *(name for name, _ in section["names"])])
    for row in section["rows"]:
        table.add_row(row["name"], *row["cells"], style="bold" if row["strong"] else "")
    for row in section["gain"]:
        if row["strong"]:
            table.add_row("below the mean's by", *row["cells"])
    return table


def _costs(found: Mapping[str, Any]) -> Table:
    table = _table(["step", *COST_HEAD[1:]])
    for row in found["rows"]:
        cells = cost_cells(row, found["deployed"])
        table.add_row(cells["title"], *cells["cells"], style="bold" if cells["strong"] else "")
    return table


def _boards(boards: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(["board", "mismatches", "instr.", "flash", "RAM", "stack"])
    for cells in board_rows({"boards": boards}):
        table.add_row(*cells)
    return table
