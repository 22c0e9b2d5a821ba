"""A search in words: one line a trial, the front as a table, the choice as lines of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .space import Candidate

_HEAD = ("", "network", "int8 accuracy", "code + weights", "state", "instructions", "parameters")


def trial_line(record: Mapping[str, Any]) -> str:
    """What one trial came to."""
    network = Candidate.from_dict(record["network"]).title
    told = f"trial {record['trial']}: {network}: "
    if record["accuracy"] is None:
        return f"{told}{record['outcome']}, {record['reason']}".removesuffix(", ")
    return f"{told}int8 accuracy {record['accuracy']:.1%}, {_cost(record['cost'])}"


def result_lines(facts: Mapping[str, Any]) -> list[str]:
    """The outcome: counts, the front, the chosen network beside the recipe's own."""
    outcomes = ", ".join(f"{count} {name}" for name, count in facts["outcomes"].items())
    by_number = {record["trial"]: record for record in facts["trials"]}
    front = [_front_row(by_number[number]) for number in facts["front"]]
    lines = [f"{len(by_number)} trials: {outcomes}", "", "Pareto front, short trainings, validation windows:", ""]
    lines += _columns([_HEAD, *front])
    lines += ["", f"Trained in full ({facts['protocol']}; {facts['data']}):", ""]
    rows = [("recipe's own", facts["full"]), (f"chosen, trial {facts['chosen']['trial']}", facts["chosen"])]
    head = ("", "network", "int8 validation", "int8 test", "float test", *_HEAD[3:])
    lines += _columns([head, *(_full_row(name, row) for name, row in rows)])
    own, chosen = (row["accuracy"]["test"]["int8"] for _, row in rows)
    budgets = ", ".join(f"{key} {limit:,}" for key, limit in facts["budgets"].items()) or "none"
    lines += ["", f"Budgets: {budgets}. int8 accuracy on test windows: {100 * (chosen - own):+.1f} points."]
    sources = sorted({facts["full"]["cost"]["flash_source"], facts["chosen"]["cost"]["flash_source"]})
    lines += [f"Costs are for {facts['target']}: state exact, code and weights {' or '.join(sources)}, instructions "
              "estimated unless a board is named."]  # fmt: skip
    return lines


def recipe_lines(chosen: Mapping[str, Any]) -> str:
    """The network as tables of a recipe, pruned widths as widths."""
    network, widths = chosen["network"], chosen["widths"]
    pruned = "# found as a wider network, pruned; trained from the start here\n" if network["prune"] else ""
    return (
        f"{pruned}[model]\nfilters = {widths['filters']}\ntaps = {network['taps']}\n"
        f"hidden_units = {widths['hidden_units']}\n\n[quantize]\nclip_percentile = {network['clip_percentile']}\n"
    )


def _cost(cost: Mapping[str, Any]) -> str:
    return f"{cost['flash_bytes']:,} bytes of flash, {cost['state_bytes']:,} of state"


def _front_row(record: Mapping[str, Any]) -> tuple[str, ...]:
    cost = record["cost"]
    return (
        f"trial {record['trial']}",
        Candidate.from_dict(record["network"]).title,
        f"{record['accuracy']:.1%}",
        f"{cost['flash_bytes']:,}",
        f"{cost['state_bytes']:,}",
        f"{cost['instructions'] / 1e6:.2f} M",
        f"{record['parameters']:,}",
    )


def _full_row(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    cost, accuracy, measured = row["cost"], row["accuracy"], row["measured"]
    count = f"{measured['instructions'] / 1e6:.2f} M ({measured['board']})" if measured else (
        f"{cost['instructions'] / 1e6:.2f} M")  # fmt: skip
    return (
        name,
        Candidate.from_dict(row["network"]).title,
        *(
            f"{accuracy[part][kind]:.1%}"
            for part, kind in (("validation", "int8"), ("test", "int8"), ("test", "float"))
        ),
        f"{cost['flash_bytes']:,}",
        f"{cost['state_bytes']:,}",
        count,
        f"{row['parameters']:,}",
    )


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Text aligned in columns, the first two to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
