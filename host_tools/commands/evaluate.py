"""`thumbnet evaluate`: a model on windows that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import HostToolsError
from ..hemodynamics.data_options import DATA_OPTIONS, data_config, second_set_options, tested_elsewhere
from ..hemodynamics.model_options import model_options, pruning_options, recipe_with
from ..jsonout import emit, quiet_stdout
from ..options import PATH
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
@model_options
@pruning_options
@second_set_options
@click.option("--estimates", type=PATH, default=None, help="Estimates (N, tasks) of all windows as .npy, in place of "
              "the model of pulse features.")  # fmt: skip
@click.option("--repeats", type=click.IntRange(1, 1000), default=None, show_default=False,
              help="Train and compress the network anew on so many divisions, with the seeds --seed (0) and up, and "
              "judge each on its own held-out windows.")  # fmt: skip
@click.option("--model-path", "--model-weights", "--teacher-weights", "weights", type=PATH, default=None,
              show_default=False, help="Network of a run that is judged: another way to name the run.")  # fmt: skip
@click.option("--run", "run_folder", type=PATH, default=None, show_default=False,
              help="Run whose networks are judged, on its own held-out windows or on the data named.  [default: "
              "--output-dir where it is one]")  # fmt: skip
def hemodynamics(
    estimates: Path | None,
    repeats: int | None,
    weights: Path | None,
    run_folder: Path | None,
    output_dir: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Judge estimates of hemodynamic parameters beside four baselines, by protocol, person and pressure.

    Without a run, --repeats or estimates, a model of hand-made pulse features is fitted and judged. Options of the
    network and its training belong to --repeats; with a run, they must describe its network.
    """
    from ..hemodynamics import evaluate as tables
    from ..hemodynamics import judging

    tested = tested_elsewhere(options)
    data = {name: options.get(name) for name in DATA_OPTIONS}
    given = {name: value for name, value in options.items() if name not in data and value is not None}
    if repeats is not None:
        if any(value is not None for value in (estimates, weights, run_folder, tested)):
            raise HostToolsError("--repeats trains its own networks: no --run, --model-path, --estimates or --test-...")
        _repeat(repeats, output_dir, as_json, options)
        return
    if run_folder is None and estimates is None:
        run_folder = output_dir if judging.is_run(output_dir) else None if weights is None else weights.parent
    if run_folder is not None and (estimates is not None or tested is not None):
        raise HostToolsError("--run judges its own networks: no --estimates; data to test it on are named by --source")
    if run_folder is None and given:
        option = next(iter(given)).replace("_", "-")
        raise HostToolsError(f"--{option} is about a network: name its run (--run, --model-path), or add --repeats 1")
    with quiet_stdout():
        if run_folder is not None:
            judging.check_run(run_folder, given)
            judged = judging.judge_run(run_folder, data)
        else:
            judged = judging.judge_data(data_config(**data), tested, estimates)
        report = judged.report()
        if output_dir is not None:
            tables.write_evaluation(report, judged, output_dir)
    if as_json:
        emit("evaluate-hemodynamics/1", report)
    else:
        tables.print_evaluation(report)


def _repeat(count: int, output_dir: Path | None, as_json: bool, options: dict[str, Any]) -> None:
    """Judge the network of a recipe on several divisions."""
    from ..hemodynamics.repeats import print_repeats, repeat
    from ..progress import progress_bars

    first = options.pop("seed") or 0
    recipe = options.pop("recipe")
    recipes = [recipe_with(recipe, {**options, "seed": first + number}) for number in range(count)]
    place = output_dir or Path("runs") / f"{recipes[0].name}_repeats"
    with quiet_stdout(), progress_bars() as new_task:
        summary = repeat(recipes, place, lambda line: click.echo(line, err=True), new_task)
    if as_json:
        emit("repeats-hemodynamics/1", summary)
    else:
        print_repeats(summary)
