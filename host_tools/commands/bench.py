"""`thumbnet bench`: models on boards against TensorFlow Lite Micro, and against figures recorded before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import PATH, choose_board, json_option, workdir_option, working_folder

if TYPE_CHECKING:
    from ..bench.check import Check
    from ..bench.measure import Row


@click.command("bench")
@click.option(
    "--model", "models", type=PATH, multiple=True,
    help="Model to measure; may be given several times.  [default: the built-in example and those of --models]",
)  # fmt: skip
@click.option(
    "--models", "folder", type=PATH, envvar="THUMBNET_MODELS", show_envvar=True,
    help="Folder whose .tflite files are measured beside the built-in example.",
)  # fmt: skip
@click.option(
    "--board", "boards", multiple=True, metavar="BOARD",
    help="Emulated board; may be given several times.  [default: qemu_m4 and qemu_m55, with --check those recorded]",
)  # fmt: skip
@click.option(
    "--schedule", "schedules", multiple=True, metavar="NAME",
    help="Schedule; may be given several times.  [default: whole and stream, with --check those recorded]",
)  # fmt: skip
@click.option(
    "--optimize", "leanings", multiple=True, metavar="NAME",
    help="`speed` or `size`; may be given twice.  [default: speed, with --check those recorded]",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=1, help="Seed of the window that is run.")
@click.option("--layers", is_flag=True, help="Show every layer too (--json always does).")
@click.option("--markdown", "document", type=PATH, help="Write the tables to this file as Markdown.")
@click.option("--record", "to_record", type=PATH, help="Write the figures to this file, to check against later.")
@click.option("--check", "to_check", type=PATH, help="Exit with 1 when a figure is over 2 % worse than in this file.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, help="Rows measured at the same time.")
@workdir_option
@json_option
def command(
    *,
    layers: bool,
    document: Path | None,
    to_record: Path | None,
    to_check: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Measure models on emulated boards: instructions, pushes, state, stack and flash, beside TensorFlow Lite Micro.

    Figures are those of `thumbnet profile`. Instructions are counted by QEMU; they are not cycles.
    """
    from .. import jsonout
    from ..bench import measure, text
    from ..bench.check import check, read_record, record

    recorded = None if to_check is None else read_record(to_check)
    with jsonout.quiet_stdout(as_json):
        rows = _measure(recorded, **options)
    tools = measure.tools()
    outcome = None if recorded is None else check(rows, recorded, tools)
    if document is not None:
        document.write_text(text.markdown(rows, layers, tools), encoding="utf-8")
    if to_record is not None:
        to_record.write_text(record(rows, tools), encoding="utf-8")
    if as_json:
        _emit(rows, tools, outcome)
    else:
        text.print_rows(rows, layers)
        if outcome is not None:
            _print_check(outcome)
    return 1 if outcome is not None and outcome.worse else 0


def _measure(
    recorded: dict[str, Any] | None,
    *,
    models: tuple[Path, ...],
    folder: Path | None,
    boards: tuple[str, ...],
    schedules: tuple[str, ...],
    leanings: tuple[str, ...],
    seed: int,
    jobs: int,
    workdir: Path | None,
) -> list[Row]:
    from thumbnet.codegen import OPTIMIZE

    from ..bench import measure
    from ..choices import check_choice
    from ..progress import progress_bars

    wanted = measure.cases(
        measure.find_models(models, folder),
        [choose_board(name) for name in boards or _recorded(recorded, "board", measure.BOARDS)],
        schedules or _recorded(recorded, "schedule", measure.SCHEDULES),
        [check_choice("optimize", name, OPTIMIZE) for name in leanings or _recorded(recorded, "optimize", ("speed",))],
    )
    rows = []
    with working_folder(workdir) as place, progress_bars() as new_task:
        advance = new_task("bench", len(wanted))
        for row in measure.measure(wanted, place, seed=seed, jobs=jobs):
            rows.append(row)
            advance(1)
    return rows


def _recorded(recorded: dict[str, Any] | None, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """What the record was made of, in its order, or else the default."""
    return default if recorded is None else tuple(dict.fromkeys(row[key] for row in recorded["figures"]))


def _emit(rows: list[Row], tools: dict[str, str], outcome: Check | None) -> None:
    from .. import jsonout
    from ..bench.baseline import provenance

    payload = {
        "baseline": provenance(),
        "tools": tools,
        "rows": [row.to_dict() for row in rows],
        "check": None if outcome is None else outcome.to_dict(),
    }
    jsonout.emit("bench/1", payload)


def _print_check(outcome: Check) -> None:
    for remark in outcome.remarks:
        click.echo(f"note: {remark}")
    for item in outcome.worse:
        click.echo(f"worse: {item}")
    verdict = f"{len(outcome.worse)} figures got worse by more than 2 %" if outcome.worse else "nothing got worse"
    click.echo(f"check: {outcome.compared} rows compared, {verdict}")
