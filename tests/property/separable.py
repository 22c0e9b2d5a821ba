"""Problems of a depthwise convolution with a pointwise one behind it, and a pooling of two behind that."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Self

import numpy as np
from support.tflite_builder import ModelBuilder

from .problem import Ports, codes
from .windows import DepthwiseConv2D


@dataclasses.dataclass(frozen=True, kw_only=True)
class Separable(DepthwiseConv2D):
    """DEPTHWISE_CONV_2D, CONV_2D of one pixel and, along one axis or not at all, MAX_POOL_2D.

    Attributes
    ----------
    outputs : int
        Filters of the pointwise convolution.
    pool : (int, int)
        Window and stride of the pooling, (vertical, horizontal); (1, 1) for none.
    """

    outputs: int
    pool: tuple[int, int]

    @classmethod
    def random(cls, random: Random) -> Self:
        channels, multiplier = random.choice([1, 2, 3, 4, 4, 5, 8, 8, 12]), random.choice([1, 1, 1, 2, 3])
        window = cls.draw_window(random, dilated=random.randint(0, 2) == 0)
        return cls(
            channels=channels,
            filters=channels * multiplier,
            multiplier=multiplier,
            outputs=random.choice([1, 2, 3, 4, 7, 8, 16]),
            pool=random.choice([(1, 1), (2, 1), (1, 2)]),
            **(window | {"batch": 1}),
            **cls.draw_weights(random),
        )

    def add_to(self, builder: ModelBuilder) -> Ports:
        ports = super().add_to(builder)
        state, q = self.state(3), 2.0 ** self.state(4).uniform(-9.0, -5.0, self.outputs)
        batch, height, width, _ = self.output_shape(self.filters)
        scales = (q if self.per_channel else q[:1]).astype(np.float32)
        weights = codes(state, (self.outputs, 1, 1, self.filters))
        w = builder.tensor(weights.shape, scale=scales, zero_point=0, axis=0, data=weights)
        bias = state.randint(-9000, 9000, self.outputs)
        b = builder.tensor((self.outputs,), "int32", scale=np.float32(self.output_scale()) * scales, data=bias)
        scale = float(np.float32(self.output_scale() * 2.0**-7 * 74 * 74 * np.sqrt(self.filters) / 64))
        zero_point = int(state.randint(-128, 128))
        activation = ("NONE", "RELU", "RELU6")[state.randint(3)]
        y = builder.tensor((batch, height, width, self.outputs), scale=scale, zero_point=zero_point)
        operands = [*ports.outputs, w, *([b] if self.bias else [])]
        builder.operator("CONV_2D", operands, [y], padding="SAME", activation=activation, stride_h=1, stride_w=1)
        if self.pool == (1, 1):
            return Ports(ports.inputs, [y])
        shape = (batch, -(-height // self.pool[0]), -(-width // self.pool[1]), self.outputs)
        pooled = builder.tensor(shape, scale=scale, zero_point=zero_point)
        window = {name: self.pool[axis] for axis in (0, 1) for name in (f"filter_{'hw'[axis]}", f"stride_{'hw'[axis]}")}
        builder.operator("MAX_POOL_2D", [y], [pooled], padding="SAME", activation="NONE", **window)
        return Ports(ports.inputs, [pooled])
