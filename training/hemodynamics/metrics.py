"""How far estimates are from measurements, and which grades the numbers alone would get.

Criteria: ANSI/AAMI SP10 and ISO 81060-2 (mean error and its deviation), British Hypertension Society 1993 (shares
within 5, 10, 15 mmHg), IEEE 1708-2014/1708a-2019 (mean absolute difference). Each of them prescribes people, readings
and a protocol of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import DatasetError
from .tasks import task_of

STATEMENT = (
    "Grades compare the numbers of a data split with the limits of AAMI/ISO 81060-2, BHS and IEEE 1708; a data split "
    "is no protocol pass: the standards prescribe who is measured, when, by whom and against which reference."
)
AAMI_LIMITS = {"mean error": 5.0, "deviation": 8.0, "subjects": 85}
BHS_GRADES = (("A", (60, 85, 95)), ("B", (50, 75, 90)), ("C", (40, 65, 85)))
IEEE_GRADES = (("A", 5.0), ("B", 6.0), ("C", 7.0))
WITHIN = (5, 10, 15)


@dataclass(frozen=True)
class Errors:
    """Errors of one parameter, estimate minus measurement, in its unit.

    Attributes
    ----------
    task, unit : str
        Which parameter.
    windows, subjects : int
        Windows with both a measurement and an estimate, and the people they come from.
    mae, me, sd, rmse : float
        Mean magnitude, mean, standard deviation (n - 1) and root mean square.
    mape : float
        Mean magnitude in percent of the measurement.
    r2 : float
        Share of the variance explained; negative where the mean of these very measurements is better, NaN where they
        do not vary.
    within : dict of int to float
        Share of windows within 5, 10 and 15 units.
    aami : bool or None
        Whether |me| <= 5, sd <= 8 mmHg and at least 85 people; None where the parameter is no pressure.
    bhs, ieee : str or None
        Grades A to D, likewise.
    """

    task: str
    unit: str
    windows: int
    subjects: int
    mae: float
    me: float
    sd: float
    rmse: float
    mape: float
    r2: float
    within: dict[int, float]
    aami: bool | None
    bhs: str | None
    ieee: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; NaN becomes null."""
        table = asdict(self)
        table["within"] = {str(limit): share for limit, share in self.within.items()}
        return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in table.items()}


def errors_of(task: str, measured: np.ndarray, estimated: np.ndarray, subjects: np.ndarray) -> Errors | None:
    """Compare estimates of one parameter with measurements.

    Parameters
    ----------
    task : str
        Name of the parameter.
    measured, estimated : numpy.ndarray
        Shape (N,); windows with a NaN in either are left out.
    subjects : numpy.ndarray
        Person of each window.

    Returns
    -------
    Errors or None
        None where no window has both.

    Raises
    ------
    DatasetError
        When the arrays differ in length.
    """
    if not len(measured) == len(estimated) == len(subjects):
        raise DatasetError(
            f"measurements, estimates and subjects of {task} must be equally many, got {len(measured)}, "
            f"{len(estimated)} and {len(subjects)}"
        )
    both = np.isfinite(measured) & np.isfinite(estimated)
    if not both.any():
        return None
    truth, error = measured[both], (estimated - measured)[both]
    people = len(np.unique(subjects[both]))
    size = np.abs(error)
    mae, me = float(size.mean()), float(error.mean())
    sd = float(error.std(ddof=1)) if len(error) > 1 else 0.0
    within = {limit: float((size <= limit).mean()) for limit in WITHIN}
    variance = float(((truth - truth.mean()) ** 2).sum())
    described = task_of(task)
    pressure = described.is_pressure
    return Errors(
        task=described.name,
        unit=described.unit,
        windows=len(error),
        subjects=people,
        mae=mae,
        me=me,
        sd=sd,
        rmse=float(np.sqrt((error**2).mean())),
        mape=100 * float((size / np.abs(truth)).mean()) if np.all(truth != 0) else float("nan"),
        r2=1 - float((error**2).sum()) / variance if variance > 0 else float("nan"),
        within=within,
        aami=aami_numbers(me, sd, people) if pressure else None,
        bhs=bhs_grade(within) if pressure else None,
        ieee=ieee_grade(mae) if pressure else None,
    )


def all_errors(
    tasks: Sequence[str], measured: np.ndarray, estimated: np.ndarray, subjects: np.ndarray
) -> dict[str, Errors]:
    """Compare estimates of several parameters, columns in the order of `tasks`; those without data are left out."""
    found = {
        task: errors_of(task, measured[:, column], estimated[:, column], subjects) for column, task in enumerate(tasks)
    }
    return {task: errors for task, errors in found.items() if errors is not None}


def aami_numbers(me: float, sd: float, subjects: int) -> bool:
    """Whether mean error, deviation (mmHg) and number of people are within the limits of AAMI and ISO 81060-2."""
    return (
        abs(me) <= AAMI_LIMITS["mean error"] and sd <= AAMI_LIMITS["deviation"] and subjects >= AAMI_LIMITS["subjects"]
    )


def bhs_grade(within: dict[int, float]) -> str:
    """Return the grade of the British Hypertension Society, A to D, from the shares within 5, 10 and 15 mmHg."""
    for grade, shares in BHS_GRADES:
        if all(100 * within[limit] >= share for limit, share in zip(WITHIN, shares, strict=True)):
            return grade
    return "D"


def ieee_grade(mae: float) -> str:
    """Return the grade of IEEE 1708, A to D, from the mean absolute difference in mmHg."""
    if mae <= IEEE_GRADES[0][1]:
        return "A"
    if mae <= IEEE_GRADES[1][1]:
        return "B"
    return "C" if mae < IEEE_GRADES[2][1] else "D"
