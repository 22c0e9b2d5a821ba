"""From the content of a sleep report to its page: what to show and in which order; the template holds the looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import charts, formats
from .boards import context as board_context
from .boards import cost_tiles, tile
from .compression import compression_section
from .device import device_facts
from .folds import comparison_rows, fold_sections, matrix_rows
from .html import curve_plot, render_page
from .search import search_section

Content = Mapping[str, Any]


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
    return render_page("report.html.j2", report, context(report))


def context(report: Content) -> dict[str, Any]:
    """Everything the template names."""
    history = report["history"]
    return {
        **board_context(report),
        "hypnogram_order": charts.HYPNOGRAM_ORDER,
        "subtitle": _subtitle(report),
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
        "loss_plot": curve_plot(history, "loss", "val_loss"),
        "accuracy_plot": curve_plot(history, "accuracy", "val_accuracy"),
        "training_text": _training_text(report),
        "source_title": "Signals",
        "source_facts": _signal_facts(report),
        "source_skipped": report["signals"]["skipped"],
        "source_notes": report["signals"]["notes"],
    }


def _subtitle(report: Content) -> str:
    model, boards = report["model"], ", ".join(board["name"] for board in report["boards"])
    return (
        f"{model['title']}: {formats.count(model['parameters'])} parameters, "
        f"{formats.mega(model['macs'])} MACs per window, {formats.kilobytes(model['bytes'])} as int8 .tflite; "
        f"on {boards or 'no board'}."
    )


def _tiles(report: Content) -> list[dict[str, str]]:
    exact, floating = report["metrics"]["int8"], report["metrics"]["float"]
    low, high = report["agreement"]["interval_95"]
    tiles = [
        tile(
            "Accuracy, int8",
            formats.percent(exact["accuracy"]),
            "",
            f"float {formats.percent(floating['accuracy'])}",
        ),
        tile(
            "Macro F1, int8",
            formats.percent(exact["macro_f1"]),
            "",
            f"float {formats.percent(floating['macro_f1'])}",
        ),
        tile(
            "Cohen's kappa, int8",
            formats.decimals(exact["kappa"], 3),
            "",
            f"float {formats.decimals(floating['kappa'], 3)}",
        ),
        tile(
            "int8 agrees with float",
            formats.percent(report["agreement"]["share"]),
            "",
            f"95 % interval {formats.percent(low)} to {formats.percent(high)}",
        ),
    ]
    if report["boards"]:
        board = max(report["boards"], key=lambda item: item["profile"]["instructions"] is not None)
        tiles += cost_tiles(board["name"], board["profile"])
    return tiles


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
