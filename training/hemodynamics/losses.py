"""Loss over several tasks, each weighed by what it learns of its own uncertainty (UR-Loss).

With s_t the logarithm of the variance of task t::

    sum over tasks of  exp(-s_t) * MSE_t + s_t / 2

Source: Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR 2018, as LSM2oE uses it.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf


class UncertaintyLoss(tf.Module):
    """UR-Loss with its weights.

    Parameters
    ----------
    tasks : int
        Number of tasks; all start at ``s = 0``, a weight of 1.
    """

    def __init__(self, tasks: int) -> None:
        super().__init__(name="uncertainty")
        self.log_variance = tf.Variable(tf.zeros(tasks), name="log_variance")

    def __call__(self, truth: Any, output: Any) -> Any:
        """Loss of a batch, a number; labels that are NaN do not count."""
        return tf.reduce_sum(tf.exp(-self.log_variance) * task_errors(truth, output) + self.log_variance / 2)


def task_errors(truth: Any, output: Any) -> Any:
    """Mean squared error of each task over the labels that are there, shape (tasks,); 0 where none is."""
    known = tf.math.is_finite(truth)
    squares = tf.where(known, output - tf.where(known, truth, 0.0), 0.0) ** 2
    counts = tf.reduce_sum(tf.cast(known, tf.float32), axis=0)
    return tf.math.divide_no_nan(tf.reduce_sum(squares, axis=0), counts)
