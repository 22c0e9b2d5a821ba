"""Budgets: what was measured beside what the recipe allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..recipes import BudgetsTable

_PROFILED = ("ram_bytes", "flash_bytes", "state_bytes", "stack_bytes", "instructions")


@dataclass(frozen=True)
class Budget:
    """One limit, where it was checked, and what was measured there; `least`: a limit from below."""

    key: str
    where: str
    limit: float
    value: float
    ok: bool
    least: bool = False

    @property
    def sentence(self) -> str:
        """Say what was exceeded."""
        relation = "at least" if self.least else "at most"
        return f"budgets.{self.key} allows {relation} {self.limit:g}, {self.where} has {self.value:g}"

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def check_budgets(
    table: BudgetsTable,
    metrics: Mapping[str, Any],
    agreement: float,
    boards: Sequence[Mapping[str, Any]],
) -> list[Budget]:
    """Compare every budget of a recipe with what was measured.

    Parameters
    ----------
    table : BudgetsTable
        The limits; None is not checked.
    metrics : mapping
        `float` and `int8`, each with `accuracy` on the held-out windows.
    agreement : float
        Share of held-out windows in which float and int8 name the same class.
    boards : sequence of mapping
        `name`, `parity` and `profile` of each board. A figure that a board does not have (the host counts no
        instructions) is not checked there.

    Returns
    -------
    list of Budget
    """
    found = check_boards(table, _PROFILED, boards)
    if table.accuracy_drop is not None:
        drop = round(metrics["float"]["accuracy"] - metrics["int8"]["accuracy"], 9)
        found.append(
            Budget("accuracy_drop", "held-out windows", table.accuracy_drop, drop, drop <= table.accuracy_drop)
        )
    if table.agreement is not None:
        ok = agreement >= table.agreement
        found.append(Budget("agreement", "held-out windows", table.agreement, agreement, ok, least=True))
    return found


def check_boards(table: Any, keys: Sequence[str], boards: Sequence[Mapping[str, Any]]) -> list[Budget]:
    """Compare limits on profiled figures, by the names of both, and on mismatches with what each board has."""
    found = []
    for board in boards:
        for key in keys:
            limit, value = getattr(table, key), board["profile"].get(key)
            if limit is not None and value is not None:
                found.append(Budget(key, board["name"], limit, value, value <= limit))
        for where, mismatches in _mismatches(board):
            limit = table.parity_mismatches
            found.append(Budget("parity_mismatches", where, limit, mismatches, mismatches <= limit))
    return found


def _mismatches(board: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Mismatches of the model, and of the model behind its preprocessing where that was run."""
    rows = [(str(board["name"]), int(board["parity"]["mismatches"]))]
    behind = board["parity"].get("signals")
    if behind is None:
        return rows
    # Codes that differ count even where the outputs come out equal.
    return [*rows, (f"{board['name']} from samples", max(behind["mismatches"], int(not behind["passed"])))]
