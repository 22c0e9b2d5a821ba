"""Which networks are worth having: those that no other beats in everything, and the best that keeps the budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .study import TRAINED

COSTS = ("flash_bytes", "state_bytes", "instructions")
Record = Mapping[str, Any]


def pareto_front(records: Sequence[Record]) -> list[int]:
    """Trials that no other trial beats: none is at least as good in accuracy and all costs, and better in one.

    Parameters
    ----------
    records : sequence of mapping
        `trial`, `outcome`, `accuracy` and `cost` of each trial; those that were not trained to the end do not count.

    Returns
    -------
    list of int
        Their numbers, most accurate first; of equal ones the first.
    """
    trained = ranked(records)
    return [
        record["trial"]
        for place, record in enumerate(trained)
        if not any(_beats(other, record) for other in trained)
        and not any(_figures(other) == _figures(record) for other in trained[:place])
    ]


def ranked(records: Sequence[Record]) -> list[Record]:
    """Trials that were trained to the end, best first: by accuracy, then by flash, state, instructions, number."""
    trained = [record for record in records if record["outcome"] == TRAINED]
    return sorted(trained, key=lambda record: (*_figures(record), record["trial"]))


def finalists(records: Sequence[Record], count: int) -> list[Record]:
    """The best trials, no two of them the same network."""
    chosen: list[Record] = []
    for record in ranked(records):
        if all(record["network"] != other["network"] for other in chosen):
            chosen.append(record)
    return chosen[:count]


def nearest_miss(records: Sequence[Record], budgets: Mapping[str, int]) -> Record | None:
    """The trial that exceeds the budgets by the smallest share; None where no cost is known."""
    known = [record for record in records if record["cost"]]
    return min(known, key=lambda r: max(r["cost"][key] / limit for key, limit in budgets.items()), default=None)


def _figures(record: Record) -> tuple[float, ...]:
    """Smaller is better in each."""
    return (-record["accuracy"], *(record["cost"][key] for key in COSTS))


def _beats(one: Record, other: Record) -> bool:
    pairs = list(zip(_figures(one), _figures(other), strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
