"""Which expert serves whom, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import formats

Content = Mapping[str, Any]
LEAST_SHARE = 0.02


def expert_section(evaluation: Content, network: Content) -> dict[str, Any] | None:
    """What the page shows of the experts; None where the model has none.

    Parameters
    ----------
    evaluation : mapping
        Of the run; its `device` where integers chose.
    network : mapping
        The network that was judged, with `most_active` experts of a window.
    """
    if "experts" not in evaluation:
        return None
    floating, device = evaluation["experts"], evaluation.get("device")
    used = device["experts"] if device else floating
    return {
        "lead": _lead(evaluation, used, network),
        "active": f"{used['active']['mean']:.2f} of at most {network['most_active']} run for one",
        "bars": _bars(floating, device),
        "numbers": list(range(used["experts"])),
        "kinds": [{"name": name, "shares": shares} for name, shares in used["kinds"].items()],
        "means": [
            {"task": task, "unit": evaluation["errors"]["model"].get(task, {}).get("unit", ""),
             "cells": [formats.figure(value) for value in values]}
            for task, values in used["means"].items()
        ],
        "on_device": device is not None,
    }  # fmt: skip


def _bars(floating: Content, device: Content | None) -> list[dict[str, Any]]:
    columns = [("float", floating["served"])] + ([("int8", device["experts"]["served"])] if device else [])
    return [
        {
            "name": f"expert {number}",
            "bars": [{"colour": colour, "value": served[number]} for colour, served in columns],
        }
        for number in range(len(floating["served"]))
    ]


def _lead(evaluation: Content, used: Content, network: Content) -> str:
    active = used["active"]
    text = (
        f"At most {network['most_active']} of {used['experts']} experts may run for a window; measured on the held-out "
        f"windows {active['mean']:.2f} on average, {active['largest']} at most. Load entropy {used['entropy']:.2f} of "
        f"{used['largest']:.2f} bits. {idle_sentence(used['served'])}"
    )
    same = (evaluation.get("device") or {}).get("same_experts")
    if same is not None:
        text += f" The integers choose the float network's experts in {formats.percent(same)} of the windows."
    return text


def idle_sentence(served: Sequence[float]) -> str:
    """Whether each expert serves at least 2 % of the windows."""
    idle = [str(number) for number, share in enumerate(served) if share < LEAST_SHARE]
    if not idle:
        return f"Each expert serves at least 2 % of the windows; the least {formats.percent(min(served))}."
    return f"Below 2 % of the windows: expert {', '.join(idle)}."
