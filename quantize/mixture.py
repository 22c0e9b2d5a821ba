"""The parts of a mixture of experts as int8 files with scales that fit each other.

Gate, experts and towers become a .tflite file each. Experts have the same operators, shapes, scales and zero points
throughout, so that a device runs all of them with one program over tables of weights. ``docs/hemodynamics.md``
describes the files and the arithmetic between them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from ..training.hemodynamics.config import Lsm2oeConfig
from ..training.hemodynamics.lowering import equalisers, lower
from ..training.hemodynamics.lsm2oe import Lsm2oe, Parts
from .convert import LOWEST_CODE
from .errors import ConversionError
from .fixed_ranges import (
    SIGNED,
    Ranges,
    convert_fixed,
    fix_ranges,
    join_ranges,
    observe_ranges,
    without_ranges,
)

WINDOW: tuple[float, float] = (LOWEST_CODE, 1.0)
"""Range of the windows: scale 1/127, zero point 0."""
_BATCH = 64


@dataclass(frozen=True)
class LoweredMixture:
    """A mixture of experts whose parts are made of one operator per layer, and their ranges.

    Attributes
    ----------
    config : Lsm2oeConfig
        Of the network.
    gate, towers : keras.Model
        The gate gives its logits alone.
    experts : tuple of keras.Model
        With the same layers.
    gate_ranges, expert_ranges, tower_ranges : Ranges
        `expert_ranges` hold for every expert.
    """

    config: Lsm2oeConfig
    gate: keras.Model
    experts: tuple[keras.Model, ...]
    towers: keras.Model
    gate_ranges: Ranges
    expert_ranges: Ranges
    tower_ranges: Ranges

    def fixed(self, *, rounded: bool = False) -> Parts:
        """Return the parts with their ranges written in, see :func:`.fixed_ranges.fix_ranges`."""
        return Parts(
            gate=fix_ranges(self.gate, self.gate_ranges, WINDOW, rounded=rounded),
            bottom=None,
            experts=[fix_ranges(expert, self.expert_ranges, WINDOW, rounded=rounded) for expert in self.experts],
            towers=fix_ranges(self.towers, self.tower_ranges, SIGNED, rounded=rounded),
        )

    def assembled(self, *, rounded: bool = False) -> Lsm2oe:
        """Return a network of the parts with their ranges, as int8 computes but for the rounding of the mixture.

        Parameters
        ----------
        rounded : bool
            Round weights too: trained, it is quantization-aware training; otherwise the converter does.
        """
        return Lsm2oe(self.config.with_options(noisy=False), self.fixed(rounded=rounded))

    def take_weights(self, trained: Lsm2oe) -> None:
        """Take the weights of a network from :meth:`assembled`, in place; ranges stay."""
        without_ranges(trained.gate, self.gate)
        without_ranges(trained.towers, self.towers)
        for source, target in zip(trained.experts, self.experts, strict=True):
            without_ranges(source, target)

    def convert(self) -> dict[str, bytes]:
        """Return the int8 files by the names that a bundle gives them: gate, expert_0, ..., towers."""
        parts = self.fixed()
        named = {"gate": parts.gate, **{f"expert_{n}": part for n, part in enumerate(parts.experts)},
                 "towers": parts.towers}  # fmt: skip
        return {f"{name}.tflite": convert_fixed(part) for name, part in named.items()}


def lower_mixture(model: Lsm2oe, windows: np.ndarray) -> LoweredMixture:
    """Rewrite a trained network for the device, and read the ranges of all its tensors off training windows.

    Parameters
    ----------
    model : Lsm2oe
        With one choice of experts for all tasks, towers, and no shared bottom; left as it was.
    windows : numpy.ndarray
        float array (N, 1, samples, 1) between -1 and 1, from training subjects; a few hundred do. An expert's ranges
        come from the windows that are its own.

    Raises
    ------
    ConversionError
        A network of another kind, or no windows.
    """
    config = model.config
    if config.gates == "multi" or not config.features or config.shared_bottom:
        raise ConversionError(
            "a mixture of experts for devices needs gates 'single' or 'shared', features, and no shared bottom; got "
            f"gates {config.gates!r}, {config.features} features, shared_bottom {config.shared_bottom}"
        )
    if len(windows) == 0:
        raise ConversionError("a mixture of experts has no windows to read ranges off; at least 1 is needed, got 0")
    logits = lower(keras.Model(model.gate.inputs, model.gate.outputs[0], name="gate"))
    weights, features = _routed(model, windows)
    experts, ranges = [], []
    for number, expert in enumerate(model.experts):
        own = windows[weights[:, :, number].max(axis=1) > 0]
        own = own if len(own) else windows
        lowered = lower(expert, equalisers(lower(expert), own))
        experts.append(lowered)
        ranges.append(observe_ranges(lowered, own))
    towers = lower(model.towers)
    mixture = np.einsum("bte,bef->bft", weights, features)[:, :, None]
    mixture = np.broadcast_to(mixture, (*mixture.shape[:3], config.tasks)).astype(np.float32)
    return LoweredMixture(
        config, logits, tuple(experts), towers,
        observe_ranges(logits, windows), join_ranges(ranges), observe_ranges(towers, mixture),
    )  # fmt: skip


def _routed(model: Lsm2oe, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (N, rows, experts) and features (N, experts, features) of windows."""
    weights: list[Any] = []
    features: list[Any] = []
    for start in range(0, len(windows), _BATCH):
        batch = windows[start : start + _BATCH]
        routing = model.route(batch, False)
        weights.append(np.asarray(routing.weights))
        features.append(np.asarray(model.run_experts(batch, routing.chosen, False)))
    return np.concatenate(weights), np.concatenate(features)
