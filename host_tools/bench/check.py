"""Hold measured figures against recorded ones: none may get worse by more than 2 %.

All figures are costs, so that worse means larger. Counts and stack have a grain: reading the clock rounds, and a timer
interrupt that falls into the measurement costs a few instructions and a frame on the stack.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import HostToolsError
from .measure import FIGURES, Row

SCHEMA = "thumbnet.bench-record/1"
TOLERANCE = 0.02
GRAIN = {"instructions": 16, "push_mean": 2, "push_max": 16, "finish": 16, "stack_bytes": 128}
"""Differences that are none, in the figure's own unit."""


@dataclass(frozen=True)
class Worse:
    """A figure that got worse."""

    where: str
    figure: str
    was: int
    now: int

    def __str__(self) -> str:
        change = f"{self.now / self.was - 1:+.1%}" if self.was else "new"
        return f"{self.where}: {FIGURES[self.figure]} was {self.was:,}, is {self.now:,} ({change})"

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Check:
    """The outcome: figures that got worse, how many were compared, and remarks."""

    worse: tuple[Worse, ...]
    compared: int
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "passed": not self.worse,
            "compared": self.compared,
            "worse": [item.to_dict() for item in self.worse],
            "remarks": list(self.remarks),
        }


def record(rows: Sequence[Row], tools: dict[str, str]) -> str:
    """Text of a record: what was measured, with which tools."""
    figures = [
        {
            "model": row.name,
            "sha256": row.model.sha256,
            "board": row.board.name,
            "schedule": row.schedule,
            "optimize": row.optimize,
            **row.figures,
        }
        for row in rows
        if not row.refused
    ]
    return json.dumps({"schema": SCHEMA, "tools": tools, "figures": figures}, indent=1) + "\n"


def read_record(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises
    ------
    HostToolsError
        When the file is missing or no record.
    """
    if not path.is_file():
        raise HostToolsError(f"the record {path} does not exist; write one with --record {path}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        sound = found["schema"] == SCHEMA and all(_key(row) and _numbers(row) for row in found["figures"])
    except (ValueError, LookupError, TypeError, AttributeError):
        sound = False
    if not sound or not isinstance(found["tools"], dict):
        raise HostToolsError(f"{path} is not a record of thumbnet bench; write one with --record")
    return dict(found)


def check(rows: Sequence[Row], recorded: dict[str, Any], tools: dict[str, str]) -> Check:
    """Compare rows with a record, by model, board, schedule and what the code leans to.

    Raises
    ------
    HostToolsError
        When the record holds none of the rows.
    """
    known = {_key(row): row for row in recorded["figures"]}
    worse: list[Worse] = []
    compared = 0
    remarks = [
        f"recorded with {tool} '{version}', measured with '{tools.get(tool, 'not installed')}'"
        for tool, version in recorded["tools"].items()
        if tools.get(tool) != version
    ]
    for row in rows:
        where = row.title
        was = known.get((row.model.sha256, row.board.name, row.schedule, row.optimize))
        if was is None:
            remarks.append(f"{where}: not in the record")
        elif row.refused:
            raise HostToolsError(f"{where}: the record has figures, now it is refused: {row.refused}")
        else:
            compared += 1
            worse += _worse(where, was, row.figures)
    if not compared:
        raise HostToolsError("the record holds none of the models, boards and schedules that were measured")
    return Check(tuple(worse), compared, tuple(remarks))


def _worse(where: str, was: dict[str, Any], now: dict[str, int | None]) -> list[Worse]:
    found = []
    for figure in FIGURES:
        before, after = was.get(figure), now[figure]
        if before is not None and after is not None and after > before * (1 + TOLERANCE) + GRAIN.get(figure, 0):
            found.append(Worse(where, figure, before, after))
    return found


def _key(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return row["sha256"], row["board"], row["schedule"], row["optimize"]


def _numbers(row: dict[str, Any]) -> bool:
    return all(row.get(figure) is None or isinstance(row[figure], int) for figure in FIGURES)
