"""Parity results for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .names import short_name
from .parity_run import ParityResult
from .text import count, new_table, open_console


def print_results(results: Sequence[ParityResult], payloads: Sequence[dict[str, Any]]) -> None:
    """Print one row a board, what the oracle was, and where a mismatch begins."""
    if not results:
        return
    console = open_console()
    first = results[0]
    table = new_table(
        f"parity of {first.model.path.name} with {first.oracle}",
        "board|>windows|>bytes|>mismatches|>largest difference|>time|",
        f"inputs: {first.inputs}",
    )
    for result, payload in zip(results, payloads, strict=True):
        verdict = "[green]equal[/]" if result.passed else "[bold red]DIFFERENT[/]"
        table.add_row(
            payload["board"], count(payload["windows"]), count(payload["bytes"]), count(payload["mismatches"]),
            str(payload["max_abs_diff"]), f"{payload['seconds']:.1f} s", verdict,
        )  # fmt: skip
    console.print(table)
    for result, payload in zip(results, payloads, strict=True):
        for line in _remarks(result, payload):
            console.print(f"{payload['board']}: {line}", markup=False, soft_wrap=True)


def _remarks(result: ParityResult, payload: dict[str, Any]) -> list[str]:
    lines = []
    if result.diverging is not None:
        layer = result.diverging
        lines.append(
            f"first diverging layer: {layer.index} {layer.op} '{short_name(layer.name)}' (window {layer.window})"
        )
    if result.note:
        lines.append(result.note)
    for channel in (payload.get("signals") or {}).get("channels", ()):
        lines.append(
            f"preprocessing of {channel['name']} differs from floating point by at most "
            f"{channel['float_difference_max_uv']:.3g} {channel['unit']} "
            f"(RMS {channel['float_difference_rms_uv']:.3g} {channel['unit']})"
        )
    if payload.get("accuracy"):
        scores = payload["accuracy"]
        lines.append(f"accuracy {scores['device']:.2%} on the device, {scores['oracle']:.2%} on the oracle")
    if payload.get("float_agreement"):
        found = payload["float_agreement"]
        low, high = found["interval_95"]
        lines.append(
            f"same class as the float model in {found['agree']} of {found['windows']} windows "
            f"({found['share']:.2%}, 95 % interval {low:.2%} to {high:.2%})"
        )
    return lines
