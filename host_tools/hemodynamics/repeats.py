"""`thumbnet evaluate hemodynamics --repeats`: a network of its own for each of several divisions of the same people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ..errors import HostToolsError
from ..pipeline.context import Say
from ..pipeline.folder import RUN_FILE, write_json
from ..text import new_table, open_console
from .context import HemoRun
from .evaluate import REPORT
from .judging import MODEL, TITLES
from .recipe import HemoRecipe
from .run import run_hemo_part

if TYPE_CHECKING:
    from ..progress import NewTask

SUMMARY, SCHEMA = "repeats.json", "thumbnet.repeats-hemodynamics/1"
REFERENCE = "demographics only"
_FIGURES = ("mae", "me", "sd", "r2")
_CAUTION = (
    "the divisions draw on the same people, so that their deviation says how much the choice of people matters and is "
    "no confidence interval"
)


def repeat(recipes: Sequence[HemoRecipe], output: Path, say: Say, new_task: NewTask) -> dict[str, Any]:
    """Train, compress and judge a network on each division; what is finished is not done again.

    Parameters
    ----------
    recipes : sequence of HemoRecipe
        One for each division; they differ in their seeds.
    output : pathlib.Path
        Gets a folder of a run for each, with its `evaluation.json`, and `repeats.json`.
    say, new_task : callable
        Progress, see :class:`..pipeline.context.Run`.

    Returns
    -------
    dict
        Content of `repeats.json`, see :func:`summarise`.

    Raises
    ------
    HostToolsError, TrainingError, QuantizeError
        When a division cannot be done; what was finished before stays.
    """
    if (output / RUN_FILE).is_file():
        raise HostToolsError(f"{output} is the folder of one run; divisions need a folder of their own (--output-dir)")
    reports = {}
    for number, recipe in enumerate(recipes):
        seed = recipe.source.seed
        say(f"division {number + 1} of {len(recipes)}, seed {seed}")
        run = run_hemo_part(recipe, output / f"seed_{seed}", "compress", say, new_task)
        reports[seed] = _judged(run)
        _forget_networks()
    summary = summarise(reports)
    write_json(output / SUMMARY, {"schema": SCHEMA, **summary})
    return summary


def _judged(run: HemoRun) -> dict[str, Any]:
    """The evaluation of a run on the people that it held out."""
    from .evaluation import evaluate

    evaluate(run)
    run.folder.save()
    found: dict[str, Any] = json.loads(run.folder.output(REPORT).read_text(encoding="utf-8"))
    return found


def _forget_networks() -> None:
    """Give back what Keras keeps of the networks of a division, where it was needed at all."""
    keras = sys.modules.get("tf_keras")
    if keras is not None:
        keras.backend.clear_session()


def summarise(reports: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Put evaluations of several divisions together.

    Parameters
    ----------
    reports : mapping of int to mapping
        `evaluation.json` of each division by its seed.

    Returns
    -------
    dict
        `seeds`, `data`, `protocol`, `windows` and `subjects` of each division; `units` of the tasks; `models`: by name
        and task the `mean`, standard deviation `sd` and `values` over the divisions of `mae`, `me`, `sd` and `r2`, and
        `better`, the number of divisions in which the MAE is below that of demographics (null without them); `absent`
        baselines that no division has; `remarks`.
    """
    first = next(iter(reports.values()))
    tables = [_named(report) for report in reports.values()]
    names = list(dict.fromkeys(name for table in tables for name in table))
    models, absent = {}, []
    for name in names:
        rows = [table.get(name) or {} for table in tables]
        if not all(rows):
            absent.append(name)
            continue
        models[name] = {task: _spread(rows, tables, task) for task in rows[0]}
    remarks = dict.fromkeys(line for report in reports.values() for line in report["remarks"])
    return {
        "seeds": list(reports),
        "data": first["data"]["name"],
        "protocol": first["protocol"],
        "windows": [report["windows"] for report in reports.values()],
        "subjects": [report["subjects"] for report in reports.values()],
        "units": {task: row["unit"] for task, row in first["errors"]["model"].items()},
        "models": models,
        "absent": absent,
        "remarks": [*remarks, *([_CAUTION] if len(reports) > 1 else [])],
        "statement": first["statement"],
    }


def _named(report: Mapping[str, Any]) -> dict[str, Any]:
    """Errors by the names that a table shows."""
    errors, title = report["errors"], report["model"]
    if errors["model"] == errors.get(TITLES[MODEL]):
        title = TITLES[MODEL]  # nothing was removed from it
    return {name.replace("model", title, 1) if name.startswith("model") else name: row for name, row in errors.items()}


def _spread(rows: Sequence[Mapping[str, Any]], tables: Sequence[Mapping[str, Any]], task: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for figure in _FIGURES:
        values = [row[task][figure] for row in rows]
        known = [value for value in values if value is not None]
        found[figure] = {
            "mean": float(np.mean(known)) if known else None,
            "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
            "values": values,
        }
    others = [(table.get(REFERENCE) or {}).get(task) for table in tables]
    pairs = [(row[task]["mae"], other["mae"]) for row, other in zip(rows, others, strict=True) if other]
    found["better"] = sum(own < other for own, other in pairs) if pairs else None
    return found


def print_repeats(summary: Mapping[str, Any]) -> None:
    """One table for each task: a row for each model, mean and deviation over the divisions."""
    console = open_console()
    seeds, subjects = summary["seeds"], summary["subjects"]
    counts = sorted({row["test"] for row in subjects})
    people = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    click.echo(
        f"{summary['data']}: {len(seeds)} divisions, {people} subjects tested in each; mean +- deviation of them"
    )
    for task, unit in summary["units"].items():
        table = new_table("", f"{task}, {unit}|>MAE|>ME|>SD|>R2|>beats demographics in")
        for name, row in summary["models"].items():
            better = (
                "-" if row[task]["better"] is None or name == REFERENCE else f"{row[task]['better']} of {len(seeds)}"
            )
            table.add_row(name, *(_cell(row[task][figure], figure) for figure in _FIGURES), better)
        console.print(table)
    for name in summary["absent"]:
        click.echo(f"{name}: none, as it needs an earlier reading of the tested person")
    for line in (
        summary["protocol"]["label"],
        *summary["protocol"]["leaks"],
        *summary["remarks"],
        summary["statement"],
    ):
        click.echo(line)


def _cell(row: Mapping[str, Any], figure: str) -> str:
    if row["mean"] is None:
        return "-"
    value = round(row["mean"], 2) + 0.0  # no -0
    text = f"{value:+.2f}" if figure == "me" else f"{value:.2f}"
    return text if row["sd"] is None else f"{text} +- {row['sd']:.2f}"
