"""`thumbnet folds`: the k-fold runs of a recipe under its protocols."""

from __future__ import annotations

from pathlib import Path

import click

from ..jsonout import emit
from ..parts import engine_options, part_options, perform_part


@click.command()
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
) -> None:
    """Run the folds of a recipe: the stages signals and folds of `thumbnet run`. An interrupted run goes on."""
    from ..errors import HostToolsError
    from ..pipeline.engines import Engine
    from ..report.folds import print_folds

    folder = perform_part(task, recipe, data, output, "folds", Engine(engine, jobs, address))
    if "folds" not in folder.stages:
        raise HostToolsError("the recipe asks for no folds; set folds.count to at least 2")
    facts = folder.facts("folds")
    if as_json:
        emit("folds/1", {"run": str(folder.path), **facts})
    else:
        print_folds(facts["protocols"])
