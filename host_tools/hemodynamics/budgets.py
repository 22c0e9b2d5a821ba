"""Budgets of a hemodynamic recipe: what was measured beside what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..pipeline.budgets import Budget, check_boards
from .recipe import HemoBudgetsTable

_PROFILED = ("ram_bytes", "flash_bytes", "instructions", "instructions_per_mac")


def check_hemo_budgets(
    table: HemoBudgetsTable, rows: Sequence[Mapping[str, Any]], boards: Sequence[Mapping[str, Any]]
) -> list[Budget]:
    """Compare every budget with what was measured.

    Parameters
    ----------
    table : HemoBudgetsTable
        The limits; None is not checked.
    rows : sequence of mapping
        Of the compression table, the deployed network last.
    boards : sequence of mapping
        `name`, `parity` and `profile` of each; a figure that a board does not have is not checked there.

    Returns
    -------
    list of Budget
    """
    found = check_boards(table, _PROFILED, boards)
    last = rows[-1]
    if table.gain_kept is not None:
        for task, share in (last["gain_kept"] or {}).items():
            if share is not None:
                found.append(Budget("gain_kept", task, table.gain_kept, share, share >= table.gain_kept, least=True))
    if table.expert_share is not None:
        for number, share in enumerate(last["served"]):
            ok = share >= table.expert_share
            found.append(Budget("expert_share", f"expert {number}", table.expert_share, share, ok, least=True))
    return found
