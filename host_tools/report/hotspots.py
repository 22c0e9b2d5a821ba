"""Where the instructions of a composed model go: by part, and the layers that take most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import formats

Content = Mapping[str, Any]
SHOWN = 16
PARTS = {"preprocessing": "samples to window", "gate": "gate and choice", "bottom": "shared bottom",
         "expert": "experts that run", "mixture": "mixture", "towers": "towers and values"}  # fmt: skip
_OF_PART = {"choice of experts": "gate", "values": "towers"}


def hot_spots(boards: Sequence[Content]) -> dict[str, Any]:
    """Context of the layers' section: equal layers of the experts count as one row.

    Parameters
    ----------
    boards : sequence of mapping
        With `profile`; the first one that counts instructions is shown.
    """
    counted = [board for board in boards if any(layer["instructions"] for layer in board["profile"]["layers"])]
    if not counted:
        return {"layer_rows": [], "layer_board": "", "part_rows": []}
    layers = counted[0]["profile"]["layers"]
    merged = _merge(layers)
    total = sum(row["instructions"] for row in merged) or 1
    merged.sort(key=lambda row: -row["instructions"])
    shown, rest = merged[:SHOWN], merged[SHOWN:]
    rows = [_row(row, total, shown[0]["instructions"]) for row in shown]
    if rest:
        summed = {"index": "", "op": "", "name": f"{len(rest)} other layers", "shape": "", "bytes": None,
                  "macs": sum(row["macs"] for row in rest),
                  "instructions": sum(row["instructions"] for row in rest)}  # fmt: skip
        rows.append({**_row(summed, total, shown[0]["instructions"]), "length": 0.0})
    return {
        "layer_title": "Layers that take most",
        "layer_lead": f"{len(shown)} of {len(merged)} layers; the runs of the experts add up. ",
        "layer_rows": rows,
        "layer_board": counted[0]["name"],
        "part_rows": _parts(layers, total),
    }


def part_of(name: str) -> str:
    """Part of a composed model that a layer belongs to, a key of `PARTS`."""
    role = name.partition(":")[0]
    return _OF_PART.get(role, "expert" if role.startswith("expert") else role.partition(" ")[0])


def layer_name(name: str) -> str:
    """Name of a layer of a composed model for a reader, with its part."""
    role, colon, path = name.partition(": ")
    return f"{part_of(name)}: {formats.short(path)}" if colon else role


def _merge(layers: Sequence[Content]) -> list[dict[str, Any]]:
    """One row for each layer; the runs of the experts add up."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for layer in layers:
        part, path = part_of(layer["name"]), layer["name"].partition(": ")[2] or layer["name"]
        key = part, path
        if key not in found:
            found[key] = {"index": layer["index"], "op": layer["op"], "bytes": layer["bytes"],
                          "name": layer_name(layer["name"]),
                          "shape": "×".join(str(size) for size in layer["shape"][1:] or layer["shape"]),
                          "macs": 0, "instructions": 0}  # fmt: skip
        found[key]["macs"] += layer["macs"] or 0
        found[key]["instructions"] += layer["instructions"] or 0
    return list(found.values())


def _row(row: dict[str, Any], total: int, longest: int) -> dict[str, Any]:
    return {
        **row,
        "share": row["instructions"] / total,
        "length": row["instructions"] / (longest or 1),
        "per_mac": row["instructions"] / row["macs"] if row["macs"] else None,
    }


def _parts(layers: Sequence[Content], total: int) -> list[dict[str, Any]]:
    rows = []
    for part, title in PARTS.items():
        own = [layer for layer in layers if part_of(layer["name"]) == part]
        if own:
            count = sum(layer["instructions"] or 0 for layer in own)
            macs = sum(layer["macs"] or 0 for layer in own)
            rows.append({"name": title, "instructions": count, "macs": macs, "share": count / total,
                         "per_mac": count / macs if macs else None})  # fmt: skip
    return rows
