"""A search in the report: accuracy over each cost, the front, the chosen network beside the recipe's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import charts

Facts = Mapping[str, Any]
_COSTS = (
    ("flash_bytes", "code and weights, KB", 1024),
    ("state_bytes", "state, KB", 1024),
    ("instructions", "instructions, M (estimated)", 1e6),
)
_MARGIN = 0.08


def search_section(found: Facts | None) -> dict[str, Any] | None:
    """What the page shows; None where the run's folder holds no search."""
    if found is None:
        return None
    trained = [trial for trial in found["trials"] if trial["accuracy"] is not None]
    counts = ", ".join(f"{count} {name}" for name, count in found["outcomes"].items())
    seen, unseen = found["windows"]["validation"], found["windows"]["test"]
    return {
        "lead": f"{len(found['trials'])} trials: {counts}. Accuracy is int8's on {seen} validation windows; costs are "
        f"for {found['target']}. Test windows ({unseen}) were seen by no trial.",
        "axis": charts.axis(*_span(_shares(trained))) if trained else [],
        "panels": [_panel(found, trained, *cost) for cost in _COSTS] if trained else [],
        "rows": [
            _row("recipe's own", found["full"]),
            _row(f"trial {found['chosen']['trial']}, chosen", found["chosen"]),
        ],
    }


def _shares(trained: Sequence[Facts]) -> list[float]:
    return [100 * trial["accuracy"] for trial in trained]


def _panel(found: Facts, trained: Sequence[Facts], key: str, title: str, unit: float) -> dict[str, Any]:
    """Points and the budget of one cost, places in percent of the panel."""
    costs = [trial["cost"][key] / unit for trial in trained]
    budget = found["budgets"].get(key)
    left = _span([*costs, *([budget / unit] if budget else [])])
    top = _span(_shares(trained))
    points = [
        {
            "left": 100 * _place(cost, left),
            "top": 100 * (1 - _place(share, top)),
            "kind": _kind(found, trial["trial"]),
            "title": f"trial {trial['trial']}: {share:.1f} %, {cost:.2f}",
        }
        for trial, cost, share in zip(trained, costs, _shares(trained), strict=True)
    ]
    order = ("trained", "front", "chosen")
    return {
        "title": title,
        "ticks": [charts.Tick(_place(value, left), f"{value:g}") for value in charts.nice_ticks(*left, 4)],
        "points": sorted(points, key=lambda point: order.index(point["kind"])),
        "budget": None if budget is None else 100 * _place(budget / unit, left),
    }


def _kind(found: Facts, trial: int) -> str:
    return "chosen" if trial == found["chosen"]["trial"] else "front" if trial in found["front"] else "trained"


def _span(values: Sequence[float]) -> tuple[float, float]:
    margin = _MARGIN * ((max(values) - min(values)) or 1.0)
    return min(values) - margin, max(values) + margin


def _place(value: float, span: tuple[float, float]) -> float:
    return (value - span[0]) / (span[1] - span[0])


def _row(name: str, row: Facts) -> dict[str, Any]:
    accuracy, cost, widths = row["accuracy"], row["cost"], row["widths"]
    filters, taps = "-".join(map(str, widths["filters"])), row["network"]["taps"]
    return {
        "name": name,
        "network": f"{filters} filters, {taps} taps, {widths['hidden_units']} hidden",
        "validation": accuracy["validation"]["int8"],
        "test": accuracy["test"]["int8"],
        "test_float": accuracy["test"]["float"],
        "parameters": row["parameters"],
        **{key: cost[key] for key, _, _ in _COSTS},
        "measured": row["measured"],
    }
