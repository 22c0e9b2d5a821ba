"""From the content of a hemodynamic report to its page: what to show and in which order; templates hold the looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import formats
from .boards import context as board_context
from .boards import cost_tiles, tile
from .device import window_facts
from .experts import expert_section
from .hemo_tables import compression_section, error_section, kind_section, published_rows
from .hotspots import hot_spots, layer_name
from .html import curve_plot, render_page
from .scatter import agreement_charts

Content = Mapping[str, Any]
FIRST = ("SBP", "MAP", "DBP", "HR")
_FLOW = "the other parameters come from the blood's flow, whose scale the shape of the pulse does not tell"


def render(report: Content) -> str:
    """Write the page of a report.

    Parameters
    ----------
    report : mapping
        As :func:`.hemo_content.gather` returns it, the object of `report.json`.

    Returns
    -------
    str
        HTML with everything inside; it asks no server for anything.
    """
    return render_page("hemodynamics.html.j2", report, context(report))


def context(report: Content) -> dict[str, Any]:
    """Everything the template names."""
    evaluation = report["evaluation"]
    return {
        **board_context(report),
        **hot_spots(report["boards"]),
        "subtitle": _subtitle(report),
        "tiles": _tiles(report),
        "errors": error_section(evaluation),
        "charts": agreement_charts(evaluation, report["points"]),
        "charted": (evaluation.get("device") or evaluation)["model"],
        "tracking": _tracking(evaluation),
        "identities": _identities(evaluation),
        "kinds": kind_section(evaluation),
        "published": published_rows(evaluation),
        "compression": compression_section(report["compress"]),
        "experts": expert_section(evaluation, report["compress"]["network"]),
        "signals": window_facts(report),
        "chosen": _chosen(report["generated"]),
        "loss_plot": curve_plot(report["history"], "loss", "none"),
        "error_plot": curve_plot(report["history"], "none", "val_error"),
        "training_text": _training_text(report),
        "limits": _limits(report),
        "source_title": "Data",
        "source_facts": _source_facts(report),
        "source_skipped": [],
        "source_notes": report["data"]["notes"],
    }


def _subtitle(report: Content) -> str:
    network, files = report["compress"]["network"], report["compress"]["bytes"]
    config = network["config"]
    size = f", {formats.kilobytes(sum(files.values()))} of int8 .tflite files" if files else ""
    boards = ", ".join(board["name"] for board in report["boards"])
    return (
        f"{report['model']['title']}: {formats.count(network['parameters'])} parameters, {config['experts']} experts, "
        f"of which at most {network['most_active']} run; {formats.mega(network['active_macs'])} MACs per window{size}; "
        f"on {boards or 'no board'}."
    )


def _tiles(report: Content) -> list[dict[str, str]]:
    evaluation = report["evaluation"]
    errors, gain = evaluation["errors"], evaluation["gain"]
    name = device_name(evaluation)
    tasks = [task for task in FIRST if task in errors[name]] or list(errors[name])[:4]
    tiles = []
    for task in tasks[:4]:
        row = errors[name][task]
        saved = gain[name].get(task)
        less = "" if saved is None else f"; {saved:.0f} % below the mean's"
        kind = "int8" if "device" in evaluation else "float"
        tiles.append(tile(f"{task}, MAE, {kind}", formats.figure(row["mae"]), row["unit"],
                          f"float {formats.figure(errors['model'][task]['mae'])}{less}"))  # fmt: skip
    if report["boards"]:
        board = max(report["boards"], key=lambda item: item["profile"]["instructions"] is not None)
        tiles += cost_tiles(board["name"], board["profile"])
    return tiles


def device_name(evaluation: Content) -> str:
    """Name that the deployed network's errors have: the integers', or the float network's where there are none."""
    return evaluation["device"]["model"] if "device" in evaluation else "model"


def _tracking(evaluation: Content) -> list[dict[str, Any]]:
    found = (evaluation.get("device") or evaluation)["tracking"]
    units = {task: row["unit"] for task, row in evaluation["errors"]["model"].items()}
    return [{"task": task, "unit": units.get(task, ""), **row} for task, row in found.items()]


def _identities(evaluation: Content) -> list[tuple[str, str]]:
    found = (evaluation.get("device") or evaluation)["identities"]
    return [
        (name, f"broken in {formats.percent(row['share'])} of the windows" if "share" in row
         else f"off by {row['median']:.1f} % (median), {row['largest']:.1f} % at most")
        for name, row in found.items()
    ]  # fmt: skip


def _chosen(generated: Sequence[Content]) -> list[dict[str, Any]]:
    """What the compiler decided, a list of sentences for each core."""
    return [{"target": row["target"], "lines": [*row["notes"], *_walks(row["walks"])]} for row in generated]


def _walks(walks: Sequence[Content]) -> list[str]:
    found = []
    for number, walk in enumerate(walks, 1):
        again = f", {walk['again']} of them again ({formats.mega(walk['again_macs'])} MACs)" if walk["again"] else ""
        found.append(
            f"walk {number} over {', '.join(layer_name(source) for source in walk['sources'])}: {walk['layers']} "
            f"layers{again}; {formats.kilobytes(walk['stored'])} stored for later walks"
        )
    return found


def _training_text(report: Content) -> str:
    history, windows = report["history"], report["data"]["windows"]
    passes = len(history.get("loss", ()))
    if not passes:
        return "The network was trained before this run."
    best = history.get("best_pass")
    kept = "" if best is None else f"; the weights of pass {best + 1} stay, by their error on the validation windows"
    return f"{formats.count(windows['train'])} training windows, {passes} passes{kept}."


def _limits(report: Content) -> list[str]:
    """What a reader must not conclude."""
    evaluation = report["evaluation"]
    found = []
    if report["run"]["synthetic"]:
        found.append("The windows are synthetic: the figures show that the chain works and say nothing about people.")
        found.append(f"Rate and pressures are in rhythm and shape of the pulse; {_FLOW}.")
    found += [f"Leak: {leak}." for leak in evaluation["protocol"]["leaks"]]
    if not evaluation["protocol"]["generalises"]:
        found.append("The protocol allows no claim about other people.")
    return [*found, *(f"{_capital(line)}." for line in evaluation["remarks"]), evaluation["statement"]]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _source_facts(report: Content) -> list[tuple[str, str]]:
    evaluation = report["evaluation"]
    windows, subjects = evaluation["windows"], evaluation["subjects"]
    facts = [("source", report["data"]["name"]), ("protocol", evaluation["protocol"]["label"])]
    facts += [(part, f"{formats.count(windows[part])} windows of {formats.count(subjects[part])} people")
              for part in ("train", "validation", "test")]  # fmt: skip
    if windows["known"]:
        facts.append(("known readings", f"{formats.count(windows['known'])} windows of tested people"))
    if evaluation["dropped"]:
        facts.append(("left out", f"{formats.count(evaluation['dropped'])} windows that share samples with others"))
    if "rejections" in evaluation:
        found = evaluation["rejections"]
        facts.append(
            ("rejected", f"{found['rejected']} of {found['windows']} windows ({formats.percent(found['rate'])})")
        )
    return facts
