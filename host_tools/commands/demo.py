"""`thumbnet demo`: the whole road on embedded signals."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..options import PATH, json_option
from ..parts import shipped_recipe
from .run import perform


@click.command()
@click.option("--board", "boards", multiple=True, show_default=False,
              help="Board to run on, may be given several times; `host` needs neither cross compiler nor QEMU.  "
                   "[default: qemu_m4, netduinoplus2]")  # fmt: skip
@click.option("--output", type=PATH, default=None, show_default=False,
              help="Folder of the run.  [default: runs/sleep_demo]")  # fmt: skip
@json_option
def command(boards: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Train on synthetic sleep, quantize, generate C, build firmware, run it, compare every byte, report.

    Minutes on two cores. The recipe is training/recipes/sleep_demo.toml.
    """
    from ..recipes import load_recipe

    recipe = load_recipe(shipped_recipe("sleep"))
    sys.exit(perform(recipe, output, boards, as_json))
