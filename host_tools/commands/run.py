"""`thumbnet run`: every stage of a recipe, skipping what is up to date."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..jsonout import emit, quiet_stdout
from ..options import PATH, json_option
from ..parts import engine_options

if TYPE_CHECKING:
    from ..pipeline.engines import Engine
    from ..recipes import Recipe


@click.command()
@click.argument("recipe", type=PATH)
@click.option("--data", type=PATH, default=None,
              help="Folder of recordings (.edf) in place of the recipe's signals.")  # fmt: skip
@click.option("--output", type=PATH, default=None, show_default=False,
              help="Folder of the run.  [default: runs/NAME, NAME from the recipe]")  # fmt: skip
@click.option("--board", "boards", multiple=True, show_default=False,
              help="Board to run on, may be given several times.  [default: the recipe's]")  # fmt: skip
@engine_options
@json_option
def command(
    recipe: Path,
    data: Path | None,
    output: Path | None,
    boards: tuple[str, ...],
    jobs: int,
    engine: str,
    address: str,
    as_json: bool,
) -> None:
    """Run every stage of RECIPE: signals, folds, train, compress, generate, build, parity, profile, report.

    A stage is skipped when its inputs, its part of the recipe and its code are those of the last time. Exit code
    1 when a budget of the recipe is exceeded or a board's output differs from the oracle's.
    """
    from ..hemodynamics.recipe import is_hemodynamics
    from ..pipeline.engines import Engine
    from ..pipeline.runner import with_data
    from ..recipes import load_recipe

    if is_hemodynamics(recipe):
        sys.exit(perform_hemodynamics(recipe, data, output, boards, as_json))
    table = load_recipe(recipe)
    if data is not None:
        table = with_data(table, data)
    sys.exit(perform(table, output, boards, as_json, Engine(engine, jobs, address)))


def perform(
    recipe: Recipe, output: Path | None, boards: Sequence[str], as_json: bool, engine: Engine | None = None
) -> int:
    """Run a recipe, print what came of it, and return the exit code."""
    from ..pipeline.runner import run_recipe, with_boards
    from ..progress import progress_bars
    from ..report.summary import print_summary

    if boards:
        recipe = with_boards(recipe, boards)
    place = output or Path("runs") / recipe.name
    with quiet_stdout(), progress_bars() as new_task:
        report, complaints = run_recipe(recipe, place, lambda line: click.echo(line, err=True), new_task, engine)
    if as_json:
        emit("report/1", {key: value for key, value in report.items() if key != "schema"})
    else:
        print_summary(report, place / "report.html")
    for complaint in complaints:
        click.echo(f"thumbnet: {complaint}", err=True)
    return 1 if complaints else 0


def perform_hemodynamics(
    path: Path, data: Path | None, output: Path | None, boards: Sequence[str], as_json: bool
) -> int:
    """Run a recipe about hemodynamic parameters, print what came of it, and return the exit code."""
    from ..hemodynamics.recipe import load_hemo_recipe
    from ..hemodynamics.whole import run_hemo_recipe
    from ..progress import progress_bars
    from ..report.hemo_summary import print_summary

    recipe = load_hemo_recipe(path)
    if data is not None:
        recipe = recipe.model_copy(update={"data": {**recipe.data, "folder": str(data.resolve())}})
    if boards:
        recipe = recipe.model_copy(update={"boards": recipe.boards.model_copy(update={"names": tuple(boards)})})
    place = output or Path("runs") / recipe.name
    with quiet_stdout(), progress_bars() as new_task:
        report, complaints = run_hemo_recipe(recipe, place, lambda line: click.echo(line, err=True), new_task)
    if as_json:
        emit("hemodynamics-report/1", {key: value for key, value in report.items() if key != "schema"})
    else:
        print_summary(report, place / "report.html")
    for complaint in complaints:
        click.echo(f"thumbnet: {complaint}", err=True)
    return 1 if complaints else 0
