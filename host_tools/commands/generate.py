"""`thumbnet generate`: an int8 model in, C sources out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import PATH, json_option, limit_options, model_argument, schedule_option, spread_option

if TYPE_CHECKING:
    from ..generate import Generated

_DEFAULT_TARGET = "cortex-m4"


@click.command("generate")
@model_argument
@click.option("--target", help=f"Processor core.  [default: the board's, or {_DEFAULT_TARGET}]")
@click.option("--board", help="Board to generate for: implies the target, and checks that the model fits.")
@click.option(
    "--engine",
    default="aot",
    metavar="[aot|tflm]",
    help="`aot`: static C of our own compiler; `tflm`: arrays for TensorFlow Lite Micro.",
)
@schedule_option
@limit_options
@spread_option
@click.option("--output", "output", type=PATH, required=True, help="Folder to write.")
@click.option("--prefix", default="model", help="Prefix of every C name and file.")
@click.option(
    "--app/--no-app", default=True, help="Write tn_app_model.h too, which binds the model to the device application."
)
@click.option(
    "--optimize",
    default="speed",
    metavar="[speed|size]",
    help="What the code leans to: `speed` gives every layer its own kernel, `size` lets layers of a kind share one.",
)
@click.option(
    "--disable",
    multiple=True,
    metavar="NAME",
    help="Leave an optimisation out; the outputs stay the same. Give it several times for several.",
)
@click.option(
    "--signals",
    metavar="FILE",
    help="Generate the preprocessing of this declaration too (JSON, or `bundle` for the model's own). With --app the "
    "model then streams behind it.",
)
@click.option("--explain", is_flag=True, help="Tell what the compiler did to the model and why, with counts.")
@click.option("--force", is_flag=True, help="Overwrite files that thumbnet did not write.")
@json_option
def command(
    model: Path,
    target: str | None,
    board: str | None,
    engine: str,
    schedule: str,
    max_ram: int | None,
    max_flash: int | None,
    spread: int,
    output: Path,
    prefix: str,
    app: bool,
    disable: tuple[str, ...],
    optimize: str,
    signals: str | None,
    explain: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Turn MODEL into C sources: an Arduino/PlatformIO library with no dependencies.

    Either all files are written or none. Files that thumbnet did not generate are never overwritten unless
    --force is given.
    """
    from .. import jsonout
    from ..generate import generate

    result = generate(
        model,
        output,
        target=target,
        board=board,
        engine=engine,
        prefix=prefix,
        schedule=schedule,
        max_ram=max_ram,
        max_flash=max_flash,
        spread=spread,
        app=app,
        force=force,
        default_target=_DEFAULT_TARGET,
        disable=disable,
        optimize=optimize,
        explain=explain,
        signals=signals,
    )
    if as_json:
        jsonout.emit("generate/1", result.to_dict())
    else:
        _print(result)
        if result.explanation is not None:
            from ..explain_text import print_explanation

            print_explanation(result.explanation)


def _print(result: Generated) -> None:
    facts = [
        ("model", f"{result.model.path.name} ({result.model.sha256[:12]})"),
        ("target", f"{result.target}, engine {result.engine}, schedule {result.schedule}"),
        ("layers", f"{result.cost.layers:,}"),
        ("MACs", f"{result.cost.macs:,}"),
        _memory(result),
        ("weights", f"{result.cost.weight_bytes:,} bytes"),
    ]
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        click.echo(f"{name:<{width}}  {text}")
    changed = set(result.changed)
    click.echo(f"{'files':<{width}}  {result.output} ({len(result.files)} files, {len(changed)} changed)")
    for file, size in result.files.items():
        click.echo(f"{'':<{width}}    {size:>9,}  {file}{'' if file in changed else '  (as it was)'}")


def _memory(result: Generated) -> tuple[str, str]:
    if result.engine == "aot":
        return "state", f"{result.cost.state_bytes:,} bytes"
    arena = result.cost.arena_bytes_tflm_host
    return "arena", "not measured (no tflite-micro wheel here)" if arena is None else f"{arena:,} bytes, 64-bit host"
