"""Problems of a convolution and the max-pooling of two behind it, which targets with a kernel for both fuse."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Self

import numpy as np
from support.tflite_builder import ModelBuilder

from .problem import Array, Ports
from .windows import Conv2D

#: Pooling of two by rows or by columns.
_POOLS = ((2, 1), (1, 2))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvMaxPool(Conv2D):
    """CONV_2D and MAX_POOL_2D along one axis, of shapes that convolution kernels treat apart.

    Attributes
    ----------
    pool : (int, int)
        Window and stride of the pooling, (vertical, horizontal).
    extreme : bool
        Weights are only the ends of their range: sums grow largest, and pairs of -128 leave no room in a lane.
    spread : float
        Channels' scales differ by up to this power of two from the middle: shifts in both directions.
    """

    pool: tuple[int, int]
    extreme: bool
    spread: float

    @classmethod
    def random(cls, random: Random) -> Self:
        window = cls.draw_window(random, dilated=random.randint(0, 3) == 0)
        shape = random.choice(["any", "any", "pixel", "long", "wide"])
        if shape == "pixel":
            window |= {"kernel": (1, 1), "dilation": (1, 1)}
        elif shape != "any":
            taps, stride, dilation = random.randint(1, 9), random.choice([1, 1, 2]), random.choice([1, 1, 2])
            sizes = {"size": (random.randint(18, 40), random.randint(1, 5)), "kernel": (taps, 1)}
            sizes |= {"stride": (stride, 1), "dilation": (dilation, 1)}
            window |= sizes if shape == "long" else {key: pair[::-1] for key, pair in sizes.items()}
        return cls(
            channels=random.choice([1, 1, 2, 3, 4, 4, 5, 8, 8, 12, 16, random.randint(1, 40)]),
            filters=random.choice([1, 2, 3, 4, 5, 8, 16]),
            pool=random.choice(_POOLS),
            extreme=random.randint(0, 3) == 0,
            spread=random.choice([2.0, 2.0, 0.0, 10.0]),
            **window,
            **cls.draw_weights(random),
        )

    def weight_scales(self) -> Array:
        count = self.filters if self.per_channel else 1
        spread = self.state(1).uniform(-self.spread, self.spread, size=count)
        return (self.q_w.scale * 2.0 ** (spread.round() if self.dyadic else spread)).astype(np.float32)

    def weights(self, state: np.random.RandomState) -> Array:
        if not self.extreme:
            return super().weights(state)
        return state.choice(np.array([-128, -128, 127], np.int8), size=self.weight_shape)

    def add_to(self, builder: ModelBuilder) -> Ports:
        ports = super().add_to(builder)
        batch, height, width, channels = self.output_shape(self.filters)
        shape = (batch, -(-height // self.pool[0]), -(-width // self.pool[1]), channels)
        pooled = builder.tensor(shape, scale=self.output_scale(), zero_point=self.zero_point_out)
        window = {
            "filter_h": self.pool[0],
            "filter_w": self.pool[1],
            "stride_h": self.pool[0],
            "stride_w": self.pool[1],
        }
        builder.operator("MAX_POOL_2D", ports.outputs, [pooled], padding="SAME", activation="NONE", **window)
        return Ports(ports.inputs, [pooled])
