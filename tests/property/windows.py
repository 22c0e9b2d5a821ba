"""Problems of the operators that slide a window: convolutions and pooling."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Self

import numpy as np
from support.tflite_builder import ModelBuilder
from thumbnet.codegen.quantized_math import output_size

from .problem import (
    Array,
    Ports,
    Problem,
    Q,
    codes,
    draw_activation,
    draw_q,
    draw_scale,
    draw_seed,
    draw_zero_point,
    snap,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Windowed(Problem):
    """Shapes of an operator that slides a window over an image, (vertical, horizontal)."""

    batch: int
    size: tuple[int, int]
    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: str
    activation: str

    @staticmethod
    def draw_window(random: Random, *, dilated: bool, most: int = 13) -> dict[str, object]:
        padding = random.choice(["SAME", "VALID"])
        one_dimensional = random.randint(0, 2) == 0
        kernel = (1 if one_dimensional else random.randint(1, 5), random.randint(1, 5))
        # Strided and dilated at once is legal here, though TensorFlow's own layers refuse it.
        dilation = (random.randint(1, 3), random.randint(1, 3)) if dilated else (1, 1)
        least = [(kernel[axis] - 1) * dilation[axis] + 1 if padding == "VALID" else 1 for axis in range(2)]
        return {
            "batch": random.choice([1, 1, 1, 2]),
            "size": (random.randint(least[0], least[0] + most), random.randint(least[1], least[1] + most)),
            "kernel": kernel,
            "stride": (random.randint(1, 3), random.randint(1, 3)),
            "dilation": dilation,
            "padding": padding,
            "activation": draw_activation(random),
        }

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, *self.size, self.channels)

    def output_shape(self, channels: int) -> tuple[int, ...]:
        lengths = (
            output_size(self.padding, *numbers)
            for numbers in zip(self.size, self.kernel, self.stride, self.dilation, strict=True)
        )
        return (self.batch, *lengths, channels)

    def window_options(self) -> dict[str, object]:
        return {
            "padding": self.padding,
            "stride_h": self.stride[0],
            "stride_w": self.stride[1],
            "activation": self.activation,
        }

    def inputs(self) -> list[Array]:
        return [codes(self.state(0), self.input_shape)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution(Windowed):
    """What both convolutions share: weights, bias, and a gain that decides how much saturates."""

    filters: int
    bias: bool
    per_channel: bool
    q_in: Q
    q_w: Q
    zero_point_out: int
    gain: float
    dyadic: bool = False

    @staticmethod
    def draw_weights(random: Random) -> dict[str, object]:
        dyadic = random.randint(0, 2) == 0
        q_in, w_scale = draw_q(random), draw_scale(random, -11, -2)
        return {
            "seed": draw_seed(random),
            "bias": random.randint(0, 3) > 0,
            "per_channel": random.randint(0, 3) > 0,
            "dyadic": dyadic,
            "q_in": Q(snap(q_in.scale), q_in.zero_point) if dyadic else q_in,
            "q_w": Q(snap(w_scale) if dyadic else w_scale, 0),
            "zero_point_out": draw_zero_point(random),
            "gain": random.uniform(-6.0, random.choice([3.0, 3.0, 8.0])),
        }

    @property
    def taps(self) -> int:
        """Products summed in one output."""
        return self.kernel[0] * self.kernel[1]

    @property
    def weight_shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    @property
    def weight_axis(self) -> int:
        raise NotImplementedError

    def weight_scales(self) -> Array:
        count = self.filters if self.per_channel else 1
        spread = self.state(1).uniform(-2.0, 2.0, size=count)
        return (self.q_w.scale * 2.0 ** (spread.round() if self.dyadic else spread)).astype(np.float32)

    def output_scale(self) -> float:
        """Brings a typical accumulator to a few dozen codes, shifted by the gain."""
        typical = self.q_in.scale * self.q_w.scale * 74 * 74 * np.sqrt(self.taps)
        scale = float(np.float32(typical / 64 * 2.0**-self.gain))
        return snap(scale / 16) if self.dyadic else scale  # dyadic weights are small, for short shifts

    def add_to(self, builder: ModelBuilder) -> Ports:
        scales, state = self.weight_scales(), self.state(2)
        x = builder.tensor(self.input_shape, scale=self.q_in.scale, zero_point=self.q_in.zero_point)
        weights = self.weights(state)
        w = builder.tensor(self.weight_shape, scale=scales, zero_point=0, axis=self.weight_axis, data=weights)
        operands: list[int | None] = [x, w]
        if self.bias:
            limit = int(2 * 74 * 74 * np.sqrt(self.taps)) // (16 if self.dyadic else 1)
            values = state.randint(-limit, limit + 1, size=self.filters)
            bias_scales = np.float32(self.q_in.scale) * scales
            operands.append(builder.tensor((self.filters,), "int32", scale=bias_scales, data=values))
        y = builder.tensor(self.output_shape(self.filters), scale=self.output_scale(), zero_point=self.zero_point_out)
        self.append(builder, operands, y)
        return Ports([x], [y])

    def weights(self, state: np.random.RandomState) -> Array:
        return codes(state, self.weight_shape) // (16 if self.dyadic else 1)

    def append(self, builder: ModelBuilder, operands: list[int | None], output: int) -> None:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conv2D(Convolution):
    """CONV_2D."""

    @classmethod
    def random(cls, random: Random) -> Self:
        return cls(
            channels=random.randint(1, 9),
            filters=random.randint(1, 9),
            **cls.draw_window(random, dilated=random.randint(0, 1) == 1),
            **cls.draw_weights(random),
        )

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1] * self.channels

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.filters, *self.kernel, self.channels)

    @property
    def weight_axis(self) -> int:
        return 0

    def append(self, builder: ModelBuilder, operands: list[int | None], output: int) -> None:
        dilation = {"dilation_h": self.dilation[0], "dilation_w": self.dilation[1]}
        builder.operator("CONV_2D", operands, [output], **self.window_options(), **dilation)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthwiseConv2D(Convolution):
    """DEPTHWISE_CONV_2D, with several filters per channel too."""

    multiplier: int

    @classmethod
    def random(cls, random: Random) -> Self:
        channels, multiplier = random.randint(1, 9), random.choice([1, 1, 2, 3, 8])
        return cls(
            channels=channels,
            filters=channels * multiplier,
            multiplier=multiplier,
            **cls.draw_window(random, dilated=random.randint(0, 1) == 1),
            **cls.draw_weights(random),
        )

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (1, *self.kernel, self.filters)

    @property
    def weight_axis(self) -> int:
        return 3

    def append(self, builder: ModelBuilder, operands: list[int | None], output: int) -> None:
        options = {
            "dilation_h": self.dilation[0],
            "dilation_w": self.dilation[1],
            "depth_multiplier": self.multiplier,
        }
        builder.operator("DEPTHWISE_CONV_2D", operands, [output], **self.window_options(), **options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pool(Windowed):
    """What both poolings share: one quantization for input and output."""

    q: Q

    operator = ""

    @classmethod
    def random(cls, random: Random) -> Self:
        return cls(
            seed=draw_seed(random),
            channels=random.randint(1, 9),
            q=draw_q(random),
            **cls.draw_window(random, dilated=False),
        )

    def add_to(self, builder: ModelBuilder) -> Ports:
        x = builder.tensor(self.input_shape, scale=self.q.scale, zero_point=self.q.zero_point)
        y = builder.tensor(self.output_shape(self.channels), scale=self.q.scale, zero_point=self.q.zero_point)
        window = {"filter_h": self.kernel[0], "filter_w": self.kernel[1]}
        builder.operator(self.operator, [x], [y], **self.window_options(), **window)
        return Ports([x], [y])


class MaxPool2D(Pool):
    """MAX_POOL_2D."""

    operator = "MAX_POOL_2D"


class AveragePool2D(Pool):
    """AVERAGE_POOL_2D."""

    operator = "AVERAGE_POOL_2D"
