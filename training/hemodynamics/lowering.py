"""Rewrite a part of LSM2oE into layers of one operator each, as int8 files have them; the function stays the same.

- Convolution, normalisation and ReLU become one convolution; a dense layer takes up the normalisation behind it.
- A multi-scale module becomes slices, convolutions, products and sums. Its spatial attention is written so that all
  that happens at every sample is one product and one sum (symbols of :mod:`.attention`)::

      z_g(t) = rho_g * m_g(t) + delta_g,    rho_g = 1 / sqrt(k_g^2 (var_g + eps)),
      m_g(t) = sum_j (gamma_gj w2_g / 2) k_g b_j(t),    delta_g = w2_g mean_j beta_gj + b2_g - rho_g * (its m of mu_g)

  k_g is any positive number: normalisation takes it out again. With ``k = 1 / typical deviation``
  (:func:`equalisers`) the variances of all groups are near 1 and share one int8 scale.
- Functions of tanh and sigmoid are layers of their own, behind the logits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tf_keras as keras

from ..errors import ModelError
from .attention import EPSILON, HALF
from .config import GROUP, SUBSETS
from .msfgm import TAPS, Msfgm, Regroup
from .rows import Mean, Rsqrt, Slice, SquaredDifference

VARIANCE = "_variance"
_ACTIVATIONS = (keras.activations.sigmoid, keras.activations.tanh)
layers = keras.layers


def lower(model: keras.Model, equal: Mapping[str, np.ndarray] | None = None) -> keras.Model:
    """Return an equal model of simple layers, its weights copied.

    Parameters
    ----------
    model : keras.Model
        The gate, bottom, an expert or the towers.
    equal : mapping of str to numpy.ndarray, optional
        k of each group, by the name of the module; 1 where a module is missing.

    Raises
    ------
    ModelError
        When a normalisation does not stand behind a convolution.
    """
    return _Lowering(model, equal or {}).run()


def equalisers(lowered: keras.Model, windows: np.ndarray) -> dict[str, np.ndarray]:
    """Find k for every group of a model that was lowered without: 1 / root of its mean variance over windows.

    Parameters
    ----------
    lowered : keras.Model
        From :func:`lower`.
    windows : numpy.ndarray
        What it takes, shape (N, ...).

    Returns
    -------
    dict of str to numpy.ndarray
        float32, shape (groups,), by the name of the module.
    """
    names = [layer.name for layer in lowered.layers if layer.name.endswith(VARIANCE)]
    if not names:
        return {}
    probe = keras.Model(lowered.inputs, [lowered.get_layer(name).output for name in names])
    sums = [0.0] * len(names)
    for start in range(0, len(windows), 64):
        found = probe(windows[start : start + 64], training=False)
        found = found if isinstance(found, list) else [found]
        sums = [total + np.asarray(value).sum(axis=(0, 1, 2)) for total, value in zip(sums, found, strict=True)]
    means = [np.maximum(total / max(len(windows), 1), EPSILON) for total in sums]
    return {name.removesuffix(VARIANCE): (1 / np.sqrt(mean)).astype(np.float32)
            for name, mean in zip(names, means, strict=True)}  # fmt: skip


class _Lowering:
    """One rewrite: layer by layer, in the model's order."""

    def __init__(self, model: keras.Model, equal: Mapping[str, np.ndarray]) -> None:
        self.model, self.equal = model, equal
        self.outputs: dict[str, Any] = {}
        self.rules: dict[type, Callable[[Any, list[Any]], Any]] = {
            layers.BatchNormalization: self._norm,
            Msfgm: self._msfgm,
            Regroup: self._regroup,
        }

    def run(self) -> keras.Model:
        for layer in self.model.layers:
            if isinstance(layer, layers.InputLayer):
                self.outputs[layer.name] = layers.Input(layer.input_shape[0][1:], name=layer.name)
                continue
            inbound = layer.inbound_nodes[0].inbound_layers
            sources = [self.outputs[source.name] for source in (inbound if isinstance(inbound, list) else [inbound])]
            self.outputs[layer.name] = self.rules.get(type(layer), self._copy)(layer, sources)
        return keras.Model(
            [self.outputs[tensor.node.layer.name] for tensor in self.model.inputs],
            [self.outputs[tensor.node.layer.name] for tensor in self.model.outputs],
            name=self.model.name,
        )

    def _copy(self, layer: Any, sources: list[Any]) -> Any:
        if isinstance(layer, layers.ReLU) and isinstance(
            layer.inbound_nodes[0].inbound_layers, layers.BatchNormalization
        ):
            return sources[0]
        config = layer.get_config()
        activation = getattr(layer, "activation", None)
        apart = activation in _ACTIVATIONS and not isinstance(layer, layers.Activation)
        if apart:
            config |= {"activation": "linear", "name": f"{layer.name}_logits"}
        output = _apply(type(layer).from_config(config), sources, layer.get_weights())
        return layers.Activation(activation, name=layer.name)(output) if apart else output

    def _norm(self, layer: Any, sources: list[Any]) -> Any:
        """Fold into the layer in front, which is made anew."""
        maker = layer.inbound_nodes[0].inbound_layers
        if type(maker) not in (layers.Conv2D, layers.Dense):
            raise ModelError(f"normalisation '{layer.name}' must stand behind a convolution, got '{maker.name}'")
        values = {weight.name.split("/")[-1].split(":")[0]: weight.numpy() for weight in layer.weights}
        factor = values.get("gamma", 1.0) / np.sqrt(values["moving_variance"].astype(np.float64) + layer.epsilon)
        kernel, *bias = maker.get_weights()
        start = bias[0] if bias else 0.0
        reader = layer.outbound_nodes[0].layer if len(layer.outbound_nodes) == 1 else None
        relu = isinstance(reader, layers.ReLU)
        config = maker.get_config() | {"use_bias": True, "activation": "relu" if relu else "linear"}
        source = self.outputs[maker.inbound_nodes[0].inbound_layers.name]
        weights = [kernel * factor, values.get("beta", 0.0) + (start - values["moving_mean"]) * factor]
        return _apply(type(maker).from_config(config), [source], weights)

    def _regroup(self, layer: Any, sources: list[Any]) -> Any:
        _, _, samples, channels = layer.input_shape
        hidden = layers.Reshape((samples, channels // GROUP, GROUP), name=f"{layer.name}_groups")(sources[0])
        hidden = layers.Permute((1, 3, 2), name=f"{layer.name}_transpose")(hidden)
        return layers.Reshape((1, samples, channels), name=layer.name)(hidden)

    def _msfgm(self, layer: Any, sources: list[Any]) -> Any:
        name, inputs = layer.name, sources[0]
        _, _, samples, channels = layer.input_shape
        width, ranks = channels // SUBSETS, channels // GROUP // SUBSETS
        quads = layers.Reshape((samples, GROUP, channels // GROUP), name=f"{name}_quads")(inputs)
        parts = []
        for s in range(SUBSETS):
            part = Slice(s * ranks, (s + 1) * ranks, name=f"{name}_slice{s + 1}")(quads)
            parts.append(layers.Reshape((1, samples, width), name=f"{name}_subset{s + 1}")(part))
        gates = _apply(layers.Conv2D(SUBSETS - 2, 1, name=f"{name}_gate_logits"), [inputs], layer.gate.get_weights())
        gates = layers.Activation("sigmoid", name=f"{name}_gates")(gates)
        # A copy with a scale of its own: in int8 the scales that are joined below must be one.
        outputs = [_scale(parts[0], np.ones(width, np.float32), None, f"{name}_scale1")]
        for s, convolution in enumerate(layer.convolutions, start=1):
            part = parts[s]
            if s > 1:
                gate = Slice(s - 2, s - 1, name=f"{name}_gate{s + 1}")(gates)
                heard = layers.Multiply(name=f"{name}_heard{s + 1}")([outputs[-1], gate])
                part = layers.Add(name=f"{name}_sum{s + 1}")([part, heard])
            copy = layers.Conv2D(width, (1, TAPS), padding="same", name=f"{name}_convolution{s + 1}")
            outputs.append(_apply(copy, [part], convolution.get_weights()))
        joined = layers.Concatenate(name=f"{name}_scales")(outputs)
        fused = _apply(layers.Conv2D(channels, 1, name=f"{name}_fusion"), [joined], layer.fusion.get_weights())
        fused = layers.Add(name=f"{name}_residual")([fused, inputs])
        return self._attention(layer.attention, fused, name)

    def _attention(self, attention: Any, inputs: Any, name: str) -> Any:
        values = {weight.name.split("/")[-1].split(":")[0]: weight.numpy() for weight in attention.weights}
        _, _, samples, channels = inputs.shape
        half = channels // 2
        first = Slice(0, half, name=f"{name}_first")(inputs)
        average = Mean([2], name=f"{name}_average")(first)
        kernel = np.tile(values["channel_scale"], HALF)
        logits = _scale(average, kernel, np.tile(values["channel_bias"], HALF), f"{name}_channel_logits")
        weights = layers.Activation("sigmoid", name=f"{name}_channel_weights")(logits)
        first = layers.Multiply(name=f"{name}_by_channel")([first, weights])
        second = Slice(half, channels, name=f"{name}_second")(inputs)
        pairs = layers.Reshape((samples, HALF, half // HALF), name=f"{name}_pairs")(second)
        weights = layers.Activation("sigmoid", name=f"{name}_spatial_weights")(self._spatial(pairs, values, name))
        second = layers.Multiply(name=f"{name}_by_sample")([pairs, weights])
        second = layers.Reshape((1, samples, half), name=f"{name}_by_sample_rows")(second)
        return layers.Concatenate(name=f"{name}_attention")([first, second])

    def _spatial(self, pairs: Any, values: Mapping[str, np.ndarray], name: str) -> Any:
        """Return the logits z of the module's docstring, (batch, samples, 1, groups)."""
        groups = pairs.shape[-1]
        k = self.equal.get(name, np.ones(groups, np.float32))
        scaled = _scale(pairs, k, None, f"{name}_equal")
        mean = Mean([1, 2], name=f"{name}_mean")(scaled)
        squares = SquaredDifference(name=f"{name}_squares")([scaled, mean])
        variance = Mean([1, 2], name=f"{name}{VARIANCE}")(squares)
        ones = np.ones(groups, np.float32)
        rho = Rsqrt(name=f"{name}_rho")(_scale(variance, ones, EPSILON * k**2, f"{name}_epsilon"))
        kernel = values["gamma"] * values["spatial_scale"] / HALF
        mix = layers.DepthwiseConv2D((1, HALF), use_bias=False, name=f"{name}_mix")
        mixed = _apply(mix, [scaled], [kernel[None, :, :, None]])
        centre = _scale(mean, -kernel.sum(axis=0), None, f"{name}_centre")
        centre = layers.Multiply(name=f"{name}_centre_rho")([centre, rho])
        bias = values["spatial_scale"] * values["beta"].mean(axis=0) + values["spatial_bias"]
        delta = _scale(centre, ones, bias, f"{name}_delta")
        product = layers.Multiply(name=f"{name}_mix_rho")([mixed, rho])
        return layers.Add(name=f"{name}_spatial_logits")([product, delta])


def _apply(layer: Any, sources: list[Any], weights: list[np.ndarray]) -> Any:
    output = layer(sources[0] if len(sources) == 1 else sources)
    layer.set_weights(weights)
    return output


def _scale(inputs: Any, factors: np.ndarray, bias: np.ndarray | None, name: str) -> Any:
    """Scale each channel, and shift it where there is a bias: a depthwise convolution of one sample."""
    layer = layers.DepthwiseConv2D(1, use_bias=bias is not None, name=name)
    weights = [factors.reshape(1, 1, -1, 1)] + ([] if bias is None else [bias])
    return _apply(layer, [inputs], weights)
