"""Bench rows for people, in the terminal or in Markdown: every model on every board, the baseline above it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ..names import short_name
from ..text import count, new_table, open_console
from .baseline import provenance
from .measure import FIGURES, Row

_HEADINGS = ("model", "board", "schedule", "of TFLM", "per MAC", *FIGURES.values())
_SHOWN_NAME = 28
_LAYERS = ("", "operator", "output", "MACs", "instructions", "per MAC", "share", "name")


def lines(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Cells of the table, a line each; the arena stands in the baseline's column of the state."""
    for (model, board), group in groupby(rows, lambda row: (row.name, row.board.name)):
        ours = list(group)
        reference = ours[0].reference
        names = [model, board]
        if reference is not None:
            figures = {
                "instructions": reference.instructions,
                "state_bytes": reference.arena_bytes,
                "stack_bytes": reference.stack_bytes,
                "flash_bytes": reference.flash_bytes,
            }
            yield [*names, "TFLM", "1.00", _per_mac(ours[0].macs, figures), *_cells(figures)]
        for row in ours:
            ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
            yield [*names, row.variant, ratio, _per_mac(row.macs, row.figures), *_cells(row.figures)]


def layer_lines(row: Row) -> Iterator[list[str]]:
    """Cells of the table of one row's layers."""
    whole = sum(layer["instructions"] or 0 for layer in row.layers) or 1
    for layer in row.layers:
        cost, macs = layer["instructions"], layer["macs"]
        yield [
            str(layer["index"]), layer["op"], "x".join(map(str, layer["shape"][1:] or layer["shape"])),
            count(macs) if macs else "", count(cost), _per_mac(macs, layer), f"{(cost or 0) / whole:.0%}",
            short_name(layer["name"], _SHOWN_NAME),
        ]  # fmt: skip


def print_rows(rows: Sequence[Row], layers: bool) -> None:
    """Print everything on standard output, one table a model and board, so that it fits a terminal."""
    console = open_console()
    table = list(lines(rows))
    for (model, board), group in groupby(table, lambda cells: (cells[0], cells[1])):
        shown = new_table(f"{model} on {board}", "|>".join(_HEADINGS[2:]))
        for cells in group:
            shown.add_row(*cells[2:])
        console.print(shown)
    for line in remarks(rows):
        console.print(line, markup=False, soft_wrap=True)
    for row in rows if layers else ():
        shown = new_table(row.title, ">|operator|output|>MACs|>instructions|>per MAC|>share|name")
        for cells in layer_lines(row):
            shown.add_row(*cells)
        console.print(shown)


def markdown(rows: Sequence[Row], layers: bool, tools: dict[str, str]) -> str:
    """The same as a Markdown document."""
    parts = [
        "# Bench",
        "",
        "Instructions of one inference, counted by QEMU (not cycles); bytes of state, stack, RAM and flash. `of TFLM`: "
        "instructions as a share of the baseline's, whose arena stands in the column of the state.",
        "",
        *_table(_HEADINGS, 3, lines(rows)),
        "",
        *(f"- {line}" for line in remarks(rows)),
        *(f"- {name}: {version}" for name, version in tools.items()),
    ]
    for row in rows if layers else ():
        parts += ["", f"## {row.title}", "", *_table(_LAYERS, 3, layer_lines(row))]
    return "\n".join(parts) + "\n"


def remarks(rows: Sequence[Row]) -> list[str]:
    """What the table cannot say: refusals, and where the baseline comes from."""
    told = [f"{row.title}: {row.refused}" for row in rows if row.refused]
    return [*told, provenance()] if any(row.reference for row in rows) else told


def _cells(figures: dict[str, int | None] | dict[str, int]) -> list[str]:
    return [count(figures.get(key)) for key in FIGURES]


def _per_mac(macs: int, figures: Any) -> str:
    cost = figures["instructions"]
    return f"{cost / macs:.2f}" if cost is not None and macs else ""


def _table(headings: Sequence[str], left: int, body: Iterator[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'|'.join('---' if position < left else '---:' for position in range(len(headings)))}|"
    for cells in body:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
