"""What `thumbnet train`, `compress` and `run` print about a mixture of experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..text import new_table, open_console

if TYPE_CHECKING:
    from .context import HemoRun


def print_training(run: HemoRun) -> None:
    """One table: MAE per task beside that of the mean; which experts serve."""
    data, facts = run.folder.facts("data"), run.folder.facts("train")
    network, quality = facts["network"], facts["quality"]
    click.echo(f"{data['name']}, {data['windows']['test']} held-out windows, {data['label']}")
    table = new_table("", "|>MAE|>of the mean|>gain %")
    for task in data["tasks"]:
        gain = quality["gain"][task]
        row = [_number(quality[key][task]) for key in ("mae", "mean_mae")]
        table.add_row(task, *row, "-" if gain is None else str(round(100 * gain)))
    open_console().print(table)
    click.echo(
        f"{run.folder.output('model.keras')}: {network['parameters']:,} parameters, {network['active_macs']:,} MACs of "
        f"at most {network['most_active']} of {network['config']['experts']} experts"
    )
    click.echo(served_line(quality["served"]))
    _print_few(data)


def print_compression(run: HemoRun) -> None:
    """A column for each step."""
    facts = run.folder.facts("compress")
    tasks = run.folder.facts("data")["tasks"]
    rows = facts["rows"]
    table = new_table("on held-out windows", "|" + "|".join(f">{row['name']}" for row in rows))
    for task in tasks:
        table.add_row(f"MAE of {task}", *(_number(row["mae"][task]) for row in rows))
    table.add_row("least gain kept", *(_least(row["gain_kept"]) for row in rows))
    for key, title in (("parameters", "parameters"), ("active_macs", "active MACs")):
        table.add_row(title, *(f"{row[key]:,}" for row in rows))
    open_console().print(table)
    for row in rows:
        click.echo(f"{row['name']}: {row['title']}")
    for row in facts["missing"]:
        click.echo(f"{row['name']}: {row['title']}; not made, {row['why']}")
    click.echo(served_line(facts["rows"][-1]["served"]))
    asked, left = facts["table"]["target_sparsity"], rows[-1]["parameters"] / rows[0]["parameters"]
    if left > 1 - asked:
        click.echo(
            f"pruned by {1 - left:.1%} instead of {asked:.1%}: of a network of these sizes no more can go; larger ones "
            "have more to remove"
        )
    _print_few(run.folder.facts("data"))
    if facts["why_no_bundle"]:
        click.echo(f"no bundle: {facts['why_no_bundle']}")
    else:
        click.echo(
            f"{run.folder.output('model.bundle')}: {sum(facts['bytes'].values()):,} bytes, {len(facts['bytes'])} files"
        )


def served_line(served: Sequence[float]) -> str:
    """How much each expert serves, and which hardly any window."""
    idle: list[Any] = [number for number, share in enumerate(served) if share < 0.02]
    shares = ", ".join(f"{100 * share:.0f}" for share in served)
    return f"windows served by each expert, %: {shares}" + (f"; below 2 %: {idle}" if idle else "")


def _print_few(data: Mapping[str, Any]) -> None:
    """Say what a handful of windows is good for."""
    from thumbnet.training.hemodynamics.protocols import few_windows

    remark = few_windows(*(data["windows"][part] for part in ("train", "validation", "test")))
    if remark is not None:
        click.echo(remark)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _least(kept: Mapping[str, float | None] | None) -> str:
    """Smallest share of the teacher's gain over the parameters."""
    known = [share for share in (kept or {}).values() if share is not None]
    return f"{100 * min(known):.0f} %" if known else "-"
