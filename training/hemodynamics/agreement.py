"""Beyond one error per parameter: changes within people, ties between the outputs, errors by kind of person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .tasks import SVR_FACTOR, task_of
from .windowset import PEOPLE, PpgWindows

LEAST_WINDOWS = 3
EXCLUSION = {"mmHg": 5.0, "bpm": 3.0}
"""Changes below are no changes, in the units that have a customary limit; elsewhere 5 % of the mean."""

_CVP_LIMITS = (0.0, 20.0)
AGE_BANDS = ((0, 40, "under 40"), (40, 60, "40 to 59"), (60, 200, "60 and older"))
SBP_BANDS = ((0, 90, "SBP under 90"), (90, 120, "SBP 90 to 119"), (120, 140, "SBP 120 to 139"),
             (140, 1000, "SBP 140 and more"))  # fmt: skip


def tracking(
    task: str, measured: np.ndarray, estimated: np.ndarray, subjects: np.ndarray, onsets: np.ndarray
) -> dict[str, float | int] | None:
    """Say how well changes within people are followed, whatever the offset of each.

    Parameters
    ----------
    task : str
        Name of the parameter.
    measured, estimated, onsets : numpy.ndarray
        Shape (N,).
    subjects : numpy.ndarray
        Person of each window.

    Returns
    -------
    dict or None
        `subjects` and `windows` that have changes; correlation `r` and `slope` of estimated on measured deviations from
        each person's means; `mae_change`, of the change since the person's first window, beside `mae_no_change`, of
        saying that nothing changes; `concordance`, the share of changes beyond the exclusion zone from window to window
        that go in the right direction (NaN without any), of `changes`. None where nobody has three windows whose
        measurements differ.
    """
    true_parts, told_parts, since, told_since, steps, told_steps = [], [], [], [], [], []
    for subject in np.unique(subjects):
        rows = np.flatnonzero((subjects == subject) & np.isfinite(measured) & np.isfinite(estimated))
        if len(rows) < LEAST_WINDOWS or np.ptp(measured[rows]) == 0:
            continue
        rows = rows[np.argsort(onsets[rows], kind="stable")]
        truth, told = measured[rows], estimated[rows]
        true_parts.append(truth - truth.mean())
        told_parts.append(told - told.mean())
        since.append(truth[1:] - truth[0])
        told_since.append(told[1:] - told[0])
        steps.append(np.diff(truth))
        told_steps.append(np.diff(told))
    if not true_parts:
        return None
    truth, told = np.concatenate(true_parts), np.concatenate(told_parts)
    step, told_step = np.concatenate(steps), np.concatenate(told_steps)
    limit = EXCLUSION.get(task_of(task).unit, 0.05 * float(np.nanmean(np.abs(measured))))
    large = np.abs(step) > limit
    spread = float(truth.std() * told.std())
    change, told_change = np.concatenate(since), np.concatenate(told_since)
    return {
        "subjects": len(true_parts),
        "windows": len(truth),
        "r": float((truth * told).mean()) / spread if spread > 0 else 0.0,
        "slope": float((truth * told).mean() / truth.var()),
        "mae_change": float(np.abs(told_change - change).mean()),
        "mae_no_change": float(np.abs(change).mean()),
        "exclusion": limit,
        "changes": int(large.sum()),
        "concordance": float((np.sign(step) == np.sign(told_step))[large].mean()) if large.any() else float("nan"),
    }


def identity_violations(tasks: Sequence[str], estimated: np.ndarray, people: np.ndarray) -> dict[str, dict[str, float]]:
    """Say how far the outputs are from the ties between them.

    Parameters
    ----------
    tasks : sequence of str
        Names of the columns.
    estimated : numpy.ndarray
        Shape (N, tasks).
    people : numpy.ndarray
        Shape (N, 4); height and weight give the body surface that CO and CI, SV and SI must agree about.

    Returns
    -------
    dict of str to dict
        For each tie whose parameters are there: `median` and `largest` deviation in percent, or `share` of windows that
        break it (the order of the pressures; a venous pressure of 0 to 20 mmHg behind MAP, CO and SVR).
    """
    have = {task: estimated[:, column] for column, task in enumerate(tasks)}
    found: dict[str, dict[str, float]] = {}

    def relative(name: str, needed: tuple[str, ...], left: Any, right: Any) -> None:
        if not set(needed) <= set(have):
            return
        values = [have[task] for task in needed]
        with np.errstate(divide="ignore", invalid="ignore"):
            off = 100 * np.abs(left(*values) / right(*values) - 1)
        off = off[np.isfinite(off)]
        if len(off):
            found[name] = {"median": float(np.median(off)), "largest": float(off.max())}

    def share(name: str, needed: tuple[str, ...], broken: Any) -> None:
        if set(needed) <= set(have):
            found[name] = {"share": float(np.mean(broken(*(have[task] for task in needed))))}

    surface = np.sqrt(people[:, PEOPLE.index("height")] * people[:, PEOPLE.index("weight")] / 3600)
    relative("CO = HR * SV / 1000", ("CO", "HR", "SV"), lambda co, hr, sv: hr * sv / 1000, lambda co, hr, sv: co)
    relative("CO / CI = SV / SI", ("CO", "CI", "SV", "SI"), lambda co, ci, sv, si: co / ci,
             lambda co, ci, sv, si: sv / si)  # fmt: skip
    relative("SVRI / SVR = CO / CI", ("SVRI", "SVR", "CO", "CI"), lambda svri, svr, co, ci: svri / svr,
             lambda svri, svr, co, ci: co / ci)  # fmt: skip
    relative("CI = CO / BSA", ("CI", "CO"), lambda ci, co: co / surface, lambda ci, co: ci)
    share("SBP > MAP > DBP", ("SBP", "MAP", "DBP"), lambda sbp, mean, dbp: ~((sbp > mean) & (mean > dbp)))
    share("0 <= MAP - SVR * CO / 80 <= 20 mmHg", ("MAP", "SVR", "CO"), _impossible_cvp)
    return found


def _impossible_cvp(mean: np.ndarray, svr: np.ndarray, co: np.ndarray) -> np.ndarray:
    venous = mean - svr * co / SVR_FACTOR
    return ~((venous >= _CVP_LIMITS[0]) & (venous <= _CVP_LIMITS[1]))


def strata_of(windows: PpgWindows) -> dict[str, np.ndarray]:
    """Return the kinds of windows that errors are told apart for: age, sex and band of measured systolic pressure.

    Returns
    -------
    dict of str to numpy.ndarray
        A bool mask for each kind that occurs.
    """
    age, male = windows.people[:, PEOPLE.index("age")], windows.people[:, PEOPLE.index("male")]
    masks = {name: (age >= low) & (age < high) for low, high, name in AGE_BANDS}
    masks |= {"women": male == 0, "men": male == 1}
    if "SBP" in windows.tasks:
        systolic = windows.label("SBP")
        masks |= {name: (systolic >= low) & (systolic < high) for low, high, name in SBP_BANDS}
    return {name: mask for name, mask in masks.items() if mask.any()}


def errors_by_stratum(windows: PpgWindows, estimated: np.ndarray) -> dict[str, dict[str, Any]]:
    """Say how errors differ between kinds of windows.

    Parameters
    ----------
    windows : PpgWindows
        N windows.
    estimated : numpy.ndarray
        Shape (N, tasks).

    Returns
    -------
    dict of str to dict
        For each kind: `windows`, `subjects`, and for each task mean error `me` and mean magnitude `mae`.
    """
    table: dict[str, dict[str, Any]] = {}
    for name, mask in strata_of(windows).items():
        row: dict[str, Any] = {"windows": int(mask.sum()), "subjects": len(np.unique(windows.subjects[mask]))}
        for column, task in enumerate(windows.tasks):
            error = (estimated - windows.labels)[mask, column]
            error = error[np.isfinite(error)]
            if len(error):
                row[task] = {"me": float(error.mean()), "mae": float(np.abs(error).mean())}
        table[name] = row
    return table
