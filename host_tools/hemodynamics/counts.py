"""Held-out windows of a run as counts of its converter, which boards turn into codes by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipeline.compress import spread
from ..pipeline.samples import SAMPLES

if TYPE_CHECKING:
    from thumbnet.quantize.bundle import Bundle

    from .context import HemoRun


def keep_counts(run: HemoRun, bundle: Bundle, folder: Path) -> dict[str, Any]:
    """Keep held-out windows as counts of the declared converter: int32, shape (windows, samples, 1).

    Returns
    -------
    dict
        The fact `signals`: the converter, which steps, and over these windows the share of codes that differ from those
        of floating point and by how much at most; None behind filters or resampling, which the windows have had before.
    """
    from thumbnet.codegen.signals import SignalPlan, design, run_codes
    from thumbnet.quantize.signals import window_counts

    plan = SignalPlan.from_dict(bundle.signals or {})
    windows, _ = run.part("test")
    chosen = windows[spread(len(windows), run.recipe.boards.windows), 0, :, 0]
    counts = window_counts(plan.to_dict(), (chosen + 1) / 2, bundle.rate)
    np.save(folder / SAMPLES, counts)
    steps = plan.channels[0].steps
    found: dict[str, Any] = {"share_of_codes_that_differ": None, "largest_difference": None}
    if not steps:
        constants = design(plan)
        codes = np.stack([run_codes(constants, window.T)[0] for window in counts]).astype(int)
        apart = np.abs(codes - np.round(127 * chosen))
        found = {"share_of_codes_that_differ": float((apart > 0).mean()), "largest_difference": int(apart.max())}
    names = [type(step).__name__.lower() for step in steps]
    return {"bits": plan.bits, "rate": plan.rate, "steps": names, **found}
