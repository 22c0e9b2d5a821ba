"""From the content of a report to its page: what to show and in which order; the template holds the looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from . import charts, formats
from .compression import compression_section
from .device import device_facts
from .folds import comparison_rows, fold_sections, matrix_rows
from .search import search_section

Content = Mapping[str, Any]
_TREEMAP_TILES = 24


def render(report: Content) -> str:
    """Write the page of a report.

    Parameters
    ----------
    report : mapping
        As :func:`.content.gather` returns it, the object of `report.json`.

    Returns
    -------
    str
        HTML with everything inside; it asks no server for anything.
    """
    folder = files("thumbnet.host_tools") / "templates"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(formats.FILTERS)
    template = environment.from_string((folder / "report.html.j2").read_text(encoding="utf-8"))
    css = Markup((folder / "report.css").read_text(encoding="utf-8"))
    return template.render(css=css, **context(report)) + "\n"


def context(report: Content) -> dict[str, Any]:
    """Everything the template names."""
    layer_board, layer_rows = _layers(report)
    history = report["history"]
    return {
        "report": report,
        "hypnogram_order": charts.HYPNOGRAM_ORDER,
        "subtitle": _subtitle(report),
        "verdict": _verdict(report),
        "tiles": _tiles(report),
        "metric_rows": _metric_rows(report),
        "absent": ", ".join(report["metrics"]["int8"].get("absent", ())),
        "matrix": matrix_rows(report["metrics"]["int8"]["confusion"], report["classes"]),
        "f1_groups": _f1_groups(report),
        "night": _night(report),
        "wake_share": report["metrics"]["int8"].get("shares", {}).get("W"),
        "fold_sections": fold_sections(report),
        "comparison": comparison_rows(report),
        "compression": compression_section(report.get("compression")),
        "search": search_section(report.get("search")),
        "arena": _arena(report),
        "memory_maps": [_memory_map(board) for board in report["boards"] if board["memory"]["flash"]],
        "layer_board": layer_board,
        "layer_rows": layer_rows,
        "layer_total": _layer_total(layer_rows),
        "has_snr": any(row["snr_db"] is not None for row in layer_rows),
        "loss_plot": _plot(history, "loss"),
        "accuracy_plot": _plot(history, "accuracy"),
        "training_text": _training_text(report),
        "stage_seconds": sum(stage["seconds"] for stage in report["stages"]),
        "signal_facts": _signal_facts(report),
    }


def _subtitle(report: Content) -> str:
    model, boards = report["model"], ", ".join(board["name"] for board in report["boards"])
    return (
        f"{model['title']}: {formats.count(model['parameters'])} parameters, "
        f"{formats.mega(model['macs'])} MACs per window, {formats.kilobytes(model['bytes'])} as int8 .tflite; "
        f"on {boards or 'no board'}."
    )


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


def _tiles(report: Content) -> list[dict[str, str]]:
    exact, floating = report["metrics"]["int8"], report["metrics"]["float"]
    low, high = report["agreement"]["interval_95"]
    tiles = [
        _tile(
            "Accuracy, int8",
            formats.percent(exact["accuracy"]),
            "",
            f"float {formats.percent(floating['accuracy'])}",
        ),
        _tile(
            "Macro F1, int8",
            formats.percent(exact["macro_f1"]),
            "",
            f"float {formats.percent(floating['macro_f1'])}",
        ),
        _tile(
            "Cohen's kappa, int8",
            formats.decimals(exact["kappa"], 3),
            "",
            f"float {formats.decimals(floating['kappa'], 3)}",
        ),
        _tile(
            "int8 agrees with float",
            formats.percent(report["agreement"]["share"]),
            "",
            f"95 % interval {formats.percent(low)} to {formats.percent(high)}",
        ),
    ]
    if report["boards"]:
        board = max(report["boards"], key=lambda item: item["profile"]["instructions"] is not None)
        tiles += _cost_tiles(board["name"], board["profile"])
    return tiles


def _cost_tiles(name: str, cost: Mapping[str, Any]) -> list[dict[str, str]]:
    """What an inference costs; this computer counts no instructions and its programs have no flash."""
    if cost["instructions"] is None:
        return [
            _tile("Model state", *formats.split_kilobytes(cost["state_bytes"]), "all scratch included"),
            _tile("Weights", *formats.split_kilobytes(cost["weight_bytes"]), f"linked, {name}"),
            _tile("MACs", *formats.split_mega(cost["macs"]), "per window"),
            _tile("Instructions", "–", "", f"not counted on {name}"),
        ]
    return [
        _tile("Instructions", *formats.split_mega(cost["instructions"]), f"per window, {name}"),
        _tile("RAM", *formats.split_kilobytes(cost["ram_bytes"]), f".data + .bss, {name}"),
        _tile("Flash", *formats.split_kilobytes(cost["flash_bytes"]), f"with application and link, {name}"),
        _tile("Stack", *formats.split_kilobytes(cost["stack_bytes"]), f"deepest, painted, {name}"),
    ]


def _tile(name: str, value: str, unit: str, note: str) -> dict[str, str]:
    return {"name": name, "value": value, "unit": unit, "note": note}


def _metric_rows(report: Content) -> list[dict[str, Any]]:
    sizes = report["model"]["sizes"]
    names = (("baseline", "Band-power baseline"), ("float", "Float network"), ("int8", "int8 network"))
    rows = []
    for key, title in names:
        metrics = report["metrics"].get(key)
        if metrics:
            size = formats.kilobytes(sizes[key]) if sizes.get(key) else ""
            rows.append({
                "name": title,
                "strong": key == "int8",
                "accuracy": metrics["accuracy"],
                "macro_f1": metrics["macro_f1"],
                "kappa": metrics["kappa"],
                "f1": [metrics["per_class_f1"].get(name) for name in report["classes"]],
                "size": size,
            })  # fmt: skip
    return rows


def _f1_groups(report: Content) -> list[dict[str, Any]]:
    keys = [key for key in ("baseline", "float", "int8") if report["metrics"].get(key)]
    return [
        {
            "name": name,
            "bars": [
                {"colour": key, "value": report["metrics"][key]["per_class_f1"].get(name)}
                for key in ("baseline", "float", "int8")
                if key in keys
            ],
        }
        for name in report["classes"]
    ]


def _night(report: Content) -> dict[str, Any] | None:
    night = report["hypnogram"]
    if not night or not night["onsets"]:
        return None
    rows = {index: charts.HYPNOGRAM_ORDER.index(name) for index, name in enumerate(report["classes"])}
    onsets, seconds = night["onsets"], night["epoch_seconds"]
    true = [rows[stage] for stage in night["true"]]
    predicted = [rows[stage] for stage in night["predicted"]]
    order = [report["classes"].index(name) for name in charts.HYPNOGRAM_ORDER]
    shares = [[epoch[index] for index in order] for epoch in night["probabilities"]]
    paths = zip(charts.HYPNOGRAM_ORDER, charts.stacked(onsets, shares, seconds), strict=True)
    return {
        "recording": night["recording"],
        "epochs": len(onsets),
        "agreement": sum(a == b for a, b in zip(true, predicted, strict=True)) / len(true),
        "width": (onsets[-1] - onsets[0]) / seconds + 1,
        "true_path": charts.stage_steps(onsets, true, seconds),
        "true_blocks": charts.stage_blocks(onsets, true, seconds),
        "predicted_path": charts.stage_steps(onsets, predicted, seconds),
        "predicted_blocks": charts.stage_blocks(onsets, predicted, seconds),
        "probability_paths": list(paths),
        "ticks": charts.hour_ticks(onsets, seconds),
    }


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
            "name": _short(layer["name"]),
            "shape": "×".join(str(size) for size in layer["shape"][1:] or layer["shape"]),
            "share": (count or 0) / total,
            "length": (count or 0) / longest,
            "per_mac": count / layer["macs"] if count and layer["macs"] else None,
        })  # fmt: skip
    return board["name"], rows


def _short(name: str) -> str:
    """Layer's part of a tensor's name; converters join the names of everything they fused with ';'."""
    path = next((part for part in name.split(";") if part), name).split("/")
    return path[-2] if len(path) > 1 else path[0]


def _layer_total(rows: Sequence[Content]) -> dict[str, Any]:
    macs = sum(row["macs"] or 0 for row in rows)
    instructions = sum(row["instructions"] or 0 for row in rows)
    return {
        "macs": macs,
        "instructions": instructions or None,
        "per_mac": instructions / macs if macs and instructions else None,
    }


def _plot(history: Mapping[str, Sequence[float]], name: str) -> dict[str, Any] | None:
    lines = [("int8", history.get(name)), ("validation", history.get(f"val_{name}"))]
    drawn = [(colour, values) for colour, values in lines if values]
    finite = [value for _, values in drawn for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    margin = 0.06 * ((high - low) or 1.0)
    low, high = low - margin, high + margin
    return {
        "axis": charts.axis(low, high),
        "lines": [(colour, charts.polyline(values, low, high)) for colour, values in drawn],
        "count": max(len(values) for _, values in drawn),
    }


def _training_text(report: Content) -> str:
    windows, passes = report["signals"]["windows"], len(report["history"].get("loss", ()))
    train, validation, test = (formats.count(windows[part]) for part in ("train", "validation", "test"))
    return f"{train} training windows, {validation} for validation, {test} held out; {passes} passes."


def _signal_facts(report: Content) -> list[tuple[str, str]]:
    signals = report["signals"]
    facts = [
        ("source", signals["source"]),
        *([("licence", signals["licence"])] if signals.get("licence") else ()),
        ("channels", f"{', '.join(signals['channels'])} at {signals['rate']:g} Hz"),
    ]
    for part in ("train", "validation", "test"):
        who = ", ".join(signals["subjects"][part])
        facts.append((part, f"{formats.count(signals['windows'][part])} windows, subjects {who}"))
    counts = ", ".join(f"{name} {formats.count(count)}" for name, count in signals["counts"].items())
    return [*facts, ("stages", counts), *device_facts(report)]
