"""The figures of a run as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import formats
from .device import device_facts


def print_summary(report: Mapping[str, Any], page: Path) -> None:
    """Print what a run came to on standard output: quality, parity and cost per board, where the report is."""
    from rich import box

    from ..text import new_table, open_console

    console = open_console()
    quality = new_table("", "|>accuracy|>macro F1|>kappa")
    for title, cells in quality_rows(report):
        quality.add_row(title, *cells, style="bold" if title.startswith("int8") else "")
    boards = new_table("", "board|>mismatches|>instr.|>flash|>RAM|>stack")
    for cells in board_rows(report):
        boards.add_row(*cells)
    low, high = (formats.percent(limit) for limit in report["agreement"]["interval_95"])
    share = formats.percent(report["agreement"]["share"])
    quality.box = boards.box = box.SIMPLE_HEAD
    quality.title = boards.title = None
    console.print(f"\n[bold]{_title(report)}[/]", soft_wrap=True)
    console.print(quality)
    console.print(
        f"  int8 names the float network's stage in [bold]{share}[/] of the windows (95 %: {low} to {high})\n"
    )
    console.print(boards)
    for oracle, windows in {(b["parity"]["oracle"], b["parity"]["windows"]) for b in report["boards"]}:
        console.print(f"  mismatches: output bytes of {windows} windows a board against {oracle}", soft_wrap=True)
    for name, text in device_facts(report):
        console.print(f"  {name}: {text}", soft_wrap=True, markup=False)
    console.print(f"  report: [bold]{page}[/]", soft_wrap=True)


def _title(report: Mapping[str, Any]) -> str:
    run = report["run"]
    return f"{run['name']}: {formats.count(run['test_windows'])} held-out windows, {run['source']}, {run['protocol']}"


def quality_rows(report: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Figures of the baseline, the float and the int8 network as text."""
    names = (("baseline", "band-power baseline"), ("float", "float network"), ("int8", "int8 network"))
    rows: list[tuple[str, tuple[str, ...]]] = []
    for key, title in names:
        metrics = report["metrics"][key]
        if metrics:
            figures = (formats.percent(metrics["accuracy"]), formats.percent(metrics["macro_f1"]))
            rows.append((title, (*figures, formats.decimals(metrics["kappa"], 3))))
    return rows


def board_rows(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Proof and cost on each board as text."""
    return [_board_row(board) for board in report["boards"]]


def _board_row(board: Mapping[str, Any]) -> tuple[str, ...]:
    parity, profile = board["parity"], board["profile"]
    colour = "green" if not parity["mismatches"] else "bold red"
    return (
        board["name"],
        f"[{colour}]{formats.count(parity['mismatches'])} of {formats.count(parity['bytes'])} bytes[/]",
        formats.mega(profile["instructions"]),
        *(formats.kilobytes(profile[key]) for key in ("flash_bytes", "ram_bytes", "stack_bytes")),
    )
