"""What `thumbnet train`, `compress` and `run` print about a mixture of experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..text import new_table, open_console

if TYPE_CHECKING:
    from .run import HemoRun


def print_training(run: HemoRun) -> None:
    """One table: MAE per task beside that of the mean; which experts serve."""
    data, facts = run.folder.facts("data"), run.folder.facts("train")
    network, quality = facts["network"], facts["quality"]
    title = f"{data['name']}, {data['windows']['test']} held-out windows, {data['label']}"
    table = new_table(title, "|>MAE|>of the mean|>gain %")
    for task in data["tasks"]:
        row = [f"{quality[key][task]:.2f}" for key in ("mae", "mean_mae")]
        table.add_row(task, *row, f"{100 * quality['gain'][task]:.0f}")
    open_console().print(table)
    click.echo(
        f"{run.folder.output('model.keras')}: {network['parameters']:,} parameters, {network['active_macs']:,} MACs of "
        f"at most {network['most_active']} of {network['config']['experts']} experts"
    )
    click.echo(served_line(quality["served"]))


def print_compression(run: HemoRun) -> None:
    """A row for each step."""
    facts = run.folder.facts("compress")
    tasks = run.folder.facts("data")["tasks"]
    table = new_table("MAE on held-out windows", "|>parameters|>MACs|" + "|".join(f">{task}" for task in tasks))
    for row in facts["rows"]:
        errors = [f"{row['mae'][task]:.2f}" for task in tasks]
        table.add_row(row["title"], f"{row['parameters']:,}", f"{row['active_macs']:,}", *errors)
    open_console().print(table)
    click.echo(served_line(facts["rows"][-1]["served"]))
    if facts["why_no_bundle"]:
        click.echo(f"no bundle: {facts['why_no_bundle']}")
    else:
        click.echo(
            f"{run.folder.output('model.bundle')}: {sum(facts['bytes'].values()):,} bytes, {len(facts['bytes'])} files"
        )


def print_boards(boards: Sequence[Mapping[str, Any]]) -> None:
    """Parity and cost of each board."""
    if not boards:
        return
    table = new_table("boards", "|>windows|>mismatches|>RAM|>flash|>instructions")
    for board in boards:
        parity, profile = board["parity"], board["profile"]
        costs = (profile.get(key) for key in ("ram_bytes", "flash_bytes", "instructions"))
        figures = ["-" if value is None else f"{value:,}" for value in costs]
        table.add_row(board["name"], f"{parity['windows']}", f"{parity['mismatches']}", *figures)
    open_console().print(table)


def served_line(served: Sequence[float]) -> str:
    """How much each expert serves, and which hardly any window."""
    idle: list[Any] = [number for number, share in enumerate(served) if share < 0.02]
    shares = ", ".join(f"{100 * share:.0f}" for share in served)
    return f"windows served by each expert, %: {shares}" + (f"; below 2 %: {idle}" if idle else "")
