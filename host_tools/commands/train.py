"""`thumbnet train`: the float network of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..hemodynamics.model_options import model_options, perform, recipe_with
from ..jsonout import emit
from ..parts import perform_part, recipe_options


@click.group()
def command() -> None:
    """Train the network of a recipe."""


@command.command()
@recipe_options
def sleep(recipe: Path | None, data: Path | None, output: Path | None, as_json: bool) -> None:
    """Train a sleep-staging network: the stages signals and train of `thumbnet run`."""
    folder = perform_part("sleep", recipe, data, output, "train")
    facts = folder.facts("train")
    if as_json:
        emit("train/1", {"run": str(folder.path), "protocol": folder.facts("signals")["protocol"], **facts})
        return
    metrics = facts["metrics"]
    click.echo(
        f"{folder.output('model.keras')}: {facts['parameters']:,} trainable parameters, held-out accuracy "
        f"{metrics['accuracy']:.1%}, macro F1 {metrics['macro_f1']:.1%} ({folder.facts('signals')['protocol']})"
    )


@command.command()
@model_options
def hemodynamics(recipe: Path | None, output_dir: Path | None, as_json: bool, **options: Any) -> None:
    """Train a mixture of experts that estimates hemodynamic parameters from PPG windows."""
    from ..hemodynamics.printing import print_training

    run = perform(recipe_with(recipe, options), output_dir, "train")
    if as_json:
        facts = {name: run.folder.facts(name) for name in ("data", "train")}
        emit("train-hemodynamics/1", {"run": str(run.folder.path), **facts})
        return
    print_training(run)
