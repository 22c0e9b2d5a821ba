"""The ten hemodynamic parameters: names, units, limits, and how they hang together.

::

    CI  = CO / BSA        SI = SV / BSA
    CO  = HR * SV / 1000
    SVR = 80 * (MAP - CVP) / CO        SVRI = 80 * (MAP - CVP) / CI

BSA is the body surface area in square metres, CVP the central venous pressure in mmHg; neither is a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError

SVR_FACTOR = 80.0
"""mmHg min / L in dyn s / cm5, rounded as clinics do (79.99)."""

NOMINAL_CVP = 5.0
"""Central venous pressure in mmHg where nobody measured it."""


@dataclass(frozen=True)
class Task:
    """A parameter that is estimated.

    Attributes
    ----------
    name, title, unit : str
        "SBP", "systolic blood pressure", "mmHg".
    low, high : float
        Values beyond are taken for errors of measurement, in `unit`.
    """

    name: str
    title: str
    unit: str
    low: float
    high: float

    @property
    def is_pressure(self) -> bool:
        """Whether the criteria of AAMI, BHS and IEEE 1708 speak about it."""
        return self.unit == "mmHg"


TASKS: tuple[Task, ...] = (
    Task("SBP", "systolic blood pressure", "mmHg", 40, 300),
    Task("MAP", "mean arterial pressure", "mmHg", 30, 220),
    Task("DBP", "diastolic blood pressure", "mmHg", 20, 200),
    Task("HR", "heart rate", "bpm", 20, 250),
    Task("CO", "cardiac output", "L/min", 0.5, 20),
    Task("CI", "cardiac index", "L/min/m2", 0.3, 10),
    Task("SV", "stroke volume", "mL", 5, 250),
    Task("SI", "stroke index", "mL/m2", 3, 125),
    Task("SVR", "systemic vascular resistance", "dyn s cm-5", 100, 6000),
    Task("SVRI", "systemic vascular resistance index", "dyn s cm-5 m2", 200, 10000),
)
"""In the order of the published label files."""

NAMES: tuple[str, ...] = tuple(task.name for task in TASKS)
_BY_NAME = {task.name: task for task in TASKS}


def task_of(name: str) -> Task:
    """Return a task by its name, in any case.

    Raises
    ------
    ConfigError
        When there is no such task.
    """
    found = _BY_NAME.get(name.strip().upper())
    if found is None:
        raise ConfigError(f"task must be one of {list(NAMES)}, got {name!r}")
    return found


def check_tasks(names: Sequence[str]) -> tuple[str, ...]:
    """Return task names as `NAMES` spells them.

    Raises
    ------
    ConfigError
        When there is none, one is unknown, or one comes twice.
    """
    found = tuple(task_of(name).name for name in names)
    if not found or len(set(found)) < len(found):
        raise ConfigError(f"tasks must be different names among {list(NAMES)}, got {list(names)}")
    return found


def body_surface_area(height: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Body surface area in square metres from height in cm and weight in kg (Mosteller 1987)."""
    return np.sqrt(np.asarray(height, float) * np.asarray(weight, float) / 3600.0)


def complete(
    sbp: np.ndarray, map_: np.ndarray, dbp: np.ndarray, hr: np.ndarray, sv: np.ndarray, cvp: np.ndarray, bsa: np.ndarray
) -> np.ndarray:
    """Return all ten parameters from those that determine them.

    Parameters
    ----------
    sbp, map_, dbp, cvp : numpy.ndarray
        Pressures in mmHg, shape (N,).
    hr : numpy.ndarray
        Beats per minute.
    sv : numpy.ndarray
        Stroke volume in mL.
    bsa : numpy.ndarray
        Body surface area in square metres.

    Returns
    -------
    numpy.ndarray
        float64, shape (N, 10), columns as `NAMES`; every identity of the module holds to rounding.
    """
    co = hr * sv / 1000.0
    svr = SVR_FACTOR * (map_ - cvp) / co
    return np.stack([sbp, map_, dbp, hr, co, co / bsa, sv, sv / bsa, svr, svr * bsa], axis=-1)
