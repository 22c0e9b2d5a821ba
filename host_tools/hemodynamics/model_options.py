"""Options of `thumbnet train` and `compress hemodynamics`, named as in the published code, and the recipe they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import HostToolsError
from ..jsonout import quiet_stdout
from ..options import PATH, json_option
from ..parts import shipped_recipe
from .data_options import check_teacher, data_config, data_options

if TYPE_CHECKING:
    from .context import HemoRun
    from .recipe import HemoRecipe

F = TypeVar("F", bound=Callable[..., Any])
NOISES = ("gaussian", "uniform", "poisson", "beta", "salt-and-pepper", "speckle")
_TABLES = {
    "configuration": ("model", "configuration"),
    "num_experts": ("model", "experts"),
    "hidden_channels": ("model", "channels"),
    "num_blocks": ("model", "blocks"),
    "noisy_gating": ("model", "noisy"),
    "noise_type": ("model", "noise"),
    "k": ("model", "k"),
    "use_msfgm": ("model", "use_msfgm"),
    "expert_type": ("model", "expert_kind"),
    "epochs": ("training", "epochs"),
    "batch_size": ("training", "batch_size"),
    "lr": ("training", "learning_rate"),
    "teacher_weights": ("training", "weights"),
    "target_sparsity": ("compression", "target_sparsity"),
    "distillation": ("compression", "distillation"),
    "distillation_epochs": ("compression", "epochs"),
    "aware_epochs": ("compression", "aware_epochs"),
    "compare": ("compression", "compare"),
}
"""Option -> table and key of the recipe."""


def model_options(function: F) -> F:
    """--recipe, the options of windows, network and training, --output-dir and --json."""
    place = "Folder of the run.  [default: runs/NAME, NAME from the recipe]"
    hidden: dict[str, Any] = {"default": None, "show_default": False}
    for option in (
        json_option,
        click.option("--output-dir", type=PATH, help=place, **hidden),
        click.option("--lr", type=float, help="Start of the learning rate.", **hidden),
        click.option("--batch-size", type=int, help="Windows per step.", **hidden),
        click.option("--epochs", type=int, help="Passes over the training windows at most.", **hidden),
        click.option("--expert-type", type=click.Choice(["resnet", "msfgm"]), help="Kind of the experts.", **hidden),
        click.option("--use-msfgm/--no-use-msfgm", help="Multi-scale modules in the blocks.", **hidden),
        click.option("--k", type=int, help="Experts that a gate chooses for a window.", **hidden),
        click.option("--noise-type", type=click.Choice(NOISES), help="Of the noisy gates.", **hidden),
        click.option("--noisy-gating/--no-noisy-gating", help="Noise on the gates in training.", **hidden),
        click.option("--num-blocks", type=int, help="Residual blocks of an expert.", **hidden),
        click.option("--hidden-channels", type=int, help="Channels of the experts, a multiple of 16.", **hidden),
        click.option("--num-experts", type=int, help="Experts there are.", **hidden),
        click.option("--configuration", type=click.Choice(["reference", "paper", "edge"]),
                     help="Network that the options change.  [default: the recipe's]", **hidden),
    ):  # fmt: skip
        function = option(function)
    function = data_options(function)
    text = "Recipe of the run.  [default: hemo_demo]"
    return click.option("--recipe", type=PATH, default=None, show_default=False, help=text)(function)


def compression_options(function: F) -> F:
    """--target-sparsity, --teacher-weights and how the pruned network learns again."""
    function = pruning_options(function)
    return click.option("--teacher-weights", type=PATH, default=None, show_default=False,
                        help="Trained network (model.keras) in place of training.")(function)  # fmt: skip


def pruning_options(function: F) -> F:
    """--target-sparsity and how the pruned network learns again."""
    hidden: dict[str, Any] = {"default": None, "show_default": False}
    for option in (
        click.option("--compare/--no-compare", help="Also train the pruned network on labels alone and one-way.",
                     **hidden),
        click.option("--aware-epochs", type=int, help="Passes with the rounding of int8; 0: none.", **hidden),
        click.option("--distillation-epochs", type=int, help="Passes of the pruned network at most.", **hidden),
        click.option("--distillation", type=click.Choice(["two-way", "one-way", "none"]),
                     help="How the pruned network learns from its teacher.", **hidden),
        click.option("--target-sparsity", type=float, help="Share of the parameters to remove.", **hidden),
    ):  # fmt: skip
        function = option(function)
    return function


def recipe_with(recipe: Path | None, options: dict[str, Any]) -> HemoRecipe:
    """Return a recipe, the demo's by default, with what options change.

    Parameters
    ----------
    recipe : pathlib.Path, optional
        The recipe's file.
    options : dict
        By the name of the option, None where it was not given.

    Raises
    ------
    RecipeError, ConfigError
        When a value is out of range, or values do not go together.
    """
    from .recipe import load_hemo_recipe, parse_hemo_recipe

    table = load_hemo_recipe(recipe or shipped_recipe("hemo")).model_dump(exclude_unset=True)
    table["task"] = "hemodynamics"
    seed = options.get("seed")
    if seed is not None:
        table.setdefault("training", {})["seed"] = seed
    for option, (section, key) in _TABLES.items():
        value = options.get(option)
        if value is not None:
            value = str(value.resolve()) if isinstance(value, Path) else value
            table.setdefault(section, {})[key] = value
    if options.get("configuration") is not None:
        # Another network: what the recipe says about its own sizes goes.
        kept = {
            key for option, (section, key) in _TABLES.items() if section == "model" and options.get(option) is not None
        }
        table["model"] = {key: value for key, value in table["model"].items() if key in kept}
    elif options.get("num_blocks") is not None:
        table["model"].pop("strides", None)
    given = {key: value for key, value in options.items() if key not in _TABLES}
    table["data"] = data_config(_undrawn(table.get("data", {}), options), **given).to_dict()
    return parse_hemo_recipe(table, "with the options given")


def check_network(config: Mapping[str, Any], options: Mapping[str, Any], run: Path) -> None:
    """Refuse options that describe another network than that of a run; how it was trained is not compared.

    Parameters
    ----------
    config : mapping
        Sizes of the run's network.
    options : mapping
        By the name of the option, None where it was not given.
    run : pathlib.Path
        Named in the error.

    Raises
    ------
    HostToolsError
        Naming the first one that differs.
    """
    for option, (section, key) in _TABLES.items():
        given = options.get(option)
        if section == "model" and key in config and given is not None and given != config[key]:
            name = option.replace("_", "-")
            raise HostToolsError(f"the network of {run} has {key} {config[key]!r}; --{name} {given!r} is another one")


def _undrawn(data: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Take keys of synthetic windows out of ``[data]`` where options name files."""
    if options.get("ppg_file") is None and options.get("source") is None:
        return data
    return {key: value for key, value in data.items() if key in ("protocol", "fractions", "seed")}


def perform(recipe: HemoRecipe, output: Path | None, last: str) -> HemoRun:
    """Run a recipe up to a stage, with progress on standard error."""
    from ..progress import progress_bars
    from .run import run_hemo_part

    if recipe.training.weights:
        check_teacher(recipe.source.to_dict(), Path(recipe.training.weights))
    place = output or Path("runs") / recipe.name
    with quiet_stdout(), progress_bars() as new_task:
        return run_hemo_part(recipe, place, last, lambda line: click.echo(line, err=True), new_task)
