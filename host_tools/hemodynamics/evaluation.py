"""Stage `evaluate` of a hemodynamic run: all that `thumbnet evaluate hemodynamics` says, and figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipeline.hashing import versions
from ..pipeline.quiet import quiet_libraries
from .compress import ESTIMATES
from .evaluate import REPORT, write_evaluation
from .networks import MODEL, PACKAGES, STUDENT

if TYPE_CHECKING:
    from .context import HemoRun
    from .judging import Judged

MOST_POINTS = 400
_CODE = ("training/hemodynamics", "training/plots.py",
         *(f"host_tools/hemodynamics/{name}.py" for name in ("evaluate", "evaluation", "judging")))  # fmt: skip


def evaluate(run: HemoRun) -> dict[str, Any]:
    """Run the stage; its facts hold the points of the report's charts."""
    integers = run.folder.stages["compress"].outputs.get(ESTIMATES)
    depends = {
        "data": run.folder.facts("data")["sha256"],
        "networks": [run.output_hash("train", MODEL), run.output_hash("prune", STUDENT), integers],
        "versions": versions((*PACKAGES, "scikit-learn", "matplotlib")),
    }
    return run.stage("evaluate", depends, _CODE, lambda folder: _work(run, folder))


@quiet_libraries()
def _work(run: HemoRun, folder: Path) -> dict[str, Any]:
    from .judging import judge_networks

    judged = judge_networks(run.folder.path, run.loaded, run.recipe.source)
    write_evaluation(judged.report(), judged, folder)
    return {"file": REPORT, "points": chart_points(judged)}


def chart_points(judged: Judged) -> dict[str, dict[str, list[float]]]:
    """Measured and estimated values of some tested windows of each task, evenly taken; the device's where known."""
    tested = judged.data.division.test
    labels = judged.data.windows.labels[tested]
    told = (judged.estimated if judged.device is None else judged.device.estimated)[tested]
    found = {}
    for column, task in enumerate(judged.data.windows.tasks):
        known = np.flatnonzero(np.isfinite(labels[:, column]) & np.isfinite(told[:, column]))
        rows = known[:: max(1, -(-len(known) // MOST_POINTS))]
        found[task] = {"measured": _short(labels[rows, column]), "estimated": _short(told[rows, column])}
    return found


def _short(values: np.ndarray[Any, Any]) -> list[float]:
    """Five digits are more than a chart shows."""
    return [float(f"{value:.5g}") for value in values]
