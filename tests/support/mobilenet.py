"""A MobileNet as training with weight decay leaves it: filters died, and half of all MACs feed or come from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .tflite_builder import ModelBuilder

#: Channels and stride of each separable block at width 0.25.
BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *((128, 1),) * 5, (256, 2), (256, 1))


def mobilenet(
    size: int = 96, blocks: tuple[tuple[int, int], ...] = BLOCKS, dead: float = 0.15, classes: int = 2, seed: int = 9
) -> bytes:
    """Convolution, separable blocks (depthwise 3x3, pointwise), global average, dense layer, softmax.

    Parameters
    ----------
    size : int
        Height and width of the RGB input.
    blocks : tuple of (int, int)
        Channels and stride of each block.
    dead : float
        Share of filters that are all zero. A ReLU stopped them, so most of them give code -128, the zero point; some
        give another code, which only matters behind them.
    classes : int
        Outputs.
    seed : int
        Of weights, and of which filters are dead.
    """
    return _Writer(seed, dead).write(size, blocks, classes)


class _Writer:
    def __init__(self, seed: int, dead: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.dead = dead
        self.builder = ModelBuilder()

    def write(self, size: int, blocks: tuple[tuple[int, int], ...], classes: int) -> bytes:
        b = self.builder
        image = b.tensor((1, size, size, 3), scale=1 / 128, zero_point=0, name="image")
        x = self.layer("CONV_2D", image, (8, 3, 3, 3), 2, 0)
        for filters, stride in blocks:
            channels = b.shape(x)[3]
            x = self.layer("DEPTHWISE_CONV_2D", x, (1, 3, 3, channels), stride, -128)
            x = self.layer("CONV_2D", x, (filters, 1, 1, channels), 1, -128)
        channels = b.shape(x)[3]
        mean = b.tensor((1, channels), scale=0.02, zero_point=-128, name="mean")
        b.operator("MEAN", [x, b.constant([1, 2])], [mean], keep_dims=False)
        scores = b.tensor((1, classes), scale=0.1, zero_point=0, name="scores")
        w = b.tensor((classes, channels), scale=0.01, data=self.rng.integers(-127, 128, (classes, channels)))
        b.operator("FULLY_CONNECTED", [mean, w, None], [scores], activation="NONE")
        result = b.tensor((1, classes), scale=1 / 256, zero_point=-128, name="classes")
        b.operator("SOFTMAX", [scores], [result], beta=1.0)
        return b.build([image], [result])

    def layer(self, op: str, x: int, shape: tuple[int, ...], stride: int, zero_point: int) -> int:
        """A layer with ReLU whose filters are partly dead."""
        rng, b = self.rng, self.builder
        _, height, width, _ = b.shape(x)
        axis = 3 if op == "DEPTHWISE_CONV_2D" else 0
        filters = shape[axis]
        dead = rng.random(filters) < self.dead
        weights = rng.integers(-127, 128, shape)
        bias = rng.integers(-1500, 1500, filters)
        weights[(..., dead) if axis else dead] = 0
        # A stopped filter has a bias below zero, but for one in eight.
        bias[dead] = np.where(rng.integers(8, size=dead.sum()) == 0, 1, -1) * np.abs(bias[dead])
        scales = rng.uniform(0.5, 1.5, filters) * 0.02 / np.sqrt(np.prod(shape) / filters)
        source = 1 / 128 if not zero_point else 0.02
        out = b.tensor((1, -(-height // stride), -(-width // stride), filters), scale=0.02, zero_point=-128)
        operands = [
            x,
            b.tensor(shape, scale=scales, axis=axis, data=weights),
            b.tensor((filters,), "int32", scale=scales * source, data=bias),
        ]
        options: dict[str, Any] = {"depth_multiplier": 1} if axis else {}
        b.operator(op, operands, [out], stride_h=stride, stride_w=stride, padding="SAME", activation="RELU", **options)
        return out
