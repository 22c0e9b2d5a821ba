"""What a page says about boards: verdict, costs, memory, layers; reports of every task have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..pipeline.folder import RunFolder
from . import charts, formats

Content = Mapping[str, Any]
_TREEMAP_TILES = 24


def board_results(folder: RunFolder, noise: Mapping[int, float] | None = None) -> list[dict[str, Any]]:
    """Parity, profile and memory of every board that finished.

    Parameters
    ----------
    folder : RunFolder
        The run.
    noise : mapping of int to float, optional
        Decibels of each operator of the model, where they are known.
    """
    names = [name.partition(":")[2] for name in folder.stages if name.startswith("profile:")]
    order = list(folder.info["recipe"]["boards"]["names"])
    return [_board(folder, name, noise or {}) for name in sorted(names, key=order.index)]


def _board(folder: RunFolder, name: str, noise: Mapping[int, float]) -> dict[str, Any]:
    parity, profile = folder.facts(f"parity:{name}"), folder.facts(f"profile:{name}")
    # Layers of the generated code point at operators of the model, whose noise may be known.
    nodes = folder.facts(f"generate:{parity['target']}")["nodes"]
    layers = [
        {**layer, "bytes": int(np.prod(layer["shape"])), "snr_db": noise.get(nodes[layer["index"]])}
        for layer in profile["layers"]
    ]
    # Sizes of a host program are its operating system's as much as the firmware's.
    unmeasured = ("flash_bytes", "ram_bytes", "stack_bytes") if parity["target"] == "host" else ()
    return {
        "name": name,
        "target": parity["target"],
        "parity": parity,
        "profile": {
            **profile,
            **dict.fromkeys(unmeasured),
            "per_mac": profile["instructions_per_mac"],
            "layers": layers,
        },
        "memory": folder.facts(f"build:{name}")["memory"],
    }


def context(report: Content) -> dict[str, Any]:
    """What the templates of boards and of budgets name."""
    name, rows = _layers(report)
    return {
        "verdict": _verdict(report),
        "arena": _arena(report),
        "memory_maps": [_memory_map(board) for board in report["boards"] if board["memory"]["flash"]],
        "layer_title": "Layer by layer",
        "layer_lead": "",
        "layer_board": name,
        "layer_rows": rows,
        "layer_total": _layer_total(rows),
        "has_snr": any(row["snr_db"] is not None for row in rows),
        "stage_seconds": sum(stage["seconds"] for stage in report["stages"]),
    }


def _verdict(report: Content) -> dict[str, Any]:
    boards = report["boards"]
    differing = sum(board["parity"]["mismatches"] for board in boards)
    total = sum(board["parity"]["bytes"] for board in boards)
    exceeded = [row for row in report["budgets"] if not row["ok"]]
    places = f"{len(boards)} board{'s' if len(boards) != 1 else ''}"
    share = f"{formats.count(differing)} of {formats.count(total)}"
    title = f"{share} output bytes differ from the oracle, on {places}"
    if not boards:
        title = "No board was run"
    windows = ", ".join(f"{board['name']} {formats.count(board['parity']['windows'])} windows" for board in boards)
    text = f"{windows}. Oracle: {boards[0]['parity']['oracle']}." if boards else "Parity was not checked."
    if exceeded:
        text += " Budget exceeded: " + ", ".join(f"{row['key']} on {row['where']}" for row in exceeded) + "."
    return {"good": bool(boards) and not differing and not exceeded, "title": title, "text": text}


def cost_tiles(name: str, cost: Content) -> list[dict[str, str]]:
    """What an inference costs; this computer counts no instructions and its programs have no flash."""
    if cost["instructions"] is None:
        return [
            tile("Model state", *formats.split_kilobytes(cost["state_bytes"]), "all scratch included"),
            tile("Weights", *formats.split_kilobytes(cost["weight_bytes"]), f"linked, {name}"),
            tile("MACs", *formats.split_mega(cost["macs"]), "per window"),
            tile("Instructions", "–", "", f"not counted on {name}"),
        ]
    return [
        tile("Instructions", *formats.split_mega(cost["instructions"]), f"per window, {name}"),
        tile("RAM", *formats.split_kilobytes(cost["ram_bytes"]), f".data + .bss, {name}"),
        tile("Flash", *formats.split_kilobytes(cost["flash_bytes"]), f"with application and link, {name}"),
        tile("Stack", *formats.split_kilobytes(cost["stack_bytes"]), f"deepest, painted, {name}"),
    ]


def tile(name: str, value: str, unit: str, note: str) -> dict[str, str]:
    """One of the large figures at the top of a page."""
    return {"name": name, "value": value, "unit": unit, "note": note}


def _arena(report: Content) -> int | None:
    for board in report["boards"]:
        arena: int | None = board["profile"].get("arena_bytes_tflm_host")
        if arena:
            return arena
    return None


def _memory_map(board: Content) -> dict[str, Any]:
    result: dict[str, Any] = {"board": board["name"]}
    for memory in ("flash", "ram"):
        rows = board["memory"][memory]
        weights = [charts.Weight(row["name"].removeprefix("model_"), row["kind"], row["bytes"]) for row in rows]
        kinds: dict[str, int] = {}
        for weight in weights:
            kinds[weight.kind] = kinds.get(weight.kind, 0) + weight.bytes
        ordered = sorted(kinds.items(), key=lambda item: -item[1])
        result[memory] = charts.treemap(charts.merge_small(weights, _TREEMAP_TILES))
        result[f"{memory}_kinds"] = [{"name": name, "bytes": size} for name, size in ordered if size]
        result[f"{memory}_bytes"] = board["profile"][f"{memory}_bytes"]
    return result


def _layers(report: Content) -> tuple[str, list[dict[str, Any]]]:
    """Return the rows of the first emulated board that told of its layers."""
    boards = [board for board in report["boards"] if board["profile"]["layers"]]
    if not boards:
        return "", []
    board = max(boards, key=lambda item: bool(item["profile"]["instructions"]))
    layers = board["profile"]["layers"]
    counts = [layer["instructions"] or 0 for layer in layers]
    total, longest = sum(counts) or 1, max(counts) or 1
    rows = []
    for layer in layers:
        count = layer["instructions"]
        rows.append({
            **layer,
            "name": formats.short(layer["name"]),
            "shape": "×".join(str(size) for size in layer["shape"][1:] or layer["shape"]),
            "share": (count or 0) / total,
            "length": (count or 0) / longest,
            "per_mac": count / layer["macs"] if count and layer["macs"] else None,
        })  # fmt: skip
    return board["name"], rows


def _layer_total(rows: Sequence[Content]) -> dict[str, Any]:
    macs = sum(row["macs"] or 0 for row in rows)
    instructions = sum(row["instructions"] or 0 for row in rows)
    return {
        "macs": macs,
        "instructions": instructions or None,
        "per_mac": instructions / macs if macs and instructions else None,
    }
