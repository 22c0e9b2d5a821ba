"""`thumbnet search`: other sizes of a recipe's network, within budgets that the compiler checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..jsonout import emit
from ..options import BYTES
from ..parts import engine_options, part_options, perform_part, shipped_recipe

if TYPE_CHECKING:
    from ..recipes import Recipe

_RECIPE = "  [default: the recipe's]"


@click.command()
@click.option("--max-instructions", "instructions", type=click.IntRange(min=1), default=None, show_default=False,
              help=f"Most instructions of one inference, as the compiler estimates them.{_RECIPE}")  # fmt: skip
@click.option("--max-flash", "flash_bytes", type=BYTES, default=None, show_default=False,
              help=f"Most code and weights of the model, as 24576 or 24K.{_RECIPE}")  # fmt: skip
@click.option("--max-ram", "state_bytes", type=BYTES, default=None, show_default=False,
              help=f"Most state of the model, as 2048 or 2K.{_RECIPE}")  # fmt: skip
@click.option("--trials", type=click.IntRange(1, 100_000), default=None, show_default=False,
              help=f"Networks to look at.{_RECIPE}")  # fmt: skip
@engine_options
@part_options
def command(
    task: str,
    recipe: Path | None,
    data: Path | None,
    output: Path | None,
    as_json: bool,
    jobs: int,
    engine: str,
    address: str,
    **changes: int | None,
) -> None:
    """Look for networks with other widths, depths, kernels, pruning and clipping: accuracy of int8 within budgets.

    What does not fit is never trained. The best are trained in full, beside the recipe's own network. An interrupted
    search goes on; more --trials add to those that were made.
    """
    from ..pipeline.engines import Engine
    from ..search.text import result_lines

    def change(table: Recipe) -> Recipe:
        given = {key: value for key, value in changes.items() if value is not None}
        return table.model_copy(update={"search": table.search.model_copy(update=given)})

    source = recipe or shipped_recipe(task, "search")
    folder = perform_part(task, source, data, output, "search", Engine(engine, jobs, address), change)
    facts: dict[str, Any] = folder.facts("search")
    if as_json:
        emit("search/1", {"run": str(folder.path), **facts})
        return
    for line in result_lines(facts):
        click.echo(line)
    click.echo(f"Chosen: {folder.output('search/model.bundle')}; as a recipe: {folder.output('search/best.toml')}; "
               f"picture: {folder.output('plots/search_front.png')}")  # fmt: skip
