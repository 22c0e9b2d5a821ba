"""Tables for people."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

_PIPE_WIDTH = 120


def open_console() -> Console:
    """Console on standard output; a pipe or a file gets a fixed width, so that logs look alike everywhere."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def new_table(title: str, columns: str, caption: str | None = None) -> Table:
    """Table with columns given in one string, `>` before those to be aligned right; the last one may wrap.

    >>> len(new_table("sizes", "name|>bytes|").columns)
    3
    """
    style: dict[str, Any] = {"title_justify": "left", "caption_justify": "left", "title_style": "bold"}
    table = Table(title=title, caption=caption, **style)
    headings = columns.split("|")
    for position, heading in enumerate(headings):
        last = position == len(headings) - 1
        table.add_column(
            heading.lstrip(">"), justify="right" if heading.startswith(">") else "left", no_wrap=not last,
        )  # fmt: skip
    return table


def count(value: float | None, unit: str = "") -> str:
    """Number with thousands separated; a dash where there is none."""
    if value is None:
        return "-"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return f"{text} {unit}" if unit else text
