"""Structured pruning: whole filters leave the network, with every weight that reads them.

Units (:mod:`.channels`) are ranked within the layers that make them, the weakest go, and a smaller model is built from
the weights that are left. Nothing is approximated: the smaller network equals the large one in which the removed
units are silenced, to the rounding of float32. What a unit was worth is made good by training afterwards.

Sources: Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017 (norms); Liu et al., "Learning Efficient
Convolutional Networks through Network Slimming", ICCV 2017 (gamma of batch normalization).
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from .channels import ChannelMap, is_maker, map_channels
from .errors import PruneError
from .graph import Layer, copy_model, producers_of

CRITERIA = ("l1", "l2", "gamma")
layers = keras.layers


def prune_filters(model: keras.Model, share: float, *, criterion: str = "l2") -> keras.Model:
    """Remove a share of the filters of every layer and build the smaller network.

    Parameters
    ----------
    model
        See :func:`.channels.map_channels`; the given one is left as it was. Fold it first
        (:func:`.fold.fold_shortcuts`): filters inside a linear chain cost nothing once it is folded.
    share : float
        Of the units of each layer, or of layers tied by an addition, above 0 and below 1; at least one unit stays.
    criterion : str
        "l1" or "l2": norm of the filter, relative to its layer's mean, summed over tied layers; "gamma": scale of the
        batch normalization behind it, where there is none the L2 norm.

    Returns
    -------
    keras.Model

    Raises
    ------
    PruneError
        Share or criterion out of range, or a network that pruning cannot follow.
    """
    return remove_units(model, weakest_units(model, share, criterion=criterion))


def weakest_units(model: keras.Model, share: float, *, criterion: str = "l2") -> set[int]:
    """Return the units that :func:`prune_filters` would remove."""
    if criterion not in CRITERIA:
        raise PruneError(f"criterion must be one of {list(CRITERIA)}, got {criterion!r}")
    if not 0 < share < 1:
        raise PruneError(f"the share of filters to remove must be above 0 and below 1, got {share!r}")
    channels = map_channels(model)
    scores = _scores(model, channels, criterion)
    chosen: set[int] = set()
    for units in channels.groups().values():
        # Halves go up, so that 25 % of 2 channels is one; the last unit of a layer always stays.
        count = min(int(share * len(units) + 0.5), len(units) - 1)
        chosen.update(sorted(units, key=lambda unit: (scores[unit], unit))[:count])
    return chosen


def silence_units(model: keras.Model, units: set[int]) -> keras.Model:
    """Return a copy of the same size in which the channels of some units are 0 everywhere."""
    channels = map_channels(model)
    _check_units(channels, units)
    silent = copy_model(model)
    for layer in silent.layers:
        gone = np.isin(channels.outputs[layer.name], list(units))
        values = layer.get_weights()
        if type(layer) is layers.DepthwiseConv2D:
            kernel = values[0].reshape(*values[0].shape[:2], -1).copy()
            kernel[..., gone] = 0
            values[0] = kernel.reshape(values[0].shape)
            values[1:] = [np.where(gone, 0, value) for value in values[1:]]
        elif isinstance(layer, layers.BatchNormalization):
            # Mean 0 too: where there is no gamma, nothing minus the mean must stay nothing.
            names = [weight.name for weight in layer.weights]
            values = [value if "variance" in name else np.where(gone, 0, value)
                      for name, value in zip(names, values, strict=True)]  # fmt: skip
        else:
            values = [np.where(gone, 0, value) for value in values]
        layer.set_weights(values)
    return silent


def remove_units(model: keras.Model, units: set[int]) -> keras.Model:
    """Build the network without some units; weights of the rest are copied.

    Parameters
    ----------
    model
        Left as it was.
    units : set of int
        Keys of `makers` in the model's :class:`.channels.ChannelMap`.

    Raises
    ------
    PruneError
        A unit that there is not or that has to stay, or a layer that would lose all its filters.
    """
    channels = map_channels(model)
    _check_units(channels, units)
    keep = {name: ~np.isin(ids, list(units)) for name, ids in channels.outputs.items()}
    outputs: dict[str, object] = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            outputs[layer.name] = layers.Input(layer.input_shape[0][1:], name=layer.name)
            continue
        sources = producers_of(layer)
        copy = _smaller(layer, keep[layer.name])
        inputs = [outputs[source.name] for source in sources]
        outputs[layer.name] = copy(inputs[0] if len(inputs) == 1 else inputs)
        copy.set_weights(_kept_weights(layer, keep[sources[0].name], keep[layer.name]))
    return keras.Model(
        [outputs[tensor.node.layer.name] for tensor in model.inputs],
        [outputs[tensor.node.layer.name] for tensor in model.outputs],
        name=model.name,
    )


def _check_units(channels: ChannelMap, units: set[int]) -> None:
    for unit in units:
        if unit not in channels.makers:
            raise PruneError(f"unit {unit} cannot be removed; removable are {len(channels.makers)} units of the model")
    for names, members in channels.groups().items():
        if units.issuperset(members):
            raise PruneError(f"layer '{names[0]}' would lose all its {len(members)} filters; at least 1 has to stay")


def _smaller(layer: Layer, keep: np.ndarray) -> Layer:
    config = layer.get_config()
    if is_maker(layer):
        config["units" if isinstance(layer, layers.Dense) else "filters"] = int(keep.sum())
    return type(layer).from_config(config)


def _kept_weights(layer: Layer, keep_in: np.ndarray, keep_out: np.ndarray) -> list[np.ndarray]:
    values = layer.get_weights()
    if is_maker(layer):
        return [values[0][..., keep_in, :][..., keep_out], *(bias[keep_out] for bias in values[1:])]
    if type(layer) is layers.DepthwiseConv2D:
        return [values[0][:, :, keep_in], *(bias[keep_out] for bias in values[1:])]
    return [value[keep_out] for value in values]


def _scores(model: keras.Model, channels: ChannelMap, criterion: str) -> dict[int, float]:
    """Worth of every unit; comparable within the units of the same layers."""
    norms = {layer.name: _norms(layer, criterion) for layer in model.layers if is_maker(layer)}
    scores = {
        unit: float(sum(norms[name][place] for name, place in makers)) for unit, makers in channels.makers.items()
    }
    if criterion != "gamma":
        return scores
    gammas: dict[int, float] = {}
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization) and layer.scale:
            for unit, gamma in zip(channels.outputs[layer.name].tolist(), layer.gamma.numpy(), strict=True):
                gammas[unit] = gammas.get(unit, 0.0) + abs(float(gamma))
    return scores | {unit: gamma for unit, gamma in gammas.items() if unit in scores}


def _norms(layer: Layer, criterion: str) -> np.ndarray:
    """Norm of each filter over the mean of its layer, so that tied layers weigh alike."""
    kernel = np.asarray(layer.get_weights()[0], np.float64)
    kernel = kernel.reshape(-1, kernel.shape[-1])
    norms = np.abs(kernel).sum(axis=0) if criterion == "l1" else np.sqrt((kernel**2).sum(axis=0))
    mean = norms.mean()
    return norms / mean if mean > 0 else norms
