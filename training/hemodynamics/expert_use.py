"""Which expert serves whom: shares, importance and entropy of a mixture's routing."""

from __future__ import annotations

from typing import Any

import numpy as np

from .agreement import strata_of
from .windowset import PpgWindows

LEAST_SHARE = 0.02
"""Share of the windows below which an expert counts as collapsed."""


def expert_use(weights: np.ndarray, windows: PpgWindows) -> dict[str, Any]:
    """Describe a routing.

    Parameters
    ----------
    weights : numpy.ndarray
        Weight of each expert in each window, shape (N, experts) or (N, rows, experts) with a row per task; 0 where it
        does not run.
    windows : PpgWindows
        The N windows.

    Returns
    -------
    dict
        `experts`; `served`, the share of windows that each runs for; `importance`, its share of all weight; `entropy`
        of the load in bits with its `largest` possible value and their ratio `evenness` (1: all alike, 0: one does
        everything); `active`, mean and largest number of experts a window; `idle`, experts that serve fewer than 2 %;
        `kinds`, for each kind of window (age, sex, pressure) the share that each expert serves; `means`, mean of each
        parameter over the windows that each serves.
    """
    weights = weights[:, None, :] if weights.ndim == 2 else weights
    runs = (weights > 0).any(axis=1)
    served = runs.mean(axis=0)
    load = served / max(float(served.sum()), 1e-12)
    importance = weights.sum(axis=(0, 1))
    busy = load[load > 0]
    entropy = abs(float((busy * np.log2(busy)).sum()))
    largest = float(np.log2(len(served))) if len(served) > 1 else 0.0
    return {
        "experts": len(served),
        "served": served.tolist(),
        "importance": (importance / max(float(importance.sum()), 1e-12)).tolist(),
        "entropy": entropy,
        "largest": largest,
        "evenness": entropy / largest if largest else 1.0,
        "active": {"mean": float(runs.sum(axis=1).mean()), "largest": int(runs.sum(axis=1).max())},
        "idle": np.flatnonzero(served < LEAST_SHARE).tolist(),
        "kinds": {name: runs[mask].mean(axis=0).tolist() for name, mask in strata_of(windows).items()},
        "means": {task: _means(runs, windows.labels[:, column]) for column, task in enumerate(windows.tasks)},
    }


def _means(runs: np.ndarray, values: np.ndarray) -> list[float | None]:
    """Mean of the values over the windows of each expert; None where it has none."""
    known = np.isfinite(values)
    rows = [values[runs[:, expert] & known] for expert in range(runs.shape[1])]
    return [float(row.mean()) if len(row) else None for row in rows]
