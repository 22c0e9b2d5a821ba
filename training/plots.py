"""Figures of a training run: confusion matrix, hypnogram, learning curves.

Figures are built without pyplot, so that nothing global changes and no window is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import ConfigError, DatasetError
from .sleep.stages import EPOCH_SECONDS, N1, N2, N3, REM, STAGES, W

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .loop import History
    from .metrics import StagingMetrics

HYPNOGRAM_ORDER = (W, REM, N1, N2, N3)
"""Labels from the top of a hypnogram to its bottom."""

FORMATS = (".png", ".svg", ".pdf")
_INK, _MUTED, _GRID = "#1f2933", "#6b7785", "#e3e8ee"
_TRUE, _PREDICTED, _REM = "#3b4a5a", "#1f6fb4", "#d1495b"
_PROBABILITY_COLOURS = {W: "#e9b44c", REM: _REM, N1: "#9cc5dc", N2: "#4f8fc0", N3: "#1d4e79"}


def confusion_figure(metrics: StagingMetrics, title: str = "Confusion matrix") -> Figure:
    """Draw a confusion matrix, coloured by the share of each scored stage.

    Parameters
    ----------
    metrics : StagingMetrics
        From :func:`.metrics.staging_metrics`.
    title : str
        Above the matrix; name the protocol here.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = metrics.confusion
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    figure = _figure(5.6, 5.2)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if shares[row, column] > 0.55 else _INK
        share = f"{100 * shares[row, column]:.0f} %" if totals[row, 0] else "–"
        axes.text(column, row - 0.1, share, ha="center", va="center", color=colour, fontsize=12)
        axes.text(
            column, row + 0.22, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=8
        )
    places = np.arange(len(metrics.classes))
    axes.set_xticks(places, metrics.classes)
    axes.set_yticks(places, [_class_label(metrics, name) for name in metrics.classes])
    axes.set_xlabel("predicted")
    axes.set_ylabel("scored")
    axes.tick_params(length=0, colors=_INK)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    _title(axes, title, _summary(metrics))
    return figure


def hypnogram_figure(
    onsets: np.ndarray,
    predicted: np.ndarray,
    true: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    *,
    title: str = "Hypnogram",
    epoch_seconds: float = EPOCH_SECONDS,
) -> Figure:
    """Draw the stages of one recording over time.

    Parameters
    ----------
    onsets : numpy.ndarray
        Seconds from the start of the recording, ascending; a gap is left where epochs are missing.
    predicted : numpy.ndarray
        Predicted labels, shape (N,).
    true : numpy.ndarray, optional
        Scored labels, drawn above; epochs where the two differ are marked between.
    probabilities : numpy.ndarray, optional
        Shape (N, 5), drawn below as a stack.
    title : str
        Above the figure.
    epoch_seconds : float
        Length of an epoch.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DatasetError
        When there are no epochs, or lengths differ.
    """
    _check_lengths(onsets, predicted, true, probabilities)
    rows = [("predicted", predicted, _PREDICTED)]
    if true is not None:
        rows.insert(0, ("scored", true, _TRUE))
    heights = [1.0] * len(rows) + ([0.55] if probabilities is not None else [])
    figure = _figure(11, 0.6 + 1.9 * sum(heights))
    panels = np.atleast_1d(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    for axes, (name, labels, colour) in zip(panels, rows, strict=False):
        _draw_stages(axes, onsets, labels, colour, epoch_seconds)
        axes.set_ylabel(name)
    if true is not None:
        _mark_differences(panels[1], onsets, true != predicted, epoch_seconds)
    if probabilities is not None:
        _draw_probabilities(panels[-1], onsets, probabilities, epoch_seconds)
    panels[-1].set_xlabel("hours from the start of the recording")
    panels[-1].set_xlim(onsets[0] / 3600, (onsets[-1] + epoch_seconds) / 3600)
    agreement = (
        "" if true is None else f"{100 * np.mean(true == predicted):.1f} % of {len(true)} epochs agree"
    )
    _title(panels[0], title, agreement)
    return figure


def learning_curves_figure(history: History, title: str = "Learning curves") -> Figure:
    """Draw loss, accuracy and learning rate of each pass; the pass whose weights were kept is marked.

    Parameters
    ----------
    history : History
        From :func:`.loop.train`.
    title : str
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _figure(10, 4)
    panels = figure.subplots(1, 2)
    passes = np.arange(1, len(history.loss) + 1)
    for axes, name, training, validation in (
        (panels[0], "cross-entropy", history.loss, history.val_loss),
        (panels[1], "accuracy", history.accuracy, history.val_accuracy),
    ):
        axes.plot(passes, training, color=_MUTED, marker="o", markersize=3, label="training (with dropout)")
        axes.plot(passes, validation, color=_PREDICTED, marker="o", markersize=4, label="validation")
        axes.axvline(history.best_pass + 1, color=_REM, linewidth=1, linestyle="--", label="kept")
        axes.set_xlabel("pass over the training windows")
        axes.set_ylabel(name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        _open_axes(axes)
    panels[0].legend(frameon=False)
    kept = f"kept: pass {history.best_pass + 1}, validation accuracy {history.val_accuracy[history.best_pass]:.3f}"
    _title(panels[0], title, f"{history.windows:,} windows per pass; {kept}")
    return figure


def save_figure(figure: Figure, path: Path | str) -> None:
    """Write a figure as PNG, SVG or PDF, by the suffix of `path`; equal figures give equal bytes.

    Raises
    ------
    ConfigError
        When the suffix is another.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ConfigError(f"a figure is written as one of {list(FORMATS)}, got {path.name!r}")
    import matplotlib as mpl

    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with mpl.rc_context({"svg.hashsalt": "thumbnet"}):
        figure.savefig(path, dpi=150, facecolor="white", metadata=dates.get(path.suffix, {}))


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _title(axes: Axes, title: str, subtitle: str) -> None:
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=_INK, pad=22 if subtitle else 8)
    axes.annotate(
        subtitle,
        (0, 1),
        (0, 7),
        xycoords="axes fraction",
        textcoords="offset points",
        color=_MUTED,
        fontsize=9,
    )


def _open_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_MUTED)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _class_label(metrics: StagingMetrics, name: str) -> str:
    score = metrics.per_class_f1[name]
    return f"{name}\nabsent" if score is None else f"{name}\nF1 {score:.2f}"


def _summary(metrics: StagingMetrics) -> str:
    left_out = f" without {', '.join(metrics.absent)}" if metrics.absent else ""
    return (
        f"accuracy {100 * metrics.accuracy:.1f} %, macro F1{left_out} {100 * metrics.macro_f1:.1f} %, "
        f"kappa {metrics.kappa:.2f}, {metrics.epochs:,} epochs"
    )


def _draw_stages(
    axes: Axes, onsets: np.ndarray, labels: np.ndarray, colour: str, epoch_seconds: float
) -> None:
    level = {label: -place for place, label in enumerate(HYPNOGRAM_ORDER)}
    starts, heights = onsets / 3600, np.array([level[int(label)] for label in labels], float)
    for first, last in _unbroken(onsets, epoch_seconds):
        edges = np.append(starts[first:last], starts[last - 1] + epoch_seconds / 3600)
        axes.stairs(heights[first:last], edges, baseline=None, color=colour, linewidth=1.3)
    for place in np.flatnonzero(labels == REM):
        axes.hlines(
            level[REM], starts[place], starts[place] + epoch_seconds / 3600, color=_REM, linewidth=4.5
        )
    axes.set_yticks([level[label] for label in HYPNOGRAM_ORDER], [STAGES[label] for label in HYPNOGRAM_ORDER])
    axes.get_yticklabels()[HYPNOGRAM_ORDER.index(REM)].set_color(_REM)
    axes.set_ylim(-len(HYPNOGRAM_ORDER) + 0.3, 0.6)
    _open_axes(axes)


def _unbroken(onsets: np.ndarray, epoch_seconds: float) -> list[tuple[int, int]]:
    """First and last-plus-one index of each run of epochs without a gap."""
    breaks = np.flatnonzero(np.diff(onsets) > 1.5 * epoch_seconds) + 1
    edges = [0, *breaks.tolist(), len(onsets)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _mark_differences(axes: Axes, onsets: np.ndarray, differs: np.ndarray, epoch_seconds: float) -> None:
    spans = [(start / 3600, epoch_seconds / 3600) for start in onsets[differs]]
    axes.broken_barh(spans, (0.35, 0.18), color=_INK, alpha=0.55, linewidth=0)
    axes.annotate(
        "differs", (1, 0.44), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        fontsize=8, color=_MUTED, va="center", annotation_clip=False,
    )  # fmt: skip


def _draw_probabilities(
    axes: Axes, onsets: np.ndarray, probabilities: np.ndarray, epoch_seconds: float
) -> None:
    for first, last in _unbroken(onsets, epoch_seconds):
        edges = np.append(onsets[first:last], onsets[last - 1] + epoch_seconds) / 3600
        stacked = np.zeros(last - first)
        for label in reversed(HYPNOGRAM_ORDER):
            top = stacked + probabilities[first:last, label]
            axes.stairs(top, edges, baseline=stacked, fill=True, color=_PROBABILITY_COLOURS[label])
            stacked = top
    from matplotlib.patches import Patch

    handles = [Patch(color=_PROBABILITY_COLOURS[label], label=STAGES[label]) for label in HYPNOGRAM_ORDER]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability")
    _open_axes(axes)


def _check_lengths(onsets: np.ndarray, *others: np.ndarray | Sequence[float] | None) -> None:
    lengths = [len(onsets), *(len(other) for other in others if other is not None)]
    if lengths[0] == 0 or len(set(lengths)) > 1:
        raise DatasetError(f"a hypnogram needs one entry per epoch, at least 1, got lengths {lengths}")
