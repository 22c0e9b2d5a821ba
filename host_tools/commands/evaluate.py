"""`thumbnet evaluate`: a model on windows that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import HostToolsError
from ..hemodynamics.data_options import data_config, data_options, second_set_options, tested_elsewhere
from ..jsonout import emit, quiet_stdout
from ..options import PATH, json_option
from ..parts import perform_part, recipe_options


@click.group()
def command() -> None:
    """Score a model on held-out windows."""


@command.command()
@recipe_options
def sleep(recipe: Path | None, data: Path | None, output: Path | None, as_json: bool) -> None:
    """Score float, int8 and band-power baseline on the held-out windows of a recipe."""
    from ..report.summary import quality_rows
    from ..text import new_table, open_console

    folder = perform_part("sleep", recipe, data, output, "compress")
    signals, compressed = folder.facts("signals"), folder.facts("compress")
    metrics = {**compressed["metrics"], "baseline": folder.facts("train")["baseline"]}
    if as_json:
        emit("evaluate/1", {
            "run": str(folder.path),
            "protocol": signals["protocol"],
            "windows": signals["windows"]["test"],
            "metrics": metrics,
            "agreement": compressed["agreement"],
        })  # fmt: skip
        return
    title = f"{signals['windows']['test']} held-out windows, {signals['protocol']}"
    table = new_table(title, "|>accuracy|>macro F1|>kappa")
    for name, cells in quality_rows({"metrics": metrics}):
        table.add_row(name, *cells)
    open_console().print(table)


@command.command()
@data_options
@second_set_options
@click.option("--estimates", type=PATH, default=None, help="Estimates (N, tasks) of all windows as .npy, in place of "
              "the model of pulse features.")  # fmt: skip
@click.option("--run", "run_folder", type=PATH, default=None, show_default=False,
              help="Run whose networks are judged, on its own held-out windows or on the data named.  [default: "
              "--output-dir where it is one]")  # fmt: skip
@click.option("--output-dir", type=PATH, default=None, help="Folder for evaluation.json and the figures.")
@json_option
def hemodynamics(
    estimates: Path | None, run_folder: Path | None, output_dir: Path | None, as_json: bool, **options: Any
) -> None:
    """Judge estimates of hemodynamic parameters beside four baselines, by protocol, person and pressure.

    Without a run or estimates, a model of hand-made pulse features is fitted and judged.
    """
    from ..hemodynamics import evaluate as tables
    from ..hemodynamics import judging

    tested = tested_elsewhere(options)
    if run_folder is None and estimates is None and judging.is_run(output_dir):
        run_folder = output_dir
    if run_folder is not None and (estimates is not None or tested is not None):
        raise HostToolsError("--run judges its own networks: no --estimates; data to test it on are named by --source")
    with quiet_stdout():
        if run_folder is not None:
            judged = judging.judge_run(run_folder, options)
        else:
            judged = judging.judge_data(data_config(**options), tested, estimates)
        report = judged.report()
        if output_dir is not None:
            tables.write_evaluation(report, judged, output_dir)
    if as_json:
        emit("evaluate-hemodynamics/1", report)
    else:
        tables.print_evaluation(report)
