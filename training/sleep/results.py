"""What k folds came to: pooled, per fold, per night; several models beside each other on the same epochs."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DatasetError
from ..metrics import bootstrap_interval, staging_metrics
from .statistics import UNKNOWN, compare_statistics, sleep_statistics

FIGURES = ("accuracy", "macro_f1", "kappa")
_ARRAYS = ("recordings", "subjects", "onsets", "labels", "kept")


@dataclass(frozen=True)
class FoldResult:
    """Stages of the tested recordings of one fold.

    Attributes
    ----------
    recordings, subjects : numpy.ndarray
        str, shape (N,).
    onsets : numpy.ndarray
        float64, seconds from the start of the recording.
    labels : numpy.ndarray
        int64, scored stages; -1 in bed where nobody scored.
    kept : numpy.ndarray
        bool: epochs that count for agreement; the others only for sleep statistics.
    predicted : dict of str to numpy.ndarray
        int64, stages of each model: "float", "int8", "band_power", "majority".
    """

    recordings: np.ndarray
    subjects: np.ndarray
    onsets: np.ndarray
    labels: np.ndarray
    kept: np.ndarray
    predicted: dict[str, np.ndarray]

    def write(self, path: Path) -> None:
        """Write as .npz."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(path, **arrays, **{f"predicted_{name}": values for name, values in self.predicted.items()})

    @classmethod
    def read(cls, path: Path) -> FoldResult:
        """Read what :meth:`write` wrote.

        Raises
        ------
        DatasetError
            When the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                predicted = {key.removeprefix("predicted_"): arrays[key] for key in arrays if "predicted_" in key}
                return cls(**{name: arrays[name] for name in _ARRAYS}, predicted=predicted)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{path} cannot be read as the result of a fold: {error}") from None


Lights = Mapping[str, tuple[float | None, float | None]]
"""Recording -> seconds to lights off and to lights on, None where unknown."""


def summarise(
    results: Sequence[FoldResult],
    classes: Sequence[str],
    lights: Lights,
    *,
    epoch_seconds: float = 30.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Aggregate the folds of one protocol.

    Parameters
    ----------
    results : sequence of FoldResult
        One per fold, all with the same models.
    classes : sequence of str
        Names of the stages.
    lights : mapping
        Of each recording.
    epoch_seconds : float
        Length of an epoch.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        JSON values: `subjects`, `recordings`, `epochs`, `wake_share`; `models` with `pooled` metrics (confusion matrix
        over all folds), `per_fold` (mean, sd and values of accuracy, macro F1, kappa) and `per_night` (median and
        quartiles); `nights`; `statistics`, scored against predicted; and `int8_drop` in points with its 95 % interval.

    Raises
    ------
    DatasetError
        When there are no folds, or their models differ.
    """
    names = list(results[0].predicted) if results else []
    if not results or any(list(result.predicted) != names for result in results):
        raise DatasetError("results of folds need at least 1 fold, and the same models in each")
    nights = [_night(result, name, classes, lights, epoch_seconds) for result in results for name in _order(result)]
    labels = np.concatenate([result.labels[result.kept] for result in results])
    subjects = np.concatenate([result.subjects[result.kept] for result in results])
    predicted = {n: np.concatenate([r.predicted[n][r.kept] for r in results]) for n in names}
    summary: dict[str, Any] = {
        "folds": len(results),
        "subjects": len(np.unique(subjects)),
        "recordings": len(nights),
        "epochs": len(labels),
        "wake_share": float(np.mean(labels == 0)),
        "models": {name: _model(results, nights, name, predicted[name], labels, classes) for name in names},
        "nights": nights,
        "statistics": _statistics(nights, [name for name in ("float", "int8") if name in names]),
    }
    if {"float", "int8"} <= set(names):
        summary["int8_drop"] = _drop(labels, predicted["float"], predicted["int8"], subjects, seed)
    return summary


def _order(result: FoldResult) -> list[str]:
    return list(dict.fromkeys(result.recordings[result.kept].tolist()))


def _model(
    results: Sequence[FoldResult],
    nights: Sequence[Mapping[str, Any]],
    name: str,
    predicted: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
) -> dict[str, Any]:
    folds = [staging_metrics(r.labels[r.kept], r.predicted[name][r.kept], classes) for r in results]
    return {
        "pooled": staging_metrics(labels, predicted, classes).to_dict(),
        "per_fold": {figure: _spread([getattr(fold, figure) for fold in folds]) for figure in FIGURES},
        "per_night": {figure: _quartiles([night["models"][name][figure] for night in nights]) for figure in FIGURES},
    }


def _night(
    result: FoldResult, recording: str, classes: Sequence[str], lights: Lights, epoch_seconds: float
) -> dict[str, Any]:
    here = result.recordings == recording
    kept = here & result.kept
    off, on = lights.get(recording, (None, None))
    models, statistics = {}, {}
    for name, stages in result.predicted.items():
        found = staging_metrics(result.labels[kept], stages[kept], classes)
        models[name] = {figure: _number(getattr(found, figure)) for figure in FIGURES}
    tables = {"scored": result.labels, **{n: result.predicted[n] for n in ("float", "int8") if n in result.predicted}}
    for name, stages in tables.items():
        statistics[name] = sleep_statistics(stages[here], result.onsets[here], off, on, epoch_seconds)
    return {
        "recording": recording,
        "subject": str(result.subjects[here][0]),
        "epochs": int(kept.sum()),
        "models": models,
        "statistics": statistics,
    }


def _statistics(nights: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Scored against predicted over the nights whose lights are known; "unknown" where none are."""
    known = [night for night in nights if night["statistics"]["scored"]["time_in_bed"] != UNKNOWN]
    if not known:
        return {"nights": 0, "of": len(nights), "models": UNKNOWN}
    pairs = {name: [(n["statistics"]["scored"], n["statistics"][name]) for n in known] for name in names}
    models = {name: compare_statistics(pairs[name]) for name in names}
    return {"nights": len(known), "of": len(nights), "models": models}


def _drop(
    labels: np.ndarray, floating: np.ndarray, exact: np.ndarray, subjects: np.ndarray, seed: int
) -> dict[str, Any]:
    """Accuracy that int8 costs, in points of 100, with a bootstrap interval over subjects."""
    found = bootstrap_interval(
        lambda a, b: 100 * float(np.mean(a) - np.mean(b)), [floating == labels, exact == labels], subjects, seed=seed
    )
    epochs = int((floating == labels).sum() - (exact == labels).sum())
    return {**found.to_dict(), "unit": "points of accuracy", "epochs": epochs}


def _spread(values: Sequence[float]) -> dict[str, Any]:
    known = [value for value in values if not math.isnan(value)]
    return {
        "mean": float(np.mean(known)) if known else None,
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "values": [_number(value) for value in values],
    }


def _quartiles(values: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    low, middle, high = np.percentile(known, [25, 50, 75]).tolist() if known else (None, None, None)
    return {"median": middle, "q1": low, "q3": high, "nights": len(known)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
