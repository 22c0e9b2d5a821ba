"""Everything that is said about estimates of held-out windows, as one JSON table.

A table names its protocol and its leaks, sets every figure beside what is known without the signal, and says nothing
about people who are not in the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import DatasetError
from .agreement import errors_by_stratum, identity_violations, tracking
from .baselines import (
    BASELINES,
    CUFF,
    DEMOGRAPHICS,
    POPULATION,
    SUBJECT,
    baseline_estimates,
    with_demographics,
)
from .calibration import calibrated
from .expert_use import expert_use
from .metrics import STATEMENT, all_errors
from .protocols import Division, few_windows
from .published import PUBLISHED_FIGURES
from .quality import Rejections
from .windowset import PpgWindows

NO_EARLIER_READING = (
    "no tested person has an earlier reading, so that subject mean and last cuff reading have nothing to go by; where "
    "windows share one reading, using it would give an error of 0 by construction"
)

NO_TRAITS = "nobody's age, sex, height or weight is known, so that demographics have nothing to go by"


def evaluate(
    windows: PpgWindows,
    division: Division,
    estimated: np.ndarray,
    *,
    others: Mapping[str, np.ndarray] | None = None,
    weights: np.ndarray | None = None,
    rejections: Rejections | None = None,
    joined: bool = False,
) -> dict[str, Any]:
    """Judge estimates.

    Parameters
    ----------
    windows : PpgWindows
        All N windows.
    division : Division
        Its tested windows are judged.
    estimated : numpy.ndarray
        Estimates of all windows, shape (N, tasks); those of `known` windows serve the calibration only.
    others : mapping of str to numpy.ndarray, optional
        Estimates of other models, likewise, for the table of errors.
    weights : numpy.ndarray, optional
        Routing of the tested windows, as :func:`.expert_use.expert_use` takes it.
    rejections : Rejections, optional
        Windows that could not be used.
    joined : bool
        Also judge the model joined with demographics (:func:`.baselines.with_demographics`); for models that were not
        fitted on the validation windows.

    Returns
    -------
    dict
        `protocol`, `statement`, counts; `errors` of the model, `calibrated` where earlier readings are known, the four
        `baselines` and the others; `gain` over the population mean in percent of its MAE; `tracking`, `identities`,
        `strata`, `experts` where a routing is given, `joined`, the model's weight beside demographics, where there are
        any, `published`.

    Raises
    ------
    DatasetError
        When the shape of the estimates is another one.
    """
    _check_shape(windows, estimated)
    test = windows.take(division.test)
    told = estimated[division.test]
    baselines = baseline_estimates(windows, division)
    errors = {"model": told, **{name: values[division.test] for name, values in (others or {}).items()}}
    if len(division.known):
        errors["model, calibrated"] = calibrated(windows, division, estimated)
    if joined:
        mixed, shares = with_demographics(windows, division, estimated)
        if np.isfinite(mixed).any():
            errors["model, with demographics"] = mixed
    errors |= baselines
    tables = {name: all_errors(test.tasks, test.labels, values, test.subjects) for name, values in errors.items()}
    report: dict[str, Any] = {
        "data": {"name": windows.name, "notes": list(windows.notes), "skipped": len(windows.skipped)},
        "protocol": {"name": division.protocol, "label": division.label, "leaks": list(division.leaks),
                     "generalises": division.generalises},
        "statement": STATEMENT,
        "windows": {name: len(getattr(division, name)) for name in ("train", "validation", "test", "known")},
        "subjects": {name: len(np.unique(windows.subjects[getattr(division, name)]))
                     for name in ("train", "validation", "test")},
        "dropped": division.dropped,
        "errors": {name: {task: row.to_dict() for task, row in table.items()} for name, table in tables.items()},
        "gain": {name: _gain(tables, name) for name in tables if name not in BASELINES},
        "tracking": _tracking(test, told),
        "identities": identity_violations(test.tasks, told, test.people),
        "strata": errors_by_stratum(test, told),
        "published": [figure.to_dict() for figure in PUBLISHED_FIGURES],
        "remarks": [*_few(test, division), *([] if tables[DEMOGRAPHICS] else [NO_TRAITS]),
                    *([] if tables[CUFF] or tables[SUBJECT] else [NO_EARLIER_READING])],
    }  # fmt: skip
    if "model, with demographics" in errors:
        report["joined"] = dict(zip(windows.tasks, shares.tolist(), strict=True))
    if rejections is not None:
        report["rejections"] = rejections.to_dict()
    if weights is not None:
        report["experts"] = expert_use(weights, test)
    return _without_nan(report)


def _few(test: PpgWindows, division: Division) -> list[str]:
    remark = few_windows(len(division.train), len(division.validation), len(test))
    return [] if remark is None else [remark]


def _check_shape(windows: PpgWindows, estimated: np.ndarray) -> None:
    if estimated.shape != windows.labels.shape:
        raise DatasetError(f"estimates must have the shape {windows.labels.shape}, got {estimated.shape}")


def _gain(tables: Mapping[str, Any], name: str) -> dict[str, float]:
    """Percent of the population mean's MAE that a model takes away."""
    base = tables[POPULATION]
    return {task: 100 * (1 - row.mae / base[task].mae) for task, row in tables[name].items()
            if task in base and base[task].mae > 0}  # fmt: skip


def _tracking(test: PpgWindows, told: np.ndarray) -> dict[str, Any]:
    found = {
        task: tracking(task, test.labels[:, column], told[:, column], test.subjects, test.onsets)
        for column, task in enumerate(test.tasks)
    }
    return {task: row for task, row in found.items() if row is not None}


def _without_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
