"""Training of LSM2oE: UR-Loss, load balancing, noisy gates, labels in units of their spread.

As in :mod:`..loop`: Adam with AMSGrad, cosine decay with restarts, early stopping on validation windows, whose error
chooses the weights that stay; test windows are not even an argument.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tf_keras as keras

from ..errors import ModelError
from ..settings import TrainingSettings
from ..steps import Advance
from .losses import UncertaintyLoss, task_errors
from .lsm2oe import Lsm2oe, predict

_BATCH = 64


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of each task over the training windows.

    Attributes
    ----------
    mean, deviation : tuple of float
        In the units of the tasks.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, labels: np.ndarray) -> Standard:
        """Read them off labels (N, tasks); NaN does not count.

        Raises
        ------
        ModelError
            When a task has no label at all.
        """
        known = np.isfinite(labels).sum(axis=0)
        if len(labels) == 0 or known.min() == 0:
            raise ModelError(f"each task needs at least 1 label to be learned, got {known.tolist()} per task")
        deviation = np.nanstd(labels, axis=0)
        # A task that never changes keeps its unit.
        deviation[deviation < 1e-9] = 1.0
        return cls(tuple(np.nanmean(labels, axis=0).tolist()), tuple(deviation.tolist()))

    def apply(self, labels: np.ndarray) -> np.ndarray:
        """Labels to standardised ones, float32."""
        return ((labels - np.array(self.mean)) / np.array(self.deviation)).astype(np.float32)

    def to_dict(self) -> dict[str, list[float]]:
        """Return plain JSON values."""
        return {"mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_dict(cls, table: dict[str, list[float]]) -> Standard:
        """Read what :meth:`to_dict` returned."""
        return cls(tuple(table["mean"]), tuple(table["deviation"]))

    def undo(self, standard: np.ndarray) -> np.ndarray:
        """Standardised outputs to the units of the tasks, float64."""
        return np.asarray(standard, float) * np.array(self.deviation) + np.array(self.mean)


@dataclass
class MixtureHistory:
    """What happened in training, one entry per pass in each list.

    Attributes
    ----------
    loss, balance : list of float
        Mean of UR-Loss and of the load-balancing loss over the pass.
    val_error : list of float
        Mean over the tasks of the squared error of standardised parameters on the validation windows; 1 is what the
        mean of the training labels would get on windows like those.
    learning_rate : list of float
        At the end of the pass.
    shares : list of list of float
        Share of the validation windows that each expert serves; they sum to the number of experts that run.
    best_pass : int
        The pass, from 0, whose weights the model holds.
    stopped_early : bool
        Whether patience ran out.
    windows : int
        Training windows of one pass.
    seconds : float
        Wall time.
    settings : dict
        The settings.
    """

    loss: list[float] = field(default_factory=list)
    balance: list[float] = field(default_factory=list)
    val_error: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    shares: list[list[float]] = field(default_factory=list)
    best_pass: int = 0
    stopped_early: bool = False
    windows: int = 0
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def write(self, path: Path | str) -> None:
        """Write as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")


class MixtureTrainer:
    """The network, its optimizer and one compiled step.

    Parameters
    ----------
    model : Lsm2oe
        Changed in place.
    schedule : keras.optimizers.schedules.LearningRateSchedule or float
        Learning rate of each step.
    """

    def __init__(self, model: Lsm2oe, schedule: Any) -> None:
        self.model = model
        self.loss = UncertaintyLoss(model.config.tasks)
        self.variables = [*model.trainable_variables, self.loss.log_variance]
        self.optimizer = keras.optimizers.Adam(schedule, amsgrad=True)
        self.optimizer.build(self.variables)
        self._step = tf.function(self.step, autograph=False, jit_compile=False, reduce_retracing=True)
        self._judge = tf.function(self.judge, autograph=False, jit_compile=False, reduce_retracing=True)

    def step(self, windows: Any, truth: Any) -> tuple[Any, Any]:
        """Learn from a batch; returns its loss and load-balancing loss."""
        with tf.GradientTape() as tape:
            output, routing = self.model.forward(windows, True)
            loss = self.loss(truth, output)
            total = loss + routing.balance
        gradients = tape.gradient(total, self.variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        return loss, routing.balance

    def judge(self, windows: Any) -> tuple[Any, Any]:
        """Outputs of a batch, and 1 for the experts that ran."""
        output, routing = self.model.forward(windows, False)
        return output, routing.chosen

    def one_pass(
        self, windows: np.ndarray, labels: np.ndarray, order: np.ndarray, size: int, advance: Advance | None
    ) -> dict[str, float]:
        """Learn from every window once, in the given order."""
        sums = np.zeros(2)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            sums += len(chosen) * np.array([float(value) for value in self._step(windows[chosen], labels[chosen])])
            if advance is not None:
                advance(len(chosen))
        loss, balance = sums / len(order)
        return {"loss": float(loss), "balance": float(balance)}

    def score(self, windows: np.ndarray, labels: np.ndarray) -> tuple[float, list[float]]:
        """Mean squared error over the tasks, and the share of the windows that each expert served."""
        found = [self._judge(windows[start : start + _BATCH]) for start in range(0, len(windows), _BATCH)]
        output = np.concatenate([np.asarray(part[0]) for part in found])
        chosen = np.concatenate([np.asarray(part[1]) for part in found])
        return float(tf.reduce_mean(task_errors(labels, output))), chosen.mean(axis=0).tolist()


def train_mixture(
    model: Lsm2oe,
    windows: np.ndarray,
    labels: np.ndarray,
    validation_windows: np.ndarray,
    validation_labels: np.ndarray,
    settings: TrainingSettings | None = None,
    *,
    trainer: Callable[[Lsm2oe, Any], MixtureTrainer] = MixtureTrainer,
    advance: Advance | None = None,
    on_pass: Callable[[int, dict[str, float]], None] | None = None,
) -> MixtureHistory:
    """Train a network in place; it ends with the weights of its best validation pass.

    Parameters
    ----------
    model : Lsm2oe
        The network.
    windows, labels
        Training windows, float32 (N, 1, samples, 1) between -1 and 1 (:func:`as_rows`), and standardised labels (N,
        tasks), NaN where there is none.
    validation_windows, validation_labels
        Of people (or times) apart from those of training and of test.
    settings : TrainingSettings, optional
        Its class weights and selection mean nothing here.
    trainer : callable, optional
        From network and learning rates to what learns; see :mod:`.distillation`.
    advance : callable, optional
        Called with the number of windows of each step.
    on_pass : callable, optional
        Called after each pass with its number, from 0, and its figures.

    Raises
    ------
    ModelError
        When windows or labels do not fit the model, or the loss becomes NaN.
    """
    settings = settings or TrainingSettings()
    _check("training", model, windows, labels)
    _check("validation", model, validation_windows, validation_labels)
    passes = settings.passes(len(windows))
    steps = -(-len(windows) // settings.batch_size)
    first = max(1, round(passes * steps * settings.first_restart))
    schedule = keras.optimizers.schedules.CosineDecayRestarts(settings.learning_rate, first, t_mul=2.0, m_mul=1.0)
    learner = trainer(model, schedule)
    history = MixtureHistory(windows=len(windows), settings=asdict(settings))
    labels, validation_labels = labels.astype(np.float32), validation_labels.astype(np.float32)
    best, started = model.get_weights(), time.monotonic()
    for number in range(passes):
        order = np.random.default_rng((settings.seed, number)).permutation(len(windows))
        row = learner.one_pass(windows, labels, order, settings.batch_size, advance)
        row["val_error"], shares = learner.score(validation_windows, validation_labels)
        if not np.isfinite(list(row.values())).all():
            raise ModelError(
                f"the loss became NaN in pass {number + 1}; a smaller training.learning_rate than "
                f"{settings.learning_rate:g} may help"
            )
        row["learning_rate"] = float(schedule(steps * (number + 1) - 1))
        for key, value in row.items():
            getattr(history, key).append(value)
        history.shares.append(shares)
        if row["val_error"] <= min(history.val_error):
            history.best_pass, best = number, model.get_weights()
        if on_pass is not None:
            on_pass(number, row)
        if number - history.best_pass >= settings.patience:
            history.stopped_early = number + 1 < passes
            break
    model.set_weights(best)
    history.seconds = time.monotonic() - started
    return history


def as_rows(signals: np.ndarray) -> np.ndarray:
    """Windows (N, samples) between 0 and 1 as the network takes them: float32 (N, 1, samples, 1) between -1 and 1."""
    return (2 * np.asarray(signals, np.float32) - 1)[:, None, :, None]


def estimate(model: Lsm2oe, standard: Standard, signals: np.ndarray) -> np.ndarray:
    """Parameters in their units, float64 (N, tasks), of windows (N, samples) between 0 and 1."""
    return standard.undo(predict(model, as_rows(signals)))


def _check(part: str, model: Lsm2oe, windows: np.ndarray, labels: np.ndarray) -> None:
    expected = (1, model.config.samples, 1)
    if windows.ndim != 4 or tuple(windows.shape[1:]) != expected or len(windows) == 0:
        raise ModelError(
            f"{part} windows must have the shape (windows, {', '.join(map(str, expected))}) with at least 1 window, "
            f"got {windows.shape}"
        )
    if not np.isfinite(windows).all():
        raise ModelError(f"{part} windows must be finite, got NaN or infinity")
    if labels.shape != (len(windows), model.config.tasks):
        raise ModelError(
            f"{part} labels must have the shape ({len(windows)}, {model.config.tasks}), got {labels.shape}"
        )
