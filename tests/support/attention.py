"""Networks whose reductions feed back, without Keras: residual blocks with channel attention, one in another."""

from __future__ import annotations

import numpy as np
from thumbnet.codegen.quantized_math import output_size

from .tflite_builder import ModelBuilder

_GATE = {"scale": 1 / 256, "zero_point": -128}


class AttentionNetwork:
    """Adds layers to the tensor that it holds; a signal of shape (1, 1, length, channels).

    Parameters
    ----------
    length, channels : int
        Of the input.
    reduction : str
        ``MEAN`` or ``REDUCE_MAX``: what the attention looks at.
    """

    def __init__(self, length: int, channels: int, *, reduction: str = "MEAN", seed: int = 1) -> None:
        self.net = ModelBuilder()
        self.state = np.random.RandomState(seed)
        self.reduction = reduction
        self.input = self.now = self.tensor((1, 1, length, channels))

    def tensor(self, shape: tuple[int, ...], scale: float = 0.05, zero_point: int = -3) -> int:
        """A tensor to be computed."""
        return self.net.tensor(shape, scale=scale, zero_point=zero_point)

    def weights(self, *shape: int) -> int:
        """Constant weights that keep codes spread."""
        fan = int(np.prod(shape[1:]))
        data = self.state.randint(-127, 128, size=shape)
        return self.net.tensor(shape, scale=0.02 / np.sqrt(fan), data=data.astype(np.int8))

    def conv(self, filters: int, kernel: int = 3, stride: int = 1, padding: str = "SAME", dilation: int = 1) -> int:
        """Convolution along time with a ReLU."""
        _, _, length, channels = self.net.shape(self.now)
        out = output_size(padding, length, kernel, stride, dilation)
        before, self.now = self.now, self.tensor((1, 1, out, filters), zero_point=-128)
        options = {"stride_h": 1, "stride_w": stride, "padding": padding, "activation": "RELU", "dilation_w": dilation}
        self.net.operator("CONV_2D", [before, self.weights(filters, 1, kernel, channels)], [self.now], **options)
        return self.now

    def pool(self, size: int = 2) -> int:
        """Maximum over neighbours."""
        _, _, length, channels = self.net.shape(self.now)
        before, self.now = self.now, self.net.tensor_like(self.now, (1, 1, -(-length // size), channels))
        window = {"filter_h": 1, "filter_w": size, "stride_h": 1, "stride_w": size, "padding": "SAME"}
        self.net.operator("MAX_POOL_2D", [before], [self.now], **window)
        return self.now

    def attention(self) -> int:
        """Scale every channel by a gate computed from its mean or maximum over time."""
        channels = self.net.shape(self.now)[3]
        features, flat, one = self.now, (1, channels), (1, 1, 1, channels)
        mean = self.net.tensor_like(features, flat)
        self.net.operator(self.reduction, [features, self.net.constant([1, 2])], [mean], keep_dims=False)
        hidden, gate = self.tensor((1, max(channels // 2, 1))), self.tensor(flat)
        self.net.operator("FULLY_CONNECTED", [mean, self.weights(max(channels // 2, 1), channels), None], [hidden])
        self.net.operator("FULLY_CONNECTED", [hidden, self.weights(channels, max(channels // 2, 1)), None], [gate])
        squashed, shaped = self.net.tensor(flat, **_GATE), self.net.tensor(one, **_GATE)
        self.net.operator("LOGISTIC", [gate], [squashed])
        self.net.operator("RESHAPE", [squashed, self.net.constant(one)], [shaped])
        self.now = self.tensor(tuple(self.net.shape(features)), 0.03)
        self.net.operator("MUL", [features, shaped], [self.now])
        return self.now

    def block(self, filters: int, stride: int = 1, kernel: int = 3) -> int:
        """Two convolutions with attention, around them a shortcut."""
        start = self.now
        self.conv(filters, kernel, stride)
        self.conv(filters, kernel)
        scaled = self.attention()
        self.now = start
        shortcut = self.conv(filters, 1, stride)
        self.now = self.tensor(tuple(self.net.shape(scaled)), 0.06)
        self.net.operator("ADD", [scaled, shortcut], [self.now], activation="RELU")
        return self.now

    def classifier(self, classes: int = 5) -> bytes:
        """Mean over time, a dense layer, softmax: the finished model."""
        channels = self.net.shape(self.now)[3]
        mean, dense = self.net.tensor_like(self.now, (1, channels)), self.tensor((1, classes))
        result = self.net.tensor((1, classes), **_GATE)
        self.net.operator("MEAN", [self.now, self.net.constant([1, 2])], [mean], keep_dims=False)
        self.net.operator("FULLY_CONNECTED", [mean, self.weights(classes, channels), None], [dense])
        self.net.operator("SOFTMAX", [dense], [result], beta=1.0)
        return self.net.build([self.input], [result])

    def model(self) -> bytes:
        """The model that ends here."""
        return self.net.build([self.input], [self.now])


def attention_resnet(length: int = 1500, blocks: int = 4, channels: int = 16) -> bytes:
    """A residual network for signals with attention in every block, halving time in each."""
    network = AttentionNetwork(length, 2)
    network.conv(channels, 7, 2)
    for _ in range(blocks):
        network.block(channels, 2)
    return network.classifier()
