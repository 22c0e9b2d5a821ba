"""What the compiler did to a model, for people."""

from __future__ import annotations

from rich.console import Console
from thumbnet.codegen.explain import Explanation, PassReport, ScheduleReport, StepReport

from .names import short_name
from .text import count, new_table, open_console


def print_explanation(found: Explanation) -> None:
    """Print passes, layers they changed, schedules and kernels, each as a table."""
    console = open_console()
    for note in found.notes:
        console.print(note, soft_wrap=True, highlight=False)
    _passes(console, found)
    _changes(console, found)
    _schedules(console, found)
    _steps(console, found)


def _passes(console: Console, found: Explanation) -> None:
    table = new_table("passes", "pass|>layers|>MACs|>channels removed|purpose")
    for report in found.passes:
        if not report.enabled:
            table.add_row(report.name, "off", "", "", report.purpose)
            continue
        removed = count(report.removed_channels) if report.removed_channels else "-"
        table.add_row(report.name, _step(report.layers), _step(report.macs), removed, report.purpose)
    console.print(table)
    off = [name for name in found.off if name not in {report.name for report in found.passes}]
    if off:
        console.print(f"switched off: {', '.join(off)}")


def _step(counts: tuple[int, int]) -> str:
    before, after = counts
    return count(before) if before == after else f"{before:,} to {after:,}"


def _changes(console: Console, found: Explanation) -> None:
    rows = [(report, change) for report in found.passes for change in report.changes]
    if not rows:
        return
    table = new_table("layers that passes changed", "pass|>layer|operator|name|change")
    last: PassReport | None = None
    for report, change in rows:
        first = "" if report is last else report.name
        table.add_row(first, str(change.node), change.op, short_name(change.name), change.text)
        last = report
    console.print(table)


def _schedules(console: Console, found: Explanation) -> None:
    optimal = found.arena_bytes == found.arena_bound
    plan = f"arena {found.arena_bytes:,} bytes, lower bound {found.arena_bound:,}"
    table = new_table(
        "schedules (instructions and flash are estimates)",
        "schedule|>state|>instructions|>longest push|>finish|>flash|",
        f"{plan}{': no plan is smaller' if optimal else ''}",
    )
    for report in found.schedules:
        table.add_row(*_schedule(report))
    console.print(table)


def _schedule(report: ScheduleReport) -> tuple[str, ...]:
    streams = report.push_max > 0
    return (
        report.name,
        count(report.state_bytes),
        count(report.instructions),
        count(report.push_max) if streams else "-",
        count(report.finish) if streams else "-",
        count(report.flash_bytes),
        "chosen" if report.chosen else "rejected",
    )


def _steps(console: Console, found: Explanation) -> None:
    table = new_table("layers as they run", "|operator|name|>MACs|>constants|>proven|>plain|>tables|kernel")
    for report in found.steps:
        table.add_row(str(report.index), report.op, short_name(report.name), *_counts(report), _kernel(report))
    sums = [sum(value for value in column if value) for column in zip(*map(_values, found.steps), strict=True)]
    table.add_section()
    table.add_row("", "all", "", *map(count, sums), "")
    console.print(table)


def _values(report: StepReport) -> tuple[int | None, ...]:
    return report.macs, report.weight_bytes, report.proven, report.plain, report.table_bytes


def _counts(report: StepReport) -> tuple[str, ...]:
    return tuple(count(value) if value else "-" for value in _values(report))


def _kernel(report: StepReport) -> str:
    return "no code" if report.tier == "none" else f"{report.kernel} ({report.tier})"
