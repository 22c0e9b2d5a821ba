"""Figures for papers and slides: Bland-Altman and scatter plots of one parameter each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DatasetError
from ..plots import figure_style, new_figure, save_figure
from .metrics import errors_of
from .tasks import task_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINT, _MEAN, _LIMIT = "#0f766e", "#16202c", "#d97706"
_MOST_POINTS = 5000


def bland_altman_figure(
    task: str, measured: np.ndarray, estimated: np.ndarray, subjects: np.ndarray, title: str = ""
) -> Figure:
    """Draw differences against means, with the mean difference and the limits of agreement (1.96 deviations).

    Parameters
    ----------
    task : str
        Name of the parameter.
    measured, estimated, subjects : numpy.ndarray
        Shape (N,); windows with a NaN are left out.
    title : str
        Heading, such as the name of the model.

    Returns
    -------
    matplotlib.figure.Figure
    """
    truth, told, errors, unit = _pairs(task, measured, estimated, subjects)
    with figure_style():
        figure, axes = new_figure(5.6, 4.0)
        _points(axes, (truth + told) / 2, told - truth)
        axes.axhline(errors.me, color=_MEAN, linewidth=1.2)
        for sign in (-1, 1):
            axes.axhline(errors.me + sign * 1.96 * errors.sd, color=_LIMIT, linewidth=1.0, linestyle="--")
        axes.set(xlabel=f"mean of estimate and measurement, {unit}", ylabel=f"estimate minus measurement, {unit}")
        limits = f"{errors.me:+.3g}, limits {errors.me - 1.96 * errors.sd:+.3g} to {errors.me + 1.96 * errors.sd:+.3g}"
        axes.set_title("\n".join(filter(None, (title, f"{task}: mean difference {limits} {unit}"))), fontsize=9.5)
    return figure


def scatter_figure(
    task: str, measured: np.ndarray, estimated: np.ndarray, subjects: np.ndarray, title: str = ""
) -> Figure:
    """Draw estimates against measurements beside the line on which they agree; arguments as above."""
    truth, told, errors, unit = _pairs(task, measured, estimated, subjects)
    ends = [min(truth.min(), told.min()), max(truth.max(), told.max())]
    with figure_style():
        figure, axes = new_figure(4.6, 4.4)
        axes.plot(ends, ends, color=_MEAN, linewidth=1)
        _points(axes, truth, told)
        axes.set(xlabel=f"measured {task}, {unit}", ylabel=f"estimated {task}, {unit}")
        axes.set_aspect("equal", adjustable="datalim")
        fit = "undefined" if np.isnan(errors.r2) else f"{errors.r2:.2f}"
        figures = f"{task}: MAE {errors.mae:.3g} {unit}, R2 {fit}, {errors.windows} windows, {errors.subjects} subjects"
        axes.set_title("\n".join(filter(None, (title, figures))), fontsize=9.5)
    return figure


def save_plots(
    folder: Path, tasks: tuple[str, ...], measured: np.ndarray, estimated: np.ndarray, subjects: np.ndarray,
    title: str = "",
) -> list[Path]:  # fmt: skip
    """Write both figures of every parameter that has data as .png and .svg and return the files."""
    files: list[Path] = []
    for column, task in enumerate(tasks):
        pair = measured[:, column], estimated[:, column]
        if not (np.isfinite(pair[0]) & np.isfinite(pair[1])).any():
            continue
        for kind, draw in (("bland-altman", bland_altman_figure), ("scatter", scatter_figure)):
            files += save_figure(draw(task, *pair, subjects, title), folder / f"{kind}-{task.lower()}")
    return files


def _pairs(task: str, measured: np.ndarray, estimated: np.ndarray, subjects: np.ndarray):
    errors = errors_of(task, measured, estimated, subjects)
    if errors is None:
        raise DatasetError(f"a figure of {task} needs at least one window with a measurement and an estimate, got none")
    both = np.isfinite(measured) & np.isfinite(estimated)
    return measured[both], estimated[both], errors, task_of(task).unit


def _points(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Points, evenly taken where there are too many to tell apart."""
    step = max(1, -(-len(x) // _MOST_POINTS))
    axes.plot(x[::step], y[::step], ".", color=_POINT, alpha=0.35, markersize=4, markeredgewidth=0)
    axes.grid(True)
