"""Figures for papers and slides: confusion matrix, hypnogram, learning curves.

Every function returns a :class:`matplotlib.figure.Figure` of its own, outside ``pyplot``: nothing opens a window and
no global state changes. The HTML report draws its own charts from the same numbers, with the same colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import DatasetError, TrainingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .loop import History
    from .metrics import StagingMetrics

HYPNOGRAM_ORDER = ("W", "REM", "N1", "N2", "N3")
"""Top to bottom, as sleep laboratories draw it; classes of other names follow in their own order."""

_INK, _SOFT, _LINE = "#16202c", "#5b6776", "#e2e6eb"
_TRAINING, _VALIDATION, _REM, _WRONG = "#0f766e", "#d97706", "#d65380", "#b42318"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _SOFT,
    "axes.linewidth": 0.8,
    "axes.titlecolor": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": _LINE,
    "legend.frameon": False,
    "text.color": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "svg.hashsalt": "thumbnet",  # the same numbers give the same SVG
}
_DOTS_PER_INCH = 160


def confusion_figure(metrics: StagingMetrics, title: str = "") -> Figure:
    """Draw a confusion matrix: epochs, shaded by their share of the scored stage.

    Parameters
    ----------
    metrics : StagingMetrics
        Its `confusion` is drawn, rows scored and columns predicted; a stage never scored has an empty row.
    title : str
        Heading, such as the name of the model.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import rc_context
    from matplotlib.colors import LinearSegmentedColormap

    counts = metrics.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    places = np.arange(len(metrics.classes))
    with rc_context(_STYLE):
        figure, axes = new_figure(4.6, 4.4)
        axes.imshow(shares, cmap=LinearSegmentedColormap.from_list("teal", ["#f0f3f6", _TRAINING]), vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            _write_cell(axes, row, column, counts[row, column], shares[row, column])
        axes.set_xticks(places, metrics.classes)
        axes.set_yticks(places, metrics.classes)
        axes.set_xticks(places[1:] - 0.5, minor=True)
        axes.set_yticks(places[1:] - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=3)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="predicted", ylabel="scored")
        kappa = "undefined" if np.isnan(metrics.kappa) else f"{metrics.kappa:.2f}"
        figures = f"accuracy {metrics.accuracy:.1%}, macro F1 {metrics.macro_f1:.3f}, kappa {kappa}"
        axes.set_title("\n".join(filter(None, (title, figures))))
        axes.title.set_fontsize(9.5)
    return figure


def hypnogram_figure(
    onsets: np.ndarray,
    true: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    *,
    epoch_seconds: float = 30.0,
    title: str = "",
) -> Figure:
    """Draw scored above predicted stages of one recording, REM highlighted, and below where they differ.

    Parameters
    ----------
    onsets : numpy.ndarray
        Seconds from the start of the recording, shape (N,), ascending. Gaps between epochs stay open.
    true, predicted : numpy.ndarray
        Integer stages, shape (N,).
    classes : sequence of str
        Names of the stages in the order of the labels.
    epoch_seconds : float
        Length of an epoch.
    title : str
        Heading, such as the name of the recording.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DatasetError
        When there are no epochs, or the lengths differ.
    """
    from matplotlib import rc_context

    if len(onsets) == 0 or len(onsets) != len(true) or len(onsets) != len(predicted):
        raise DatasetError(
            "a hypnogram needs one onset, one scored and one predicted stage per epoch, at least 1 epoch, "
            f"got {len(onsets)}, {len(true)} and {len(predicted)}"
        )
    order = sorted(classes, key=lambda name: HYPNOGRAM_ORDER.index(name) if name in HYPNOGRAM_ORDER else len(classes))
    starts = np.asarray(onsets, float) / 3600
    length = epoch_seconds / 3600
    with rc_context(_STYLE):
        figure, axes = new_figure(9.0, 4.4, rows=(5, 5, 0.7))
        for panel, labels, name in ((axes[0], true, "scored"), (axes[1], predicted, "predicted")):
            rows = np.array([order.index(classes[label]) for label in labels])
            _draw_stages(panel, starts, rows, length, order)
            panel.set_ylabel(name)
        wrong = np.asarray(true) != np.asarray(predicted)
        axes[2].broken_barh([(start, length) for start in starts[wrong]], (0, 1), color=_WRONG, linewidth=0)
        axes[2].set(yticks=[], xlabel="hours of the recording", xlim=(starts[0], starts[-1] + length))
        axes[2].set_ylabel("differ", rotation=0, ha="right", va="center")
        axes[0].set_title(title or "Hypnogram")
    return figure


def learning_curves_figure(history: History, title: str = "") -> Figure:
    """Draw loss and accuracy of training and validation against passes, and mark the pass that was kept.

    Parameters
    ----------
    history : History
        What :func:`.loop.train` returned.
    title : str
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import rc_context
    from matplotlib.ticker import MaxNLocator

    passes = np.arange(1, len(history.loss) + 1)
    with rc_context(_STYLE):
        figure, axes = new_figure(9.0, 3.4, columns=2)
        for panel, name in zip(axes, ("loss", "accuracy"), strict=True):
            validation = getattr(history, f"val_{name}")
            # Few passes would leave a bare line, one pass nothing at all.
            dots = {"marker": "o", "markersize": 3} if len(passes) < 15 else {}
            panel.plot(passes, getattr(history, name), color=_TRAINING, label="training (dropout active)", **dots)
            panel.plot(passes, validation, color=_VALIDATION, label="validation", **dots)
            best = history.best_pass
            panel.plot(best + 1, validation[best], "o", markersize=9, markerfacecolor="none", color=_INK,
                       label="kept", linestyle="none")  # fmt: skip
            panel.set(title=name.capitalize(), xlabel="pass")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.grid(axis="y")
        axes[0].legend(fontsize=9)
        if title:
            figure.suptitle(title, fontsize=11)
    return figure


def figure_style() -> AbstractContextManager[None]:
    """Give the context in which figures are drawn, so that all look alike."""
    from matplotlib import rc_context

    return rc_context(_STYLE)


def save_figure(figure: Figure, stem: Path | str) -> tuple[Path, Path]:
    """Write a figure as `stem`.png and `stem`.svg, creating the folder.

    Returns
    -------
    tuple of pathlib.Path
        Both files. The same figure gives the same SVG bytes with the same matplotlib.

    Raises
    ------
    TrainingError
        When they cannot be written.
    """
    from matplotlib import rc_context

    stem = Path(stem)
    files = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with rc_context(_STYLE):
            figure.savefig(files[0], dpi=_DOTS_PER_INCH)
            figure.savefig(files[1], metadata={"Date": None})
    except OSError as error:
        raise TrainingError(f"figure {stem} cannot be written: {error.strerror or error}") from None
    return files


def new_figure(width: float, height: float, *, rows: Sequence[float] = (1,), columns: int = 1):
    """Return a figure in inches, and its axes (an array where there are several) over one horizontal axis."""
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained", facecolor="white")
    return figure, figure.subplots(len(rows), columns, sharex=len(rows) > 1, height_ratios=rows)


def _write_cell(axes: Axes, row: int, column: int, count: int, share: float) -> None:
    colour = "white" if share > 0.5 else _INK
    axes.text(column, row - 0.08, f"{count:,}", ha="center", va="center", color=colour)
    axes.text(column, row + 0.22, f"{share:.0%}", ha="center", va="center", color=colour, fontsize=7.5, alpha=0.75)


def _draw_stages(axes: Axes, starts: np.ndarray, rows: np.ndarray, length: float, order: Sequence[str]) -> None:
    breaks = np.flatnonzero(np.diff(starts) > 1.5 * length) + 1
    for part in np.split(np.arange(len(starts)), breaks):
        edges = np.append(starts[part], starts[part[-1]] + length)
        axes.step(edges, np.append(rows[part], rows[part[-1]]), where="post", color=_SOFT, linewidth=1)
    for row, name in enumerate(order):
        bars = [(start, length) for start in starts[rows == row]]
        rem = name == "REM"
        height = 0.34 if rem else 0.12
        axes.broken_barh(bars, (row - height / 2, height), color=_REM if rem else _INK, linewidth=0, zorder=3)
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.grid(axis="y")
    axes.tick_params(axis="y", length=0)
    for label in axes.get_yticklabels():
        if label.get_text() == "REM":
            label.set(color=_REM, fontweight="bold")
