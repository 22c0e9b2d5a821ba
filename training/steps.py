"""One step and one pass of training: batches from memory or disk, gradients, dropout that the seed decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from .errors import ConfigError, ModelError
from .settings import TrainingSettings

_NOTHING = np.zeros((0, 0), np.float32)
Advance = Callable[[int], None]
"""Takes the number of windows that were just trained on."""


class Inputs(Protocol):
    """Windows in memory or on disk: a NumPy array, or anything that gives one for indices."""

    shape: tuple[int, ...]

    def __len__(self) -> int: ...
    def __getitem__(self, indices: Any) -> np.ndarray: ...


@dataclass(frozen=True)
class Teaching:
    """What a larger network, the teacher, says about every training window.

    The student's loss is ``(1 - alpha) * loss + alpha * T^2 * KL(teacher at T, student at T)``, where a network at
    temperature T gives the softmax of its logits over T (Hinton, Vinyals and Dean, "Distilling the Knowledge in a
    Neural Network", 2015, arXiv 1503.02531).

    Attributes
    ----------
    probabilities : numpy.ndarray
        The teacher's output, shape (N, classes).
    temperature : float
        Above 1 shows more of what the teacher thinks of the other classes.
    alpha : float
        Weight of the teacher, 0 to 1.
    """

    probabilities: np.ndarray
    temperature: float = 2.0
    alpha: float = 0.5

    def __post_init__(self):
        if self.temperature <= 0:
            raise ConfigError(f"the temperature of distillation must be above 0, got {self.temperature!r}")
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"the weight alpha of the teacher must be in [0, 1], got {self.alpha!r}")

    def loss(self, taught, output):
        """Loss of a batch, from the probabilities of teacher and student."""
        import tensorflow as tf

        smallest = keras.backend.epsilon()
        teacher = tf.nn.log_softmax(tf.math.log(taught + smallest) / self.temperature)
        student = tf.nn.log_softmax(tf.math.log(output + smallest) / self.temperature)
        difference = tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis=1)
        return self.temperature**2 * tf.reduce_mean(difference)


class Trainer:
    """The network, its optimizer and one compiled step.

    Parameters
    ----------
    model : keras.Model
        Output (N, classes) probabilities; changed in place.
    schedule : keras.optimizers.schedules.LearningRateSchedule
        Learning rate of each step.
    settings : TrainingSettings
        Seed, batch size and class weights are used here.
    labels : numpy.ndarray
        Classes of the training windows, for the class weights.
    teaching : Teaching, optional
        A teacher to learn from besides the labels.
    """

    def __init__(
        self,
        model: keras.Model,
        schedule: Any,
        settings: TrainingSettings,
        labels: np.ndarray,
        teaching: Teaching | None = None,
    ):
        import tensorflow as tf

        self.model, self.settings = model, settings
        self.taught = _NOTHING if teaching is None else teaching.probabilities.astype(np.float32)
        self.optimizer = keras.optimizers.Adam(schedule, amsgrad=True)
        self.optimizer.build(model.trainable_variables)
        weights = _class_weights(labels) if settings.class_weights else {}
        self.class_weights = np.array([weights.get(label, 1.0) for label in range(model.output_shape[-1])], np.float32)

        def losses(truth, output):
            return keras.losses.sparse_categorical_crossentropy(truth, output)

        # On a processor XLA takes four times as long.
        @tf.function(jit_compile=False, reduce_retracing=True)
        def step(windows, truth, weights, taught):
            with tf.GradientTape() as tape:
                output = model(windows, training=True)
                loss = tf.reduce_mean(weights * losses(truth, output))
                if teaching is not None:
                    loss = (1 - teaching.alpha) * loss + teaching.alpha * teaching.loss(taught, output)
                total = loss + tf.add_n(model.losses) if model.losses else loss
            gradients = tape.gradient(total, model.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss, tf.reduce_sum(tf.cast(tf.argmax(output, axis=1) == truth, tf.int64))

        @tf.function(jit_compile=False, reduce_retracing=True)
        def judge(windows, truth):
            output = model(windows, training=False)
            hits = tf.reduce_sum(tf.cast(tf.argmax(output, axis=1) == truth, tf.int64))
            return tf.reduce_sum(losses(truth, output)), hits

        self._step, self._judge = step, judge

    def one_pass(self, inputs: Inputs, labels: np.ndarray, number: int, advance: Advance | None) -> dict[str, float]:
        """Train on every window once, in an order that the seed and the number of the pass decide."""
        order = np.random.default_rng((self.settings.seed, number)).permutation(len(inputs))
        changes = np.random.default_rng((self.settings.seed, number, 1))
        reseed(self.model, self.settings.seed, number)
        total, hits, size = 0.0, 0, self.settings.batch_size
        for place, (windows, truth) in enumerate(batches(inputs, labels, order, size)):
            chosen = order[place * size : (place + 1) * size] if len(self.taught) else slice(0)
            windows = self.settings.augmentation.apply(windows, changes)
            loss, right = self._step(windows, truth, self.class_weights[truth], self.taught[chosen])
            total += float(loss) * len(truth)
            hits += int(right)
            if advance is not None:
                advance(len(truth))
        return {"loss": total / len(order), "accuracy": hits / len(order)}

    def score(self, inputs: Inputs, labels: np.ndarray) -> dict[str, float]:
        """Loss and accuracy on the validation windows."""
        total, hits = 0.0, 0
        for windows, truth in batches(inputs, labels, np.arange(len(inputs)), 64):
            loss, right = self._judge(windows, truth)
            total += float(loss)
            hits += int(right)
        return {"val_loss": total / len(inputs), "val_accuracy": hits / len(inputs)}


def batches(inputs: Inputs, labels: np.ndarray, order: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Give batches in order, the next one read while the present one is worked on."""
    labels = labels.astype(np.int64)

    def read(start: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = order[start : start + size]
        windows = np.ascontiguousarray(inputs[chosen], np.float32)
        if not np.isfinite(windows).all():
            raise ModelError("training and validation windows must be finite, got NaN or infinity")
        return windows, labels[chosen]

    with ThreadPoolExecutor(1) as reader:
        starts = range(0, len(order), size)
        following = reader.submit(read, 0)
        for start in starts:
            present = following.result()
            if start + size < len(order):
                following = reader.submit(read, start + size)
            yield present


def reseed(model: keras.Model, seed: int, number: int) -> None:
    """Set the generators of dropout layers to what the seed and the number of the pass say."""
    for place, layer in enumerate(model._flatten_layers(include_self=False, recursive=True)):
        generator = getattr(getattr(layer, "_random_generator", None), "_generator", None)
        if generator is not None:
            state = np.random.SeedSequence((seed, number, place)).generate_state(1, np.uint32)[0]
            generator.reset_from_seed(int(state))


def _class_weights(labels: np.ndarray) -> dict[int, float]:
    from sklearn.utils.class_weight import compute_class_weight

    present = np.unique(labels)
    return dict(zip(present.tolist(), compute_class_weight("balanced", classes=present, y=labels), strict=True))
