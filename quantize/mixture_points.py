"""From a trained mixture of experts to a smaller one: pruned, taught again, and trained with the rounding of int8."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from ..training.hemodynamics.config import Distillation, Lsm2oeConfig
from ..training.hemodynamics.distillation import DistillingTrainer
from ..training.hemodynamics.learning import MixtureHistory, train_mixture
from ..training.hemodynamics.lsm2oe import Lsm2oe
from ..training.hemodynamics.msfgm import Msfgm
from ..training.settings import TrainingSettings
from ..training.steps import Advance
from .fold import count_macs
from .mixture import LoweredMixture
from .mixture_pruning import choose_removal, remove


@dataclass(frozen=True)
class MixtureMaterial:
    """What a network is trained again with.

    Attributes
    ----------
    windows, labels : numpy.ndarray
        Training windows (N, 1, samples, 1) and standardised labels (N, tasks).
    validation_windows, validation_labels : numpy.ndarray
        Of other people.
    settings : TrainingSettings
        Of every training.
    """

    windows: np.ndarray
    labels: np.ndarray
    validation_windows: np.ndarray
    validation_labels: np.ndarray
    settings: TrainingSettings

    def train(self, model: Lsm2oe, *, advance: Advance | None = None, **how: Any) -> MixtureHistory:
        """Train a network in place, see :func:`.learning.train_mixture`."""
        return train_mixture(model, self.windows, self.labels, self.validation_windows, self.validation_labels,
                             self.settings, advance=advance, **how)  # fmt: skip


def copy_mixture(model: Lsm2oe) -> Lsm2oe:
    """Return a network with weights of its own."""
    copy = Lsm2oe(model.config)
    copy.set_weights(model.get_weights())
    return copy


def prune_mixture(model: Lsm2oe, small: Lsm2oeConfig, windows: np.ndarray) -> Lsm2oe:
    """Return a network of the sizes `small` with what is worth most of a large one; not trained again.

    Parameters and errors are those of :mod:`.mixture_pruning`.
    """
    return remove(model, choose_removal(model, small, windows))


def distill_mixture(
    teacher: Lsm2oe, student: Lsm2oe, material: MixtureMaterial, given: Distillation, advance: Advance | None = None
) -> MixtureHistory:
    """Train a student, in place, towards the labels and a teacher, which is left as it was."""
    copy = copy_mixture(teacher)
    return material.train(
        student, advance=advance, trainer=lambda model, schedule: DistillingTrainer(model, schedule, copy, given)
    )


def train_lowered(lowered: LoweredMixture, material: MixtureMaterial, advance: Advance | None = None) -> MixtureHistory:
    """Train a lowered network with the rounding of int8, in place; its ranges stay as they are."""
    aware = lowered.assembled(rounded=True)
    history = material.train(aware, advance=advance)
    lowered.take_weights(aware)
    return history


def active_macs(model: Lsm2oe) -> int:
    """Multiply-accumulates of one window: gate, bottom, towers and as many experts as run; biases and the rest not."""
    fixed = [part for part in (model.gate, model.bottom, model.towers) if part is not None]
    return sum(_macs(part) for part in fixed) + model.config.most_active * _macs(model.experts[0])


def _macs(part: keras.Model) -> int:
    modules = [layer for layer in part.layers if isinstance(layer, Msfgm)]
    noise = sum(int(np.prod(layer.kernel.shape)) for layer in part.layers if layer.name == "noise")
    inner = sum(layer.output_shape[2] * int(np.prod(weight.shape)) for layer in modules
                for weight in layer.weights if "kernel" in weight.name)  # fmt: skip
    return count_macs(part) + inner - noise
