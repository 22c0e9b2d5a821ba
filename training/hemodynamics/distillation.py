"""Bidirectional knowledge distillation: a small network learns from a large one, which follows it where it is better.

With y the labels, t and s what teacher and student say, and sg(.) without gradient::

    student:  alpha * MSE(s, y) + beta * MSE(s, sg(t))
    teacher:  MSE(t, y) + gamma * sum(mask * (t - sg(s))^2) / max(sum(mask), 1),      mask = |s - y| < |t - y|

The published code sends the teacher's loss through an output without gradient, and would pull the teacher towards 0
wherever the student is worse. The mask makes it follow the student only where that one is nearer to the label. With
``gamma = 0`` and a teacher that rests this is plain, one-way distillation.

Source: Liu et al., "Lightweight Sparse Multi-gate Mixture-of-Experts", IEEE Internet of Things Journal, 2025.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf
import tf_keras as keras

from .config import Distillation
from .learning import MixtureTrainer
from .losses import task_errors
from .lsm2oe import Lsm2oe


def student_loss(truth: Any, student: Any, teacher: Any, given: Distillation) -> Any:
    """Loss of a batch for the student; labels that are NaN do not count, there the teacher alone is heard."""
    hard = tf.reduce_mean(task_errors(truth, student))
    return given.alpha * hard + given.beta * tf.reduce_mean((student - tf.stop_gradient(teacher)) ** 2)


def teacher_loss(truth: Any, student: Any, teacher: Any, given: Distillation) -> Any:
    """Loss of a batch for the teacher."""
    known = tf.math.is_finite(truth)
    label = tf.where(known, truth, 0.0)
    better = known & (tf.abs(student - label) < tf.abs(teacher - label))
    mask = tf.cast(tf.stop_gradient(better), tf.float32)
    pull = tf.reduce_sum(mask * (teacher - tf.stop_gradient(student)) ** 2) / tf.maximum(tf.reduce_sum(mask), 1.0)
    return tf.reduce_mean(task_errors(truth, teacher)) + given.gamma * pull


class DistillingTrainer(MixtureTrainer):
    """Trains a student next to its teacher.

    Parameters
    ----------
    student : Lsm2oe
        Changed in place; validation judges it.
    schedule
        Its learning rates.
    teacher : Lsm2oe
        Changed in place where distillation goes both ways.
    given : Distillation
        How.
    """

    def __init__(self, student: Lsm2oe, schedule: Any, teacher: Lsm2oe, given: Distillation) -> None:
        super().__init__(student, schedule)
        self.teacher, self.given = teacher, given
        # UR-Loss has no place in the formula; its weights stay as they are.
        self.variables = list(student.trainable_variables)
        self.optimizer = keras.optimizers.Adam(schedule, amsgrad=True)
        self.optimizer.build(self.variables)
        self.teacher_optimizer = keras.optimizers.Adam(_Share(schedule, given.teacher_rate), amsgrad=True)
        self.teacher_optimizer.build(teacher.trainable_variables)

    def step(self, windows: Any, truth: Any) -> tuple[Any, Any]:
        """Let both learn from a batch; returns the student's loss and load-balancing loss."""
        given, names = self.given, self.teacher.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            taught, teachers = self.teacher.forward(windows, given.two_way)
            output, routing = self.model.forward(windows, True)
            loss = student_loss(truth, output, taught, given)
            total = loss + routing.balance
            back = teacher_loss(truth, output, taught, given) + teachers.balance
        none = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(total, self.variables, unconnected_gradients=none)
        if given.two_way:
            others = tape.gradient(back, names, unconnected_gradients=none)
            self.teacher_optimizer.apply_gradients(zip(others, names, strict=True))
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        return loss, routing.balance


class _Share(keras.optimizers.schedules.LearningRateSchedule):
    """A share of another schedule."""

    def __init__(self, schedule: Any, share: float) -> None:
        self.schedule, self.share = schedule, share

    def __call__(self, step: Any) -> Any:
        return self.share * self.schedule(step)
