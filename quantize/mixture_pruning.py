"""Structured pruning of a mixture of experts: channels, blocks and whole experts leave the network.

Channels go in units of 16: one attention group of four channels out of each of the four subsets of a multi-scale
module. Nothing else keeps the rest as it was, because normalisation is over a group and subsets follow each other.
Each expert loses its own weakest units, as many in all, so that experts keep one shape. A block leaves its shortcut;
experts that leave take their logits with them. What is left computes what the large network computes with the removed
parts silenced (:func:`silence`), to the rounding of float32.

Units are ranked by the norms of the weights that make and read them, relative to their layers; blocks by how much they
change the signal that passes; experts by the weight that gates give them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from ..training.hemodynamics.config import GROUP, SUBSETS, UNIT, Lsm2oeConfig
from ..training.hemodynamics.lsm2oe import Lsm2oe
from ..training.hemodynamics.msfgm import Msfgm
from .errors import PruneError
from .mixture_sizes import check_kind

_BATCH = 64
layers = keras.layers
Array = np.ndarray


@dataclass(frozen=True)
class Removal:
    """What goes.

    Attributes
    ----------
    experts : tuple of int
        Numbers of experts.
    blocks : tuple of int
        Numbers of blocks, from 1, in every expert.
    units : tuple of tuple of int
        Units of channels, from 0, of each expert of the large network, as many in each.
    """

    experts: tuple[int, ...] = ()
    blocks: tuple[int, ...] = ()
    units: tuple[tuple[int, ...], ...] = ()


def choose_removal(model: Lsm2oe, small: Lsm2oeConfig, windows: Array) -> Removal:
    """Choose the weakest parts, so that what is left has the sizes of `small`.

    Parameters
    ----------
    model : Lsm2oe
        The large network.
    small : Lsm2oeConfig
        From :func:`.mixture_sizes.smaller_sizes`, or with fewer channels or experts, or more `removed` blocks.
    windows : numpy.ndarray
        Training windows, float32 (N, 1, samples, 1).
    """
    config = model.config
    check_kind(config)
    weights = np.concatenate([np.asarray(model.route(windows[start : start + _BATCH], False).weights)
                              for start in range(0, len(windows), _BATCH)])  # fmt: skip
    importance = weights.mean(axis=(0, 1))
    experts = np.argsort(importance, kind="stable")[: config.experts - small.experts]
    blocks = _weakest_blocks(model, windows, len(small.removed) - len(config.removed))
    count = (config.channels - small.channels) // UNIT
    scores = [_unit_scores(expert) for expert in model.experts]
    if config.shared_bottom:
        scores = [np.sum(scores, axis=0)] * config.experts
    units = tuple(tuple(sorted(np.argsort(score, kind="stable")[:count].tolist())) for score in scores)
    return Removal(tuple(sorted(experts.tolist())), blocks, units)


def remove(model: Lsm2oe, removal: Removal) -> Lsm2oe:
    """Build the network without the parts of a removal; weights of the rest are copied, the large one is left alone.

    Raises
    ------
    PruneError
        Nothing would be left, or experts would differ in shape.
    """
    config = model.config
    _check_removal(config, removal)
    kept = [number for number in range(config.experts) if number not in removal.experts]
    lost = len(removal.units[0]) if removal.units else 0
    small = Lsm2oe(config.with_options(
        experts=len(kept), channels=config.channels - lost * UNIT,
        removed=tuple(sorted({*config.removed, *removal.blocks})),
    ))  # fmt: skip
    for target, number in zip(small.experts, kept, strict=True):
        _copy_part(model.experts[number], target, _kept_units(config, removal, number), config.channels)
    if model.bottom is not None and small.bottom is not None:
        _copy_part(model.bottom, small.bottom, _kept_units(config, removal, 0), config.channels)
    if model.towers is not None and small.towers is not None:
        small.towers.set_weights(model.towers.get_weights())
    _copy_gate(model, small, kept)
    return small


def silence(model: Lsm2oe, removal: Removal) -> Lsm2oe:
    """Return a copy of the same size in which the removed parts give nothing; experts are never chosen."""
    config = model.config
    _check_removal(config, removal)
    silent = Lsm2oe(config)
    silent.set_weights(model.get_weights())
    for number, expert in enumerate(silent.experts):
        kept = _kept_units(config, removal, number)
        _silence_part(expert, kept, removal.blocks, config.channels)
    if silent.bottom is not None:
        _silence_part(silent.bottom, _kept_units(config, removal, 0), (), config.channels)
    choice = silent.gate.get_layer("choice")
    kernel, *bias = choice.get_weights()
    gone = np.tile(np.isin(np.arange(config.experts), removal.experts), config.choices)
    if gone.any() and not bias:
        raise PruneError(
            "experts of gates without a bias cannot be silenced; allowed are gates of the kind 'convolution'"
        )
    choice.set_weights([np.where(gone, 0, kernel), *(np.where(gone, -1e6, value) for value in bias)])
    return silent


def _check_removal(config: Lsm2oeConfig, removal: Removal) -> None:
    check_kind(config)
    if config.experts - len(removal.experts) < config.k:
        raise PruneError(
            f"at least k = {config.k} of {config.experts} experts have to stay, got {len(removal.experts)} to remove"
        )
    if len({*config.removed, *removal.blocks}) >= config.blocks:
        raise PruneError(f"at least 1 of {config.blocks} blocks has to stay, got {list(removal.blocks)} to remove")
    counts = {len(units) for units in removal.units} or {0}
    if len(counts) > 1 or (removal.units and len(removal.units) != config.experts):
        raise PruneError(f"each of {config.experts} experts must lose as many units, got {sorted(counts)}")
    if max(counts) >= config.channels // UNIT:
        raise PruneError(f"at least 1 of {config.channels // UNIT} units has to stay, got {max(counts)} to remove")


def _kept_units(config: Lsm2oeConfig, removal: Removal, number: int) -> Array:
    gone = removal.units[number] if removal.units else ()
    return np.array([unit for unit in range(config.channels // UNIT) if unit not in gone])


def _channels_of(units: Array, channels: int, subsets: int = SUBSETS) -> Array:
    """Places of the channels of some units, in order; with one subset, places within that."""
    ranks = channels // UNIT
    grid = np.arange(GROUP * subsets * ranks).reshape(GROUP, subsets, ranks)
    return grid[:, :, units].reshape(-1)


def _joined_of(units: Array, channels: int) -> Array:
    """Places of the channels of some units in front of the fusion, where subsets follow each other."""
    within = _channels_of(units, channels, 1)
    return np.concatenate([within + s * channels // SUBSETS for s in range(SUBSETS)])


def _axes_of(name: str, shape: tuple[int, ...], units: Array, channels: int) -> dict[int, Array]:
    """Which places of which axes of a weight stay, by the weight's name within its part."""
    whole, part = _channels_of(units, channels), _channels_of(units, channels, 1)
    groups = _channels_of(units, channels)[: SUBSETS * len(units)]
    layer, kind = name.split(":")[0].rsplit("/", 1)
    last = len(shape) - 1
    if "/attention" in layer or layer.endswith("attention"):
        return {last: groups}
    if "/convolution" in layer:
        return {2: part, 3: part} if kind == "kernel" else {0: part}
    if layer.endswith("/fusion"):
        return {2: _joined_of(units, channels), 3: whole} if kind == "kernel" else {0: whole}
    if layer.endswith("/gate"):
        return {2: whole} if kind == "kernel" else {}
    if layer in ("features", "tasks"):
        return {0: whole} if kind == "kernel" else {}
    if layer == "stem" and kind == "kernel":
        return {3: whole}
    return {2: whole, 3: whole} if kind == "kernel" else {0: whole}


def _copy_part(source: keras.Model, target: keras.Model, units: Array, channels: int) -> None:
    values = {weight.name: weight.numpy() for weight in source.weights}
    for weight in target.weights:
        value = values[weight.name]
        for axis, places in _axes_of(weight.name, value.shape, units, channels).items():
            value = np.take(value, places, axis)
        weight.assign(value)


def _copy_gate(model: Lsm2oe, small: Lsm2oe, kept: list[int]) -> None:
    for layer in model.gate.layers:
        values = layer.get_weights()
        if layer.name in ("choice", "choice_norm", "mixing", "noise"):
            split = [value.reshape(*value.shape[:-1], -1, model.config.experts)[..., kept] for value in values]
            values = [value.reshape(*value.shape[:-2], -1) for value in split]
        small.gate.get_layer(layer.name).set_weights(values)


def _silence_part(part: keras.Model, units: Array, blocks: tuple[int, ...], channels: int) -> None:
    """Set what makes the removed channels to 0, and what removed blocks add."""
    stays = np.isin(np.arange(channels), _channels_of(units, channels))
    within = np.isin(np.arange(channels // SUBSETS), _channels_of(units, channels, 1))
    for layer in part.layers:
        gone = any(layer.name.startswith(f"block{block}_") for block in blocks)
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, *rest = layer.get_weights()
            keep = stays & (not (gone and layer.name.endswith("_second_norm")))
            layer.set_weights([gamma * keep, beta * keep, *rest])
        if isinstance(layer, Msfgm):
            for convolution in layer.convolutions:
                convolution.set_weights([value * within for value in convolution.get_weights()])
            layer.fusion.set_weights([value * stays * (not gone) for value in layer.fusion.get_weights()])
        # The module adds its input to what it fuses; that has to be nothing as well.
        if gone and isinstance(layer, layers.BatchNormalization) and layer.name.endswith("_first_norm"):
            layer.set_weights([value * 0 for value in layer.get_weights()[:2]] + layer.get_weights()[2:])


def _unit_scores(expert: keras.Model) -> Array:
    """Worth of each unit of an expert: norms of its weights, relative to the mean of each layer, summed."""
    kernels = [(weight.name, weight.numpy()) for weight in expert.weights if "kernel" in weight.name]
    channels = next(value for name, value in kernels if name.startswith(("features/", "tasks/"))).shape[0]
    total = np.zeros(channels // UNIT)
    for name, value in kernels:
        norms = []
        for unit in range(channels // UNIT):
            axes = _axes_of(name, value.shape, np.array([unit]), channels)
            # What makes the unit and what reads it.
            parts = [np.take(value, places, axis) for axis, places in axes.items()]
            norms.append(np.sqrt(sum(float((part**2).sum()) for part in parts)))
        total += np.array(norms) / max(float(np.mean(norms)), 1e-12)
    return total


def _weakest_blocks(model: Lsm2oe, windows: Array, count: int) -> tuple[int, ...]:
    """Blocks whose output differs least from their shortcut, over all experts."""
    if count <= 0:
        return ()
    config = model.config
    numbers = [number for number in range(1, config.blocks + 1) if number not in config.removed]
    changes = np.zeros(len(numbers))
    shared = windows if model.bottom is None else np.asarray(model.bottom(windows, training=False))
    for expert in model.experts:
        outputs = [expert.get_layer(f"block{number}_{what}") for number in numbers for what in ("add", "relu")]
        tensors = [layer.input[1] if isinstance(layer, layers.Add) else layer.output for layer in outputs]
        found = keras.Model(expert.inputs, tensors)(shared[:_BATCH], training=False)
        for place in range(len(numbers)):
            before, after = np.asarray(found[2 * place]), np.asarray(found[2 * place + 1])
            changes[place] += ((after - before) ** 2).sum() / max(float((before**2).sum()), 1e-12)
    order = np.argsort(changes, kind="stable")[:count]
    return tuple(sorted(numbers[place] for place in order))
