"""Problems of the operators with one input of any shape: activations, SOFTMAX, QUANTIZE, DEQUANTIZE."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any, Self

import numpy as np
from support.tflite_builder import ModelBuilder

from .problem import (
    Array,
    Ports,
    Problem,
    Q,
    codes,
    draw_q,
    draw_scale,
    draw_seed,
    draw_shape,
    draw_zero_point,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unary(Problem):
    """One int8 input, one int8 output of the same shape; the last axis often holds all 256 codes."""

    shape: tuple[int, ...]
    q_in: Q
    q_out: Q

    operator = ""
    output_type = "int8"

    @classmethod
    def random(cls, random: Random) -> Self:
        q_in = cls.draw_input(random)
        every_code = random.randint(0, 1) == 1
        return cls(
            seed=draw_seed(random),
            shape=(256,) if every_code else draw_shape(random, random.randint(1, 4), 6),
            q_in=q_in,
            q_out=cls.draw_output(random, q_in),
            **cls.draw_rest(random),
        )

    @classmethod
    def draw_input(cls, random: Random) -> Q:
        return draw_q(random, -9.0, 0.0)

    @classmethod
    def draw_output(cls, random: Random, q_in: Q) -> Q:
        factor = random.choice([random.uniform(-4, 4), random.randint(-4, 4)])
        scale = float(np.float32(q_in.scale * 2.0**factor))
        return Q(scale, draw_zero_point(random))

    @classmethod
    def draw_rest(cls, random: Random) -> dict[str, Any]:
        return {}

    def inputs(self) -> list[Array]:
        if self.shape == (256,):
            return [np.arange(-128, 128, dtype=np.int8)]
        return [codes(self.state(0), self.shape)]

    def options(self) -> dict[str, Any]:
        return {}

    def add_to(self, builder: ModelBuilder) -> Ports:
        x = builder.tensor(self.shape, scale=self.q_in.scale, zero_point=self.q_in.zero_point)
        quantization: dict[str, Any] = {"scale": self.q_out.scale, "zero_point": self.q_out.zero_point}
        y = builder.tensor(self.shape, self.output_type, **({} if self.output_type == "float32" else quantization))
        builder.operator(self.operator, [x], [y], **self.options())
        return Ports([x], [y])


class Logistic(Unary):
    """LOGISTIC."""

    operator = "LOGISTIC"

    @classmethod
    def draw_output(cls, random: Random, q_in: Q) -> Q:
        return Q(1 / 256, -128)


class Tanh(Unary):
    """TANH."""

    operator = "TANH"

    @classmethod
    def draw_output(cls, random: Random, q_in: Q) -> Q:
        return Q(1 / 128, 0)


class Relu(Unary):
    """RELU."""

    operator = "RELU"


class Relu6(Unary):
    """RELU6; the operator passes codes on, even to an output whose quantization differs."""

    operator = "RELU6"

    @classmethod
    def draw_output(cls, random: Random, q_in: Q) -> Q:
        return q_in if random.randint(0, 1) else super().draw_output(random, q_in)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeakyRelu(Unary):
    """LEAKY_RELU with slopes of either sign, above one too."""

    alpha: float

    operator = "LEAKY_RELU"

    @classmethod
    def draw_rest(cls, random: Random) -> dict[str, Any]:
        return {"alpha": random.choice([0.0, 0.01, 0.2, 0.5, random.uniform(-2, 2)])}

    def options(self) -> dict[str, Any]:
        return {"alpha": self.alpha}


class Rsqrt(Unary):
    """RSQRT of codes at or above the zero point, where it is defined."""

    operator = "RSQRT"

    @classmethod
    def draw_output(cls, random: Random, q_in: Q) -> Q:
        typical = 1 / np.sqrt(q_in.scale) / 64
        return Q(float(np.float32(typical * 2.0 ** random.uniform(-3, 3))), draw_zero_point(random))

    def inputs(self) -> list[Array]:
        return [np.maximum(super().inputs()[0], self.q_in.zero_point).astype(np.int8)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Softmax(Unary):
    """SOFTMAX along the last axis."""

    beta: float

    operator = "SOFTMAX"

    @classmethod
    def draw_output(cls, random: Random, q_in: Q) -> Q:
        return Q(1 / 256, -128)

    @classmethod
    def draw_rest(cls, random: Random) -> dict[str, Any]:
        return {"beta": random.choice([1.0, 1.0, 0.5, 4.0])}

    def options(self) -> dict[str, Any]:
        return {"beta": self.beta}


class Requantize(Unary):
    """QUANTIZE from int8 to int8."""

    operator = "QUANTIZE"


class Dequantize(Unary):
    """DEQUANTIZE from int8 to float32."""

    operator = "DEQUANTIZE"
    output_type = "float32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantize(Problem):
    """QUANTIZE from float32 to int8, half-way values included."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int

    operator = "QUANTIZE"

    @classmethod
    def random(cls, random: Random) -> Self:
        return cls(
            seed=draw_seed(random),
            shape=draw_shape(random, random.randint(1, 4), 6),
            scale=draw_scale(random, -9, 2),
            zero_point=draw_zero_point(random),
        )

    def inputs(self) -> list[Array]:
        halves = self.state(0).randint(-600, 600, size=self.shape) / 2
        noise = self.state(1).choice([0.0, 1e-3, 0.3], size=self.shape)
        return [((halves + noise) * self.scale).astype(np.float32)]

    def add_to(self, builder: ModelBuilder) -> Ports:
        x = builder.tensor(self.shape, "float32")
        y = builder.tensor(self.shape, scale=self.scale, zero_point=self.zero_point)
        builder.operator(self.operator, [x], [y])
        return Ports([x], [y])
