"""The training loop: Adam with AMSGrad, cosine decay with restarts, early stopping on validation epochs.

The best weights are chosen on validation epochs, never on test epochs: these are not even an argument.
"""

from __future__ import annotations

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

from .errors import ConfigError, ModelError

Advance = Callable[[int], None]
"""Takes the number of windows that were just trained on."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    seed : int
        Initial weights (through :func:`seed_everything`), order of the batches, dropout.
    epochs : int
        Passes over the training windows at most.
    window_passes : int or None
        Training windows seen in all at most; the smaller limit holds, and one pass is always made.
    batch_size : int
        Windows per step.
    learning_rate : float
        Start of each cosine.
    first_restart : float
        Share of all steps before the learning rate starts again from the top; 1 means no restart. Each cosine
        is twice as long as the one before, so 1/3 gives two whole ones.
    patience : int
        Passes without a smaller validation loss before stopping.
    class_weights : bool
        Weigh each class by the inverse of its share.
    """

    seed: int = 1
    epochs: int = 50
    window_passes: int | None = 15_000
    batch_size: int = 32
    learning_rate: float = 1e-3
    first_restart: float = 1 / 3
    patience: int = 10
    class_weights: bool = False

    def __post_init__(self):
        for name, low in (("epochs", 1), ("batch_size", 1), ("patience", 1), ("seed", 0)):
            _check_whole(name, getattr(self, name), low)
        if self.window_passes is not None:
            _check_whole("window_passes", self.window_passes, 1)
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"training.learning_rate must be in (0, 1], got {self.learning_rate!r}")
        if not 0 < self.first_restart <= 1:
            raise ConfigError(f"training.first_restart must be in (0, 1], got {self.first_restart!r}")

    def passes(self, windows: int) -> int:
        """Passes over `windows` training windows that the two limits allow, at least 1."""
        if self.window_passes is None:
            return self.epochs
        return max(1, min(self.epochs, self.window_passes // windows))


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
        The pass, from 0, with the smallest validation loss, whose weights the model holds.
    stopped_early : bool
        Whether patience ran out.
    windows : int
        Training windows of one pass.
    seconds : float
        Wall time.
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


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and ask TensorFlow for reproducible kernels.

    Call it before the network is built. The same machine, versions and seed then give the same weights.
    """
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train(
    model: keras.Model,
    inputs: np.ndarray,
    labels: np.ndarray,
    validation_inputs: np.ndarray,
    validation_labels: np.ndarray,
    settings: TrainingSettings | None = None,
    *,
    advance: Advance | None = None,
) -> History:
    """Train a classifier in place; it ends with the weights of its best validation pass.

    Parameters
    ----------
    model : keras.Model
        Output (N, classes) probabilities.
    inputs, labels
        Training windows as the model takes them, and their integer classes.
    validation_inputs, validation_labels
        Windows of people (or times) apart from those of training and of test.
    settings : TrainingSettings, optional
        Defaults as there.
    advance : callable, optional
        Called with the number of windows of each step, for a progress bar.

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
    passes = settings.passes(len(inputs))
    steps = -(-len(inputs) // settings.batch_size)
    schedule = _schedule(settings, passes * steps)
    model.compile(
        keras.optimizers.Adam(schedule, amsgrad=True),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
        jit_compile=False,  # on a processor XLA takes four times as long
    )
    keras.utils.set_random_seed(settings.seed)
    stopping = keras.callbacks.EarlyStopping(
        "val_loss", patience=settings.patience, restore_best_weights=True, mode="min"
    )
    callbacks = [stopping, keras.callbacks.TerminateOnNaN()]
    if advance is not None:
        callbacks.append(_Advance(advance, len(inputs), settings.batch_size))
    started = time.monotonic()
    logs = model.fit(
        inputs,
        labels,
        batch_size=settings.batch_size,
        epochs=passes,
        validation_data=(validation_inputs, validation_labels),
        class_weight=_class_weights(labels) if settings.class_weights else None,
        callbacks=callbacks,
        verbose=0,
    ).history
    if not np.isfinite(logs["loss"]).all() or not np.isfinite(logs.get("val_loss", [np.nan])).all():
        raise ModelError(
            f"the loss became NaN in pass {len(logs['loss'])}; a smaller training.learning_rate than "
            f"{settings.learning_rate:g} may help"
        )
    done = len(logs["loss"])
    best = int(np.argmin(logs["val_loss"]))
    # Keras restores the best weights only when it stops early.
    if stopping.best_weights is not None:
        model.set_weights(stopping.best_weights)
    return History(
        **{key: [float(value) for value in logs[key]] for key in ("loss", "accuracy", "val_loss", "val_accuracy")},
        learning_rate=[float(schedule(steps * (number + 1) - 1)) for number in range(done)],
        best_pass=best,
        stopped_early=done < passes,
        windows=len(inputs),
        seconds=time.monotonic() - started,
        settings=asdict(settings),
    )


class _Advance(keras.callbacks.Callback):
    def __init__(self, advance: Advance, windows: int, batch_size: int):
        super().__init__()
        self._advance, self._windows, self._batch_size = advance, windows, batch_size

    def on_train_batch_end(self, batch, logs=None):
        self._advance(min(self._batch_size, self._windows - batch * self._batch_size))


def _schedule(settings: TrainingSettings, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    first = max(1, round(steps * settings.first_restart))
    return keras.optimizers.schedules.CosineDecayRestarts(settings.learning_rate, first, t_mul=2.0, m_mul=1.0)


def _class_weights(labels: np.ndarray) -> dict[int, float]:
    from sklearn.utils.class_weight import compute_class_weight

    present = np.unique(labels)
    return dict(zip(present.tolist(), compute_class_weight("balanced", classes=present, y=labels), strict=True))


def _check_whole(name: str, value: Any, low: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ConfigError(f"training.{name} must be a whole number of at least {low}, got {value!r}")


def _check_windows(part: str, model: keras.Model, inputs: np.ndarray, labels: np.ndarray) -> None:
    expected, classes = tuple(model.input_shape[1:]), model.output_shape[-1]
    if inputs.shape[1:] != expected or len(inputs) == 0:
        raise ModelError(
            f"{part} windows must have the shape (windows, {', '.join(map(str, expected))}) with at least 1 "
            f"window, got {inputs.shape}"
        )
    if not np.isfinite(inputs).all():
        raise ModelError(f"{part} windows must be finite, got NaN or infinity")
    integers = labels.shape == (len(inputs),) and labels.dtype.kind in "iu"
    if not integers or labels.min() < 0 or labels.max() >= classes:
        raise ModelError(
            f"{part} labels must be one integer from 0 to {classes - 1} for each of {len(inputs)} windows, "
            f"got shape {labels.shape}, values {np.unique(labels)[:10].tolist()}"
        )
