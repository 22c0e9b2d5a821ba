"""The compression table as text: what each point gains and costs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

TABLE_HEAD = "point|>passes|>accuracy|>drop (95 %)|>params|>MACs|>state|>RAM|>flash|>instr."
LAYER_HEAD = "layer|operator|>noise it adds|>gain if float|>agreement then"
SHOWN_LAYERS = 5
CONTROL = "more"
_PRUNED = re.compile(r"prune\d+")
_HELP = ("distill", "qat", "distill+qat")
_NOTHING = "-"


def table_rows(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """One row of text per point, cells as in `TABLE_HEAD`; drop is in points of accuracy against the float network."""
    return [_row(row) for row in rows]


def notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences that belong under the table."""
    found = []
    for row in rows:
        if row["why_no_cost"]:
            found.append(f"{row['name']}: {row['why_no_cost']}")
    found += _what_pruning_costs({row["name"]: 100 * row["metrics"]["accuracy"] for row in rows})
    if rows:
        drop = rows[0]["drop"]
        found.append(
            f"{rows[0]['windows']} held-out windows; intervals by bootstrap over {drop['units']} {drop['over']}"
        )
    return found


def _what_pruning_costs(accuracy: Mapping[str, float]) -> list[str]:
    """Pruned points beside the whole network trained on for as long, and what distillation and QAT give back."""
    if CONTROL not in accuracy:
        return []
    found = []
    for name in (name for name in accuracy if _PRUNED.fullmatch(name)):
        lost = accuracy[CONTROL] - accuracy[name]
        side = "below" if lost > 0 else "above"
        words = f"{name}: {abs(lost):.1f} points {side} {CONTROL}, as many passes without pruning"
        back = {step: accuracy[f"{name}+{step}"] - accuracy[name] for step in _HELP if f"{name}+{step}" in accuracy}
        words += "".join(f"; {step} changes it by {gain:+.1f}" for step, gain in back.items())
        found.append(words)
    return found


def compression_section(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the page shows; None where the run has no compression table."""
    if found is None:
        return None
    return {
        "board": found["board"],
        "head": [cell.lstrip(">") for cell in TABLE_HEAD.split("|")],
        "rows": table_rows(found["rows"]),
        "notes": notes(found["rows"]),
        "layer_head": [cell.lstrip(">") for cell in LAYER_HEAD.split("|")],
        "layers": layer_rows(found["layers"]) if found["layers"] else [],
        "blamed": found["layers"],
    }


def layer_rows(blamed: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Rows of the worst layers, cells as in `LAYER_HEAD`."""
    return [
        (
            layer_name(layer["name"]),
            layer["op"],
            f"{layer['share']:.0%}",
            f"{layer['gain_db']:+.1f} dB",
            f"{layer['agreement']:.1%}",
        )
        for layer in blamed["layers"][:SHOWN_LAYERS]
    ]


def layer_name(tensor: str) -> str:
    """Name of the layer, from that of its output tensor: `net/relu/Relu;net/norm/...` is relu's."""
    parts = tensor.split(";")[0].split("/")
    return parts[1] if len(parts) > 2 else parts[0]


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    drop, cost = row["drop"], row["cost"] or {}
    low, high = drop["interval"]
    nonzero = row["parameters"] - row["zeros"]
    sparse = row["zeros"] > row["parameters"] // 10
    return (
        row["name"],
        str(row["passes"]),
        f"{row['metrics']['accuracy']:.1%}",
        f"{drop['value']:+.1f} ({low:+.1f} to {high:+.1f})",
        f"{row['parameters']:,}" + (f" ({nonzero:,} not 0)" if sparse else ""),
        f"{row['macs'] / 1e6:.2f} M",
        *(_count(cost.get(key)) for key in ("state_bytes", "ram_bytes", "flash_bytes", "instructions")),
    )


def _count(value: int | None) -> str:
    return _NOTHING if value is None else f"{value:,}"
