"""Preprocessing on the device, in words: filters, converter, and the parity of both with the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import formats


def device_facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of name and text: the converter, the steps of each channel, and what each board computed behind them.

    Empty where the recipe declares no preprocessing of the device.
    """
    device = report["signals"].get("device")
    if not device:
        return []
    facts = [("converter", f"{device['bits']} bits, {device['rate']:g} Hz, {_worth(device)}")]
    for channel in device["channels"]:
        facts.append((channel["name"], "; ".join(channel["steps"]) or "no filter"))
    clipped = [(row["share_clipped"], row["name"]) for row in device["channels"] if row["share_clipped"] > 0]
    if clipped:
        share, name = max(clipped)
        facts.append(("clipped", f"the converter's range clips {share:.2%} of the samples of {name}"))
    return facts + [(f"{board['name']} from samples", _proof(behind)) for board, behind in _boards(report)]


def window_facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same for windows that are normalised by their own range: converter, steps, and what each board computed."""
    device = report["compress"].get("signals")
    if not device:
        return []
    steps = "; ".join([*device["steps"], "each window by its own range"])
    facts = [("converter", f"{device['bits']} bits, {device['rate']:g} Hz"), ("steps on the device", steps)]
    share = device["share_of_codes_that_differ"]
    if share is not None:
        text = (
            f"{share:.2%} of the codes differ from those of floating point, by {device['largest_difference']} at most"
        )
        facts.append(("rounding to counts", text))
    return facts + [(f"{board['name']} from samples", _equal(behind)) for board, behind in _boards(report)]


def _boards(report: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return [(board, board["parity"]["signals"]) for board in report["boards"] if board["parity"].get("signals")]


def _worth(device: Mapping[str, Any]) -> str:
    worth = {row["name"]: row["microvolts_per_count"] for row in device["channels"]}
    if len(set(worth.values())) == 1:
        return f"{next(iter(worth.values())):g} uV a count"
    return ", ".join(f"{name} {value:g} uV" for name, value in worth.items()) + " a count"


def _proof(behind: Mapping[str, Any]) -> str:
    largest = max(row["float_difference_max_uv"] for row in behind["channels"])
    rms = max(row["float_difference_rms_uv"] for row in behind["channels"])
    return (
        f"{_equal(behind)}; integers and floating point differ by at most "
        f"{largest:.2g} uV before quantization (RMS {rms:.2g} uV)"
    )


def _equal(behind: Mapping[str, Any]) -> str:
    diverging = behind["first_diverging_layer"]
    codes = f"first differing layer {diverging['name']}" if diverging else "codes equal"
    return (
        f"{formats.count(behind['mismatches'])} of {formats.count(behind['bytes'])} output bytes of "
        f"{formats.count(behind['windows'])} windows differ, {codes}"
    )
