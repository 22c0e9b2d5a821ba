"""k-fold results as tables: protocols and models beside each other and beside published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import formats

MODELS = {"majority": "majority class", "band_power": "band powers", "float": "float network", "int8": "int8 network"}
STATISTICS = {
    "time_in_bed": ("time in bed", "min"),
    "total_sleep_time": ("total sleep time", "min"),
    "sleep_efficiency": ("sleep efficiency", "%"),
    "sleep_onset_latency": ("sleep onset latency", "min"),
    "wake_after_sleep_onset": ("wake after sleep onset", "min"),
    "rem_latency": ("REM latency", "min"),
    "share_N1": ("N1 of sleep", "%"),
    "share_N2": ("N2 of sleep", "%"),
    "share_N3": ("N3 of sleep", "%"),
    "share_REM": ("REM of sleep", "%"),
}

Summary = Mapping[str, Any]


def fold_rows(summary: Summary) -> list[dict[str, Any]]:
    """Return one row per model: pooled figures, mean and spread over folds, median and quartiles over nights."""
    rows = []
    for key, title in MODELS.items():
        model = summary["models"].get(key)
        if model is None:
            continue
        pooled, folds, nights = model["pooled"], model["per_fold"], model["per_night"]["kappa"]
        rows.append({
            "key": key,
            "name": title,
            "accuracy": pooled["accuracy"],
            "macro_f1": pooled["macro_f1"],
            "kappa": pooled["kappa"],
            "fold_accuracy": spread(folds["accuracy"]),
            "fold_macro_f1": spread(folds["macro_f1"]),
            "night_kappa": quartiles(nights),
            "f1": pooled["per_class_f1"],
            "sensitivity": pooled["sensitivity"],
        })  # fmt: skip
    return rows


def spread(values: Mapping[str, Any]) -> str:
    """Mean and standard deviation over folds, in percent."""
    if values["mean"] is None:
        return "–"
    deviation = "" if values["sd"] is None else f" ± {100 * values['sd']:.1f}"
    return f"{100 * values['mean']:.1f}{deviation} %"


def quartiles(values: Mapping[str, Any]) -> str:
    """Median and interquartile range over nights."""
    if values["median"] is None:
        return "–"
    return f"{values['median']:.3f} ({values['q1']:.3f} to {values['q3']:.3f})"


def statistic_rows(summary: Summary, model: str) -> list[tuple[str, ...]]:
    """Return (name, nights, scored, predicted, bias ± SD, mean error) of each sleep statistic, as text."""
    models = summary["statistics"]["models"]
    if not isinstance(models, Mapping) or model not in models:
        return []
    rows: list[tuple[str, ...]] = []
    for key, (title, unit) in STATISTICS.items():
        found = models[model].get(key)
        if found is None:
            rows.append((title, "0", "unknown", "unknown", "", ""))
            continue
        factor = 100 if unit == "%" else 1
        texts = [f"{factor * found[name]:.1f}" for name in ("scored", "predicted", "bias", "sd", "mae")]
        rows.append((title, str(found["nights"]), f"{texts[0]} {unit}", f"{texts[1]} {unit}",
                     f"{texts[2]} ± {texts[3]}", texts[4]))  # fmt: skip
    return rows


def comparison_rows(report: Summary) -> list[dict[str, Any]]:
    """Return the same network under each protocol and on the board, then published figures; each with its label.

    Parameters
    ----------
    report : mapping
        As :func:`.content.gather` returns it; without folds there is nothing to compare.
    """
    protocols = (report.get("folds") or {}).get("protocols", {})
    if not protocols:
        return []
    title = report["model"]["title"]
    rows = []
    for summary in protocols.values():
        for key in ("float", "int8"):
            if key in summary["models"]:
                pooled = summary["models"][key]["pooled"]
                rows.append(_row(f"{title}, {key}", summary["data"], summary["label"], pooled, "this run"))
    source = report["run"]["source"]
    held_out = f"{report['run']['protocol']}, one split, {report['run']['test_subjects']} held out"
    rows.append(_row(f"{title}, float", source, held_out, report["metrics"]["float"], "this run"))
    exact = [board for board in report["boards"] if not board["parity"]["mismatches"]]
    if exact:
        names = ", ".join(board["name"] for board in exact)
        windows = min(board["parity"]["windows"] for board in exact)
        label = f"on-board: {held_out}; {names} gave the host's int8 answers byte for byte on {windows} of the windows"
        rows.append(_row(f"{title}, int8", source, label, report["metrics"]["int8"], "this run"))
    for figure in report.get("published", ()):
        rows.append({**figure, "published": True})
    return rows


def _row(model: str, data: str, protocol: str, metrics: Summary, source: str) -> dict[str, Any]:
    return {
        "model": model,
        "data": data,
        "protocol": protocol,
        "accuracy": metrics["accuracy"],
        "macro_f1": metrics["macro_f1"],
        "kappa": metrics["kappa"],
        "n1_f1": metrics["per_class_f1"].get("N1"),
        "source": source,
        "published": False,
    }


def drop_text(summary: Summary) -> str:
    """Say what int8 costs; empty where it was not measured."""
    drop = summary.get("int8_drop")
    if not drop:
        return ""
    low, high = drop["interval"]
    return (
        f"int8 costs {drop['value']:.2f} points of accuracy ({drop['epochs']} of {summary['epochs']} epochs); "
        f"95 % interval {low:.2f} to {high:.2f}, bootstrap over {drop['units']} {drop['over']}"
    )


def matrix_rows(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a confusion matrix: name of the scored stage, counts and their shares of it."""
    rows = []
    for name, counts in zip(classes, confusion, strict=True):
        total = sum(counts) or 1
        rows.append({"name": name, "cells": [{"count": n, "share": n / total} for n in counts]})
    return rows


def fold_sections(report: Summary) -> list[dict[str, Any]]:
    """Return what the page shows of each protocol."""
    sections = []
    for summary in (report.get("folds") or {}).get("protocols", {}).values():
        model = "int8" if "int8" in summary["models"] else "float"
        counts = (
            f"{formats.count(summary['epochs'])} epochs of {summary['recordings']} recordings of "
            f"{summary['subjects']} subjects, {formats.percent(summary['wake_share'])} of them wake; {summary['data']}."
        )
        statistics = summary["statistics"]
        sections.append({
            "protocol": summary["protocol"],
            "label": summary["label"],
            "generalises": summary["generalises"],
            "leaks": summary["leaks"],
            "counts": counts,
            "drop": drop_text(summary),
            "model": model,
            "rows": fold_rows(summary),
            "matrix": matrix_rows(summary["models"][model]["pooled"]["confusion"], report["classes"]),
            "statistics": statistic_rows(summary, model),
            "statistics_nights": f"{statistics['nights']} of {statistics['of']} nights",
        })  # fmt: skip
    return sections


def print_folds(protocols: Mapping[str, Summary]) -> None:
    """Print each protocol's table on standard output."""
    from ..text import new_table, open_console

    console = open_console()
    for summary in protocols.values():
        title = (
            f"{summary['label']}\n{summary['epochs']} epochs, {summary['recordings']} recordings of "
            f"{summary['subjects']} subjects, {formats.percent(summary['wake_share'])} wake; {summary['data']}"
        )
        table = new_table(title, "|>accuracy|>macro F1|>kappa|>accuracy per fold|>kappa per night, median (IQR)")
        for row in fold_rows(summary):
            table.add_row(
                row["name"],
                formats.percent(row["accuracy"]),
                formats.percent(row["macro_f1"]),
                formats.decimals(row["kappa"], 3),
                row["fold_accuracy"],
                row["night_kappa"],
            )
        console.print(table)
        for line in (*(f"leak: {leak}" for leak in summary["leaks"]), drop_text(summary)):
            if line:
                console.print(f"  {line}", soft_wrap=True)
