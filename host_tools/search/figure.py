"""The picture of a search: accuracy over flash, state and instructions, with front, budgets and the chosen network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .front import COSTS, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLES = {
    "flash_bytes": "code and weights, KB",
    "state_bytes": "state, KB",
    "instructions": "instructions, M (estimated)",
}
_UNITS = {"flash_bytes": 1024, "state_bytes": 1024, "instructions": 1e6}


def front_figure(
    records: Sequence[Record], front: Sequence[int], winner: int | None, budgets: Mapping[str, int]
) -> Figure:
    """Draw the trials that were trained to the end.

    Parameters
    ----------
    records : sequence of mapping
        As :func:`.front.pareto_front` takes them.
    front : sequence of int
        Numbers of the trials on the front.
    winner : int or None
        Number of the chosen one.
    budgets : mapping
        Drawn as lines; what lies beyond them was not trained.
    """
    from matplotlib.figure import Figure
    from thumbnet.training.plots import figure_style

    trained = [record for record in records if record["accuracy"] is not None]
    with figure_style():
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        for axes, key in zip(figure.subplots(1, len(COSTS), sharey=True), COSTS, strict=True):
            _panel(axes, key, trained, set(front), winner)
            if key in budgets:
                axes.axvline(budgets[key] / _UNITS[key], color="#b42318", linestyle="--", linewidth=1, label="budget")
            axes.set_xlabel(_TITLES[key])
            axes.grid(True)
        first = figure.axes[0]
        first.set_ylabel("int8 accuracy, validation, %")
        handles, labels = [], []
        for axes in figure.axes:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                if label not in labels:
                    handles.append(handle)
                    labels.append(label)
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
    return figure


def _panel(axes: Any, key: str, trained: Sequence[Record], front: set[int], winner: int | None) -> None:
    groups = {
        "trained": ([r for r in trained if r["trial"] not in front], "#9aa5b1", "o", 22),
        "Pareto front": ([r for r in trained if r["trial"] in front], "#0f766e", "o", 34),
        "chosen": ([r for r in trained if r["trial"] == winner], "#d97706", "*", 150),
    }
    for label, (members, colour, marker, size) in groups.items():
        if members:
            costs = [record["cost"][key] / _UNITS[key] for record in members]
            shares = [100 * record["accuracy"] for record in members]
            axes.scatter(
                costs, shares, s=size, c=colour, marker=marker, label=label, zorder=3 if label != "trained" else 2
            )
