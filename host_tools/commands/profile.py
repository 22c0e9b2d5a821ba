"""`thumbnet profile`: what a model costs on a board."""

from __future__ import annotations

from pathlib import Path

import click

from ..options import (
    PATH,
    choose_board,
    json_option,
    max_ram_option,
    model_argument,
    schedule_option,
    workdir_option,
    working_folder,
)


@click.command("profile")
@model_argument
@click.option("--board", required=True, help="Board to run on: a board's name, or `host`.")
@click.option("--seed", type=click.IntRange(min=0), default=1, help="Seed of the window that is run.")
@click.option("--sources", type=PATH, help="Measure the generated C in this folder instead of fresh C.")
@click.option("--port", help="Serial port of a real board, flashed with this model before: counts cycles there.")
@click.option(
    "--signals",
    "declared",
    metavar="FILE",
    help="Measure preprocessing too, as this JSON (or `bundle`: the model's own) declares it; the model streams.",
)
@schedule_option
@max_ram_option
@workdir_option
@json_option
def command(
    model: Path,
    board: str,
    seed: int,
    sources: Path | None,
    port: str | None,
    declared: str | None,
    schedule: str,
    max_ram: int | None,
    workdir: Path | None,
    as_json: bool,
) -> None:
    """Count the instructions of one inference of MODEL on a board, and its flash, RAM and stack.

    Flash and RAM are those of the linked firmware, device application and link included; code and weights are
    the model's own. Instructions are counted by QEMU and are the same in every run; they are not cycles.
    """
    from .. import jsonout
    from ..modelfile import read_model
    from ..profile import profile_model
    from ..signals import read_plan, schedule_behind

    chosen = choose_board(board)
    with jsonout.quiet_stdout(as_json), working_folder(workdir) as folder:
        given = read_model(model)
        plan = None if declared is None else read_plan(declared, given)
        schedule = schedule if plan is None else schedule_behind(plan, schedule)
        profile = profile_model(
            given,
            chosen,
            folder,
            seed=seed,
            sources=sources,
            port=port,
            schedule=schedule,
            signals=plan,
            max_ram=max_ram,
        )
    if as_json:
        jsonout.emit("profile/1", profile.to_dict())
        return
    from ..profile_text import print_profile

    print_profile(profile)
