"""The training loop: Adam with AMSGrad, cosine decay with restarts, early stopping on validation epochs.

The best weights are chosen on validation epochs, never on test epochs: these are not even an argument. Each pass draws
its order and its dropout from the seed and its own number, so that a training that was interrupted and taken up
from its checkpoint ends with the same weights as one that was not.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from .checkpoint import Progress, read_checkpoint, write_checkpoint
from .errors import ModelError
from .settings import TrainingSettings
from .steps import Advance, Inputs, Teaching, Trainer
from .tensorboard import ScalarLog

THREADS = 2


@dataclass(frozen=True)
class History:
    """What happened in training, one entry per pass in each list.

    Attributes
    ----------
    loss, accuracy : list of float
        Mean over the pass, dropout active.
    val_loss, val_accuracy : list of float
        After the pass, on the validation windows.
    learning_rate : list of float
        At the end of the pass.
    best_pass : int
        The pass, from 0, with the best validation figure, whose weights the model holds.
    stopped_early : bool
        Whether patience ran out.
    windows : int
        Training windows of one pass.
    seconds : float
        Wall time, of all attempts where it was taken up from a checkpoint.
    settings : dict
        The :class:`TrainingSettings`.
    """

    loss: list[float]
    accuracy: list[float]
    val_loss: list[float]
    val_accuracy: list[float]
    learning_rate: list[float]
    best_pass: int
    stopped_early: bool
    windows: int
    seconds: float
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def write(self, path: Path | str) -> None:
        """Write as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path | str) -> History:
        """Read what :meth:`write` wrote.

        Raises
        ------
        ModelError
            When the file is missing or is no training history.
        """
        try:
            return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"{path} cannot be read as a training history: {error}") from None


def seed_everything(seed: int, threads: int | None = None) -> None:
    """Seed Python, NumPy and TensorFlow, and ask TensorFlow for reproducible kernels.

    Call it before the network is built. The same machine, versions, seed and number of threads then give the same
    weights; sums over a tensor depend on how many threads share them.

    Parameters
    ----------
    seed : int
        At least 0.
    threads : int, optional
        Threads of one operation; default: `THUMBNET_THREADS` of the environment, else `THREADS`. It has no effect once
        TensorFlow has computed something in this process.
    """
    import tensorflow as tf

    threads = threads or int(os.environ.get("THUMBNET_THREADS") or THREADS)
    # Too late once TensorFlow has started: then its threads are what they are.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    # Dropout then draws from a generator that can be set anew for each pass.
    keras.backend.experimental.enable_tf_random_generator()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train(
    model: keras.Model,
    inputs: Inputs,
    labels: np.ndarray,
    validation_inputs: Inputs,
    validation_labels: np.ndarray,
    settings: TrainingSettings | None = None,
    *,
    teaching: Teaching | None = None,
    advance: Advance | None = None,
    checkpoint: Path | None = None,
    log_folder: Path | None = None,
    on_pass: Callable[[int, dict[str, float]], None] | None = None,
) -> History:
    """Train a classifier in place; it ends with the weights of its best validation pass.

    Parameters
    ----------
    model : keras.Model
        Output (N, classes) probabilities.
    inputs, labels
        Training windows as the model takes them, and their integer classes. Windows are anything with a length, a
        shape and rows by index, so that they may stay on disk until a batch needs them.
    validation_inputs, validation_labels
        Windows of people (or times) apart from those of training and of test.
    settings : TrainingSettings, optional
        Defaults as there.
    teaching : Teaching, optional
        What a teacher says about the training windows; the loss in the history is then that of both.
    advance : callable, optional
        Called with the number of windows of each step, for a progress bar.
    checkpoint : pathlib.Path, optional
        File that each pass ends with; where it holds one of the same training, that is taken up.
    log_folder : pathlib.Path, optional
        Where TensorBoard finds the curves.
    on_pass : callable, optional
        Called after each pass with its number, from 0, and its figures, as in :class:`History`; what it raises ends the
        training.

    Returns
    -------
    History

    Raises
    ------
    ModelError
        When windows do not fit the model, hold NaN, or have no or wrong labels; or the loss becomes NaN.
    """
    settings = settings or TrainingSettings()
    _check_windows("training", model, inputs, labels)
    _check_windows("validation", model, validation_inputs, validation_labels)
    if teaching is not None and teaching.probabilities.shape != (len(inputs), model.output_shape[-1]):
        raise ModelError(
            f"the teacher must give {model.output_shape[-1]} probabilities for each of {len(inputs)} training windows, "
            f"got shape {teaching.probabilities.shape}"
        )
    passes = settings.passes(len(inputs))
    steps = -(-len(inputs) // settings.batch_size)
    schedule = _schedule(settings, passes * steps)
    trainer = Trainer(model, schedule, settings, labels, teaching)
    identity = {**asdict(settings), "windows": len(inputs), "validation_windows": len(validation_inputs)}
    done = read_checkpoint(checkpoint, identity, model, trainer.optimizer) if checkpoint else None
    progress = done or Progress()
    started = time.monotonic() - progress.seconds
    with ScalarLog(log_folder) as log:
        for number in range(len(progress.logs["loss"]), passes):
            if progress.waited(settings.selection) >= settings.patience:
                break
            row = trainer.one_pass(inputs, labels, number, advance)
            if not np.isfinite(row["loss"]):
                raise _nan_loss(number, settings)
            row |= trainer.score(validation_inputs, validation_labels)
            if not np.isfinite(row["val_loss"]):
                raise _nan_loss(number, settings)
            row["learning_rate"] = float(schedule(steps * (number + 1) - 1))
            progress.add(row, model, settings.selection)
            progress.seconds = time.monotonic() - started
            log.write(number, row)
            if checkpoint:
                write_checkpoint(checkpoint, identity, model, trainer.optimizer, progress)
            if on_pass is not None:
                on_pass(number, row)
    model.set_weights(progress.best_weights)
    return History(
        **progress.logs,
        best_pass=progress.best(settings.selection),
        stopped_early=len(progress.logs["loss"]) < passes,
        windows=len(inputs),
        seconds=progress.seconds,
        settings=asdict(settings),
    )


def predict_probabilities(model: keras.Model, inputs: Inputs, batch_size: int = 64) -> np.ndarray:
    """Return the model's output for windows in memory or on disk, shape (N, classes), batch after batch."""
    outputs = [
        np.asarray(model(inputs[start : start + batch_size], training=False))
        for start in range(0, len(inputs), batch_size)
    ]
    return np.concatenate(outputs)


def _nan_loss(number: int, settings: TrainingSettings) -> ModelError:
    return ModelError(
        f"the loss became NaN in pass {number + 1}; a smaller training.learning_rate than "
        f"{settings.learning_rate:g} may help"
    )


def _schedule(settings: TrainingSettings, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    first = max(1, round(steps * settings.first_restart))
    return keras.optimizers.schedules.CosineDecayRestarts(settings.learning_rate, first, t_mul=2.0, m_mul=1.0)


def _check_windows(part: str, model: keras.Model, inputs: Inputs, labels: np.ndarray) -> None:
    expected, classes = tuple(model.input_shape[1:]), model.output_shape[-1]
    if tuple(inputs.shape[1:]) != expected or len(inputs) == 0:
        raise ModelError(
            f"{part} windows must have the shape (windows, {', '.join(map(str, expected))}) with at least 1 "
            f"window, got {inputs.shape}"
        )
    if isinstance(inputs, np.ndarray) and not np.isfinite(inputs).all():
        raise ModelError(f"{part} windows must be finite, got NaN or infinity")
    integers = labels.shape == (len(inputs),) and labels.dtype.kind in "iu"
    if not integers or labels.min() < 0 or labels.max() >= classes:
        raise ModelError(
            f"{part} labels must be one integer from 0 to {classes - 1} for each of {len(inputs)} windows, "
            f"got shape {labels.shape}, values {np.unique(labels)[:10].tolist()}"
        )
