"""Networks of known kinds, with random weights: what people run besides the models that the compiler was tuned on.

A MobileNet (depthwise 3x3, strides, dead filters), a fully connected autoencoder, 1-D convolutional networks with
dilation, residual and inception-like ones, each in any width and length. Scales are chosen so that codes stay spread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from support.tflite_builder import ModelBuilder
from thumbnet.codegen.quantized_math import output_size

from .graphs import Draft, Live, add_head
from .problem import Q

Pair = tuple[int, int]


class Network(Draft):
    """A draft whose layers are chosen, not drawn; weights come from `seed`."""

    def __init__(self, shape: Sequence[int], seed: int) -> None:
        super().__init__(ModelBuilder(), (1, *shape), Q(0.03125, -5))
        self.state = np.random.RandomState(seed)

    def conv(self, x: Live, filters: int, kernel: Pair, *, stride: Pair = (1, 1), dilation: Pair = (1, 1),
             padding: str = "SAME", activation: str = "RELU", dead: float = 0.0) -> Live:  # fmt: skip
        """CONV_2D with a share of `dead` filters, all zero."""
        weights = self._weights((filters, *kernel, x.shape[3]))
        weights[: round(filters * dead)] = 0
        options = {"stride": stride, "dilation": dilation, "padding": padding, "activation": activation}
        return self._window(x, "CONV_2D", weights, filters, kernel, 0, **options)

    def depthwise(self, x: Live, kernel: Pair, *, stride: Pair = (1, 1), dilation: Pair = (1, 1),
                  padding: str = "SAME", activation: str = "RELU", multiplier: int = 1) -> Live:  # fmt: skip
        """DEPTHWISE_CONV_2D."""
        filters = x.shape[3] * multiplier
        weights = self._weights((1, *kernel, filters))
        options = {"stride": stride, "dilation": dilation, "padding": padding, "activation": activation}
        return self._window(x, "DEPTHWISE_CONV_2D", weights, filters, kernel, 3, depth_multiplier=multiplier, **options)

    def pool(self, x: Live, op: str, window: Pair) -> Live:
        """Pooling without overlap."""
        lengths = tuple(output_size("SAME", x.shape[1 + axis], window[axis], window[axis]) for axis in (0, 1))
        sizes = {"stride_h": window[0], "stride_w": window[1], "filter_h": window[0], "filter_w": window[1]}
        shape = (1, *lengths, x.shape[3])
        return self.add(op, [x.index], shape, x.q, padding="SAME", activation="NONE", **sizes)

    def join(self, x: Live, y: Live, activation: str = "RELU") -> Live:
        """ADD."""
        q = Q(max(x.q.scale, y.q.scale) * 1.4, self._zero_point(activation))
        return self.add("ADD", [x.index, y.index], x.shape, q, activation=activation)

    def concatenate(self, parts: Sequence[Live]) -> Live:
        """CONCATENATION of channels, brought to one scale first."""
        q = parts[0].q
        same = [part if part.q == q else self.add("QUANTIZE", [part.index], part.shape, q) for part in parts]
        shape = (*parts[0].shape[:3], sum(part.shape[3] for part in parts))
        return self.add("CONCATENATION", [part.index for part in same], shape, q, axis=3, activation="NONE")

    def dense(self, x: Live, units: int, activation: str = "RELU") -> Live:
        """FULLY_CONNECTED with a bias."""
        weights = self._weights((units, x.shape[-1]))
        w, bias, scale = self._constants(x, weights, 0)
        q = self._output(x, scale, x.shape[-1], activation)
        return self.add("FULLY_CONNECTED", [x.index, w, bias], (1, units), q, activation=activation)

    def finish(self, x: Live) -> bytes:
        """Global average, dense layer, softmax; the file."""
        add_head(self, x, self.state)
        return self.build()

    def build(self) -> bytes:
        """The file; unread tensors are its outputs."""
        return self.builder.build([self.input], self.unread())

    def _window(self, x: Live, op: str, weights: np.ndarray, filters: int, kernel: Pair, axis: int, *, stride: Pair,
                dilation: Pair, padding: str, activation: str, **options: int) -> Live:  # fmt: skip
        w, bias, scale = self._constants(x, weights, axis)
        spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
        lengths = tuple(output_size(padding, x.shape[1 + i], spans[i], stride[i]) for i in (0, 1))
        taps = weights.size // filters
        q = self._output(x, scale, taps, activation)
        sizes = {"stride_h": stride[0], "stride_w": stride[1], "dilation_h": dilation[0], "dilation_w": dilation[1]}
        shape = (1, *lengths, filters)
        return self.add(op, [x.index, w, bias], shape, q, padding=padding, activation=activation, **sizes, **options)

    def _weights(self, shape: Sequence[int]) -> np.ndarray:
        return np.clip(np.round(self.state.normal(0, 45, tuple(shape))), -127, 127).astype(np.int8)

    def _constants(self, x: Live, weights: np.ndarray, axis: int) -> tuple[int, int, np.ndarray]:
        filters = weights.shape[axis]
        scale = 2.0**-8 * 2.0 ** self.state.uniform(-0.5, 0.5, filters)
        w = self.builder.tensor(weights.shape, scale=scale, axis=axis, data=weights)
        bias = self.state.randint(-2000, 2000, filters)
        b = self.builder.tensor((filters,), "int32", scale=np.float32(x.q.scale) * scale, data=bias)
        return w, b, scale

    def _output(self, x: Live, scale: np.ndarray, taps: int, activation: str) -> Q:
        spread = 45.0 if activation == "NONE" else 25.0
        return Q(
            float(np.float32(x.q.scale * float(scale.mean()) * spread * np.sqrt(taps))), self._zero_point(activation)
        )

    @staticmethod
    def _zero_point(activation: str) -> int:
        return -128 if activation.startswith("RELU") else 3


def mobilenet(size: int = 24, width: int = 8, blocks: Sequence[Pair] = ((16, 1), (32, 2), (32, 1), (64, 2)),
              dead: float = 0.0, seed: int = 1) -> bytes:  # fmt: skip
    """A MobileNet v1: 3x3 stride 2, then pairs of depthwise 3x3 (its stride) and pointwise (its filters)."""
    net = Network((size, size, 3), seed)
    x = net.conv(net.live[0], width, (3, 3), stride=(2, 2), activation="RELU6", dead=dead)
    for filters, stride in blocks:
        x = net.depthwise(x, (3, 3), stride=(stride, stride), activation="RELU6")
        x = net.conv(x, filters, (1, 1), activation="RELU6", dead=dead)
    return net.finish(x)


def autoencoder(widths: Sequence[int] = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640), seed: int = 2) -> bytes:
    """Fully connected layers, the last one linear."""
    net = Network((widths[0],), seed)
    x = net.live[0]
    for position, units in enumerate(widths[1:], start=2):
        x = net.dense(x, units, "RELU" if position < len(widths) else "NONE")
    return net.build()


def tcn(length: int = 100, channels: int = 16, kernel: int = 3, dilations: Sequence[int] = (1, 2, 4, 8),
        inputs: int = 1, seed: int = 3) -> bytes:  # fmt: skip
    """A temporal convolutional network along the width: dilated convolutions, each with its residual."""
    net = Network((1, length, inputs), seed)
    x = net.conv(net.live[0], channels, (1, 1), activation="NONE")
    for dilation in dilations:
        y = net.conv(x, channels, (1, kernel), dilation=(1, dilation))
        x = net.join(x, net.conv(y, channels, (1, 1), activation="NONE"))
    return net.finish(x)


def separable(length: int = 101, channels: Sequence[int] = (8, 16, 32), kernel: int = 5, rows: int = 2,
              dilation: int = 1, seed: int = 4) -> bytes:  # fmt: skip
    """Depthwise and pointwise pairs with pooling of two, several signals as rows."""
    net = Network((rows, length, 1), seed)
    x = net.conv(net.live[0], channels[0], (1, kernel))
    for filters in channels:
        x = net.depthwise(x, (1, kernel), dilation=(1, dilation), activation="NONE")
        x = net.pool(net.conv(x, filters, (1, 1)), "MAX_POOL_2D", (1, 2))
    return net.finish(x)


def residual(
    length: int = 75, widths: Sequence[int] = (8, 16, 24), kernel: int = 7, inputs: int = 3, seed: int = 5
) -> bytes:
    """A 1-D ResNet along the height: two convolutions, strides of two, a shortcut of 1x1."""
    net = Network((length, 1, inputs), seed)
    x = net.conv(net.live[0], widths[0], (kernel, 1), stride=(2, 1))
    for width in widths:
        y = net.conv(x, width, (kernel, 1), stride=(2, 1))
        y = net.conv(y, width, (kernel, 1), activation="NONE")
        x = net.join(net.conv(x, width, (1, 1), stride=(2, 1), activation="NONE"), y)
    return net.finish(x)


def inception(
    length: int = 63, channels: int = 8, kernels: Sequence[int] = (3, 5, 9), depth: int = 2, seed: int = 6
) -> bytes:
    """Branches of several kernels and a pooled one, side by side."""
    net = Network((1, length, 4), seed)
    x = net.live[0]
    for _ in range(depth):
        narrow = net.conv(x, channels, (1, 1))
        parts = [net.conv(narrow, channels, (1, kernel)) for kernel in kernels]
        x = net.pool(net.concatenate([*parts, narrow]), "AVERAGE_POOL_2D", (1, 2))
    return net.finish(x)


def small_networks() -> dict[str, bytes]:
    """One of each kind and each oddity, small enough to build for every runtime."""
    found = {
        "mobilenet": mobilenet(12, 8, ((16, 1), (24, 2)), dead=0.25),
        "mobilenet_odd": mobilenet(11, 5, ((10, 2), (7, 1)), seed=11),
        "autoencoder": autoencoder((40, 16, 8, 3, 16, 40)),
        "autoencoder_odd": autoencoder((37, 13, 5, 37), seed=12),
        "inception": inception(),
        "residual": residual(),
        "residual_odd": residual(53, (5, 9), 3, 1, seed=15),
        "separable_dilated": separable(61, (4, 8), 3, 1, dilation=2, seed=16),
    }
    for kernel, channels, length in ((3, 1, 40), (5, 2, 33), (7, 12, 51), (9, 64, 37), (3, 33, 64)):
        found[f"tcn_k{kernel}_c{channels}"] = tcn(length, channels, kernel, seed=kernel * channels)
        found[f"separable_k{kernel}_c{channels}"] = separable(length, (channels, channels + 1), kernel, seed=kernel)
    return found
