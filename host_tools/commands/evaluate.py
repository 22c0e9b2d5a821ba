"""`thumbnet evaluate`: a model on windows that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

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
@click.option("--output-dir", type=PATH, default=None, help="Folder for evaluation.json and the figures.")
@json_option
def hemodynamics(estimates: Path | None, output_dir: Path | None, as_json: bool, **options: Any) -> None:
    """Judge estimates of hemodynamic parameters beside four baselines, by protocol, person and pressure."""
    from thumbnet.training.hemodynamics.evaluation import evaluate
    from thumbnet.training.hemodynamics.sources import cross_data, load_data

    from ..hemodynamics import evaluate as tables

    tested = tested_elsewhere(options)
    config = data_config(**options)
    with quiet_stdout():
        data = load_data(config) if tested is None else cross_data(config, tested)
        if estimates is None:
            estimated, title = tables.feature_estimates(data), "pulse features"
        else:
            estimated, title = tables.read_estimates(estimates, data.windows.labels.shape), estimates.stem
        report = {"model": title, "settings": config.to_dict(), "tested": None if tested is None else tested.to_dict(),
                  **evaluate(data.windows, data.division, estimated, rejections=data.rejections)}  # fmt: skip
        if output_dir is not None:
            tables.write_evaluation(report, data, estimated, output_dir, title)
    if as_json:
        emit("evaluate-hemodynamics/1", report)
    else:
        tables.print_evaluation(report)
