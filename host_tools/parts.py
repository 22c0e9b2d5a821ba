"""What `train`, `compress` and `evaluate` share: part of a recipe's run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .jsonout import quiet_stdout
from .options import PATH, json_option

if TYPE_CHECKING:
    from .pipeline.engines import Engine
    from .pipeline.folder import RunFolder
    from .recipes import Recipe

F = TypeVar("F", bound=Callable[..., Any])
TASKS = ("sleep",)


def part_options(function: F) -> F:
    """TASK, --recipe, --data, --output and --json."""
    return recipe_options(click.argument("task", type=click.Choice(TASKS))(function))


def recipe_options(function: F) -> F:
    """--recipe, --data, --output and --json."""
    text = "Recipe of the run.  [default: the one of `thumbnet demo`]"
    place = "Folder of the run.  [default: runs/NAME, NAME from the recipe]"
    for option in (
        json_option,
        click.option("--output", type=PATH, default=None, show_default=False, help=place),
        click.option("--data", type=PATH, default=None, help="Folder of recordings in place of the recipe's signals."),
        click.option("--recipe", type=PATH, default=None, show_default=False, help=text),
    ):
        function = option(function)
    return function


def shipped_recipe(task: str, kind: str = "demo") -> Path:
    """Path of a recipe that comes with thumbnet."""
    from importlib.resources import files

    return Path(str(files("thumbnet.training") / "recipes" / f"{task}_{kind}.toml"))


def engine_options(function: F) -> F:
    """--jobs, --engine and --address: where folds and trials are computed."""
    place = "Processes of this computer, or a Ray cluster."
    cluster = 'Ray cluster: "auto", host:port, ray://host:port, or "local" for one of its own.'
    for option in (
        click.option("--address", default="auto", help=cluster),
        click.option("--engine", type=click.Choice(["local", "ray"]), default="local", help=place),
        click.option("--jobs", type=click.IntRange(1), default=1, help="Folds or trials at once on this computer."),
    ):
        function = option(function)
    return function


def perform_part(
    task: str,
    recipe: Path | None,
    data: Path | None,
    output: Path | None,
    last: str,
    engine: Engine | None = None,
    change: Callable[[Recipe], Recipe] | None = None,
) -> RunFolder:
    """Run a recipe up to a stage, with progress on standard error; `change` says what options make of the recipe."""
    from .pipeline.runner import run_part, with_data
    from .progress import progress_bars
    from .recipes import load_recipe

    table = load_recipe(recipe or shipped_recipe(task))
    if data is not None:
        table = with_data(table, data)
    if change is not None:
        table = change(table)
    place = output or Path("runs") / table.name
    with quiet_stdout(), progress_bars() as new_task:
        return run_part(table, place, last, lambda line: click.echo(line, err=True), new_task, engine)
