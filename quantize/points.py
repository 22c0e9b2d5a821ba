"""Make the points of a compression table: the network that each gives, from the one trained network.

What the steps of a point are is in :mod:`.names`. Every point starts from the same network, trains again where a step
asks for it, and ends in an int8 file, ``float`` and ``int16x8`` excepted. Sparse networks that are trained
quantization-aware keep their zeros.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from ..training.loop import seed_everything, train
from ..training.settings import TrainingSettings
from ..training.steps import Advance, Inputs, Teaching
from .aware import prepare_aware, with_weights_of
from .convert import convert_aware, convert_float, convert_int8, convert_int16
from .errors import PruneError
from .fold import count_macs, fold_shortcuts
from .graph import count_parameters, count_zeros
from .names import Point
from .strides import join_strides, split_strides
from .structured import prune_filters
from .tfmot import quantization_aware, with_sparsity, without_wrappers


@dataclass(frozen=True)
class Material:
    """What points are made from.

    Attributes
    ----------
    inputs, labels
        Scaled training windows and their classes.
    validation_inputs, validation_labels
        Of other people; they choose the pass that counts.
    calibration : numpy.ndarray
        Scaled training windows that fix ranges.
    settings : TrainingSettings
        Of every training here.
    teaching : Teaching or None
        Of points with ``distill``.
    """

    inputs: Inputs
    labels: np.ndarray
    validation_inputs: Inputs
    validation_labels: np.ndarray
    calibration: np.ndarray
    settings: TrainingSettings
    teaching: Teaching | None = None


@dataclass(frozen=True)
class Made:
    """A point that was made.

    Attributes
    ----------
    tflite : bytes
        The file.
    network : keras.Model
        Plain and folded; of a point with ``qat`` the network before that training.
    parameters, zeros, macs : int
        Trainable parameters, those that are exactly 0, and multiply-accumulates of one inference, of the folded
        network.
    passes : int
        Passes over the training windows after the first training.
    """

    tflite: bytes
    network: keras.Model
    parameters: int
    zeros: int
    macs: int
    passes: int


def make_point(point: Point, model: keras.Model, material: Material, advance: Advance | None = None) -> Made:
    """Make a point from a trained network.

    Parameters
    ----------
    point : Point
        See :func:`parse_point`.
    model : keras.Model
        Trained; left as it was.
    material : Material
        Windows to train again and to calibrate with.
    advance : callable, optional
        Called with the number of windows of each step of training.

    Raises
    ------
    QuantizeError, TrainingError
        A network that a step cannot take, a teacher that is missing, or a training that fails.
    """
    if point.distill and material.teaching is None:
        raise PruneError(f"compression stage {point.name!r} needs a teacher, and none was given")
    seed_everything(material.settings.seed)
    trainer = _Again(material, material.teaching if point.distill else None, advance)
    network = split_strides(fold_shortcuts(model))
    if point.filters is not None:
        network = prune_filters(network, point.filters)
    if point.sparse:
        wrapped = with_sparsity(network, point.zeros)
        trainer.train(wrapped)
        network = without_wrappers(wrapped)
    elif point.changed or point.more:
        trainer.train(network)
    tflite = _file(point, network, trainer)
    return Made(tflite, network, count_parameters(network), count_zeros(network), count_macs(network), trainer.passes)


class _Again:
    """Training after the first, counted."""

    def __init__(self, material: Material, teaching: Teaching | None, advance: Advance | None):
        self.material, self.teaching, self.advance = material, teaching, advance
        self.passes = 0

    def train(self, model: keras.Model) -> None:
        """Train in place."""
        have = self.material
        history = train(
            model, have.inputs, have.labels, have.validation_inputs, have.validation_labels, have.settings,
            teaching=self.teaching, advance=self.advance,
        )  # fmt: skip
        self.passes += len(history.loss)


def _file(point: Point, network: keras.Model, trainer: _Again) -> bytes:
    calibration, plain = trainer.material.calibration, join_strides(network)
    if point.kind == "float":
        return convert_float(plain)
    if point.kind == "int16x8":
        return convert_int16(plain, calibration)
    if not point.aware:
        return convert_int8(plain, calibration)
    aware = prepare_aware(network, calibration, keep_zeros=point.sparse)
    trainer.train(aware)
    return convert_aware(with_weights_of(aware, quantization_aware(plain)))
