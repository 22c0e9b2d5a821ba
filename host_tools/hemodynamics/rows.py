"""Rows of the compression table: what each step made of the network, judged on the held-out windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .networks import describe_network, judge, judge_estimates

if TYPE_CHECKING:
    import numpy as np
    from thumbnet.training.hemodynamics.learning import Standard
    from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe

    from .context import HemoRun

TEACHER, TEACHER_INT8, INT8, AWARE = "teacher", "teacher-int8", "int8", "aware"
TITLES = {
    TEACHER: "teacher, float",
    TEACHER_INT8: "teacher, int8 after training",
    "pruned": "pruned, not trained again",
    "retrained": "pruned, trained on labels",
    "one-way": "pruned, one-way distillation",
    "two-way": "pruned, bidirectional distillation",
    INT8: "int8 after training",
    AWARE: "int8, trained with its rounding",
}
NETWORK = ("config", "parameters", "active_macs", "most_active")

Row = dict[str, Any]


class Rows:
    """Rows so far.

    Parameters
    ----------
    run : HemoRun
        Whose held-out windows judge.
    standard : Standard
        Units of the labels; its mean is what a gain is over.
    rows : sequence of dict
        Rows of an earlier stage, the teacher first.
    """

    def __init__(self, run: HemoRun, standard: Standard, rows: Sequence[Row] = ()) -> None:
        self.run, self.standard = run, standard
        self.rows: list[Row] = list(rows)

    def add(self, name: str, model: Lsm2oe) -> None:
        """Judge a float network and keep its row."""
        self._keep(name, "float", describe_network(model), judge(self.run, model, self.standard))

    def add_int8(
        self, name: str, network: Mapping[str, Any], estimated: np.ndarray[Any, Any], served: list[float], at: int = -1
    ) -> None:
        """Keep the row of an int8 network from what its integers estimate of the held-out windows.

        Parameters
        ----------
        name : str
            One of `TITLES`.
        network : mapping
            Row or description of the float network that was quantized.
        estimated : numpy.ndarray
            Shape (held-out windows, tasks), in the units of the tasks.
        served : list of float
            Share of the windows that each expert runs for, by the integers' choice.
        at : int
            Place of the row; -1: the end.
        """
        quality = {**judge_estimates(self.run, estimated, self.standard), "served": served}
        self._keep(name, "int8", {key: network[key] for key in NETWORK}, quality, at)

    def _keep(self, name: str, kind: str, network: Mapping[str, Any], quality: Mapping[str, Any], at: int = -1) -> None:
        found = {"name": name, "title": TITLES[name], "kind": kind, **network, **quality}
        found["gain_kept"] = None if not self.rows else gain_kept(self.rows[0], found)
        self.rows.insert(len(self.rows) if at < 0 else at, found)


def gain_kept(teacher: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, float | None]:
    """Share of the teacher's gain over the mean predictor that is left, per task; None where it had none."""
    return {
        task: found["gain"][task] / gain if gain is not None and gain > 0 else None
        for task, gain in teacher["gain"].items()
    }
