"""The figures of a run as a table for the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import formats


def print_summary(report: Mapping[str, Any], page: Path) -> None:
    """Print what a run came to on standard output: quality, parity and cost per board, where the report is."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    # A pipe has no width of its own; the table's is then the one that it needs.
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 110)
    quality = Table(box=box.SIMPLE_HEAD, title_justify="left", title=_title(report), title_style="bold")
    for column in ("", "accuracy", "macro F1", "kappa"):
        quality.add_column(column, justify="left" if not column else "right")
    for title, cells in quality_rows(report):
        quality.add_row(title, *cells, style="bold" if title.startswith("int8") else "")
    console.print(quality)
    low, high = (formats.percent(limit) for limit in report["agreement"]["interval_95"])
    share = formats.percent(report["agreement"]["share"])
    console.print(
        f"  int8 names the float network's stage in [bold]{share}[/] of the windows (95 %: {low} to {high})\n"
    )
    boards = Table(box=box.SIMPLE_HEAD)
    for column in ("board", "parity", "instructions", "per MAC", "flash", "RAM", "stack"):
        boards.add_column(column, justify="left" if column in ("board", "parity") else "right")
    for cells in board_rows(report):
        boards.add_row(*cells)
    console.print(boards)
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
    verdict = f"{formats.count(parity['mismatches'])} of {formats.count(parity['bytes'])} bytes differ"
    colour = "green" if not parity["mismatches"] else "bold red"
    return (
        board["name"],
        f"[{colour}]{verdict}[/] ({formats.count(parity['windows'])} windows)",
        formats.mega(profile["instructions"]),
        formats.decimals(profile["per_mac"], 2),
        *(formats.kilobytes(profile[key]) for key in ("flash_bytes", "ram_bytes", "stack_bytes")),
    )
