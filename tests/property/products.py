"""Problems of FULLY_CONNECTED, the elementwise operators with two inputs, and the reductions."""

from __future__ import annotations

import dataclasses
import math
from random import Random
from typing import Self

import numpy as np
from support.tflite_builder import ModelBuilder

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
    draw_shape,
    draw_zero_point,
    snap,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FullyConnected(Problem):
    """FULLY_CONNECTED with one scale or one per unit."""

    rows: tuple[int, ...]
    depth: int
    units: int
    bias: bool
    per_channel: bool
    activation: str
    q_in: Q
    w_scale: float
    zero_point_out: int
    gain: float
    dyadic: bool = False

    @classmethod
    def random(cls, random: Random) -> Self:
        dyadic = random.randint(0, 2) == 0
        q_in, w_scale = draw_q(random), draw_scale(random, -11, -2)
        return cls(
            dyadic=dyadic,
            seed=draw_seed(random),
            rows=draw_shape(random, random.randint(1, 2), 5),
            depth=random.choice([1, 2, 7, 16, 33, 64, 200]),
            units=random.randint(1, 17),
            bias=random.randint(0, 3) > 0,
            per_channel=random.randint(0, 1) == 1,
            activation=draw_activation(random),
            q_in=Q(snap(q_in.scale), q_in.zero_point) if dyadic else q_in,
            w_scale=snap(w_scale) if dyadic else w_scale,
            zero_point_out=draw_zero_point(random),
            gain=random.uniform(-6.0, random.choice([3.0, 3.0, 8.0])),
        )

    def inputs(self) -> list[Array]:
        return [codes(self.state(0), (*self.rows, self.depth))]

    def add_to(self, builder: ModelBuilder) -> Ports:
        state = self.state(1)
        count = self.units if self.per_channel else 1
        spread = state.uniform(-2.0, 2.0, size=count)
        scales = (self.w_scale * 2.0 ** (spread.round() if self.dyadic else spread)).astype(np.float32)
        out_scale = self.q_in.scale * self.w_scale * 74 * 74 * math.sqrt(self.depth) / 64 * 2.0**-self.gain
        x = builder.tensor((*self.rows, self.depth), scale=self.q_in.scale, zero_point=self.q_in.zero_point)
        weights = codes(state, (self.units, self.depth)) // (16 if self.dyadic else 1)
        w = builder.tensor(weights.shape, scale=scales, data=weights)
        operands: list[int | None] = [x, w, None]
        if self.bias:
            limit = int(2 * 74 * 74 * math.sqrt(self.depth)) // (16 if self.dyadic else 1)
            values = state.randint(-limit, limit + 1, size=self.units)
            bias_scales = np.float32(self.q_in.scale) * scales
            operands[2] = builder.tensor((self.units,), "int32", scale=bias_scales, data=values)
        y = builder.tensor(
            (*self.rows, self.units),
            scale=snap(out_scale / 16) if self.dyadic else out_scale,
            zero_point=self.zero_point_out,
        )
        builder.operator("FULLY_CONNECTED", operands, [y], activation=self.activation, keep_num_dims=len(self.rows) > 1)
        return Ports([x], [y])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Binary(Problem):
    """An elementwise operator with two inputs that broadcast; one of them may be a constant."""

    shape_a: tuple[int, ...]
    shape_b: tuple[int, ...]
    constant: bool
    activation: str
    q_a: Q
    q_b: Q
    q_out: Q

    operator = ""
    fused = True

    @classmethod
    def random(cls, random: Random) -> Self:
        shape_a, shape_b = draw_broadcast(random)
        q_a = draw_q(random)
        q_b = Q(float(np.float32(q_a.scale * 2.0 ** random.uniform(-4, 4))), draw_zero_point(random))
        if random.randint(0, 2) == 0:
            q_a, q_b = (Q(snap(q.scale), q.zero_point) for q in (q_a, q_b))
            scale = snap(cls.typical_output(q_a, q_b)) * 2.0 ** random.randint(-1, 4)
        else:
            scale = cls.typical_output(q_a, q_b) * 2.0 ** random.uniform(-1, 4)
        return cls(
            seed=draw_seed(random),
            shape_a=shape_a,
            shape_b=shape_b,
            constant=random.randint(0, 3) == 0,
            activation=draw_activation(random) if cls.fused else "NONE",
            q_a=q_a,
            q_b=q_b,
            q_out=Q(float(np.float32(scale)), draw_zero_point(random)),
        )

    @staticmethod
    def typical_output(q_a: Q, q_b: Q) -> float:
        return max(q_a.scale, q_b.scale)

    def inputs(self) -> list[Array]:
        both = [codes(self.state(0), self.shape_a), codes(self.state(1), self.shape_b)]
        return both[: 1 if self.constant else 2]

    def add_to(self, builder: ModelBuilder) -> Ports:
        a = builder.tensor(self.shape_a, scale=self.q_a.scale, zero_point=self.q_a.zero_point)
        data = codes(self.state(1), self.shape_b) if self.constant else None
        b = builder.tensor(self.shape_b, scale=self.q_b.scale, zero_point=self.q_b.zero_point, data=data)
        y = builder.tensor(
            np.broadcast_shapes(self.shape_a, self.shape_b),
            scale=self.q_out.scale,
            zero_point=self.q_out.zero_point,
        )
        options = {"activation": self.activation} if self.fused else {}
        builder.operator(self.operator, [a, b], [y], **options)
        return Ports([a] if self.constant else [a, b], [y])


def draw_broadcast(random: Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast: equal, with ones on either side, or of different rank."""
    full = (*draw_shape(random, random.randint(0, 3), 5), random.randint(1, 40))
    style = random.randint(0, 3)
    if style == 0:
        return full, full
    shapes = []
    for _ in range(2):
        kept = tuple(size if random.randint(0, 2) > 0 else 1 for size in full)
        shapes.append(kept[random.randint(0, len(kept) - 1) :] if style == 3 else kept)
    return shapes[0], shapes[1]


class Add(Binary):
    """ADD."""

    operator = "ADD"


class Sub(Binary):
    """SUB."""

    operator = "SUB"


class Mul(Binary):
    """MUL."""

    operator = "MUL"

    @staticmethod
    def typical_output(q_a: Q, q_b: Q) -> float:
        return q_a.scale * q_b.scale * 64


class SquaredDifference(Binary):
    """SQUARED_DIFFERENCE."""

    operator = "SQUARED_DIFFERENCE"
    fused = False

    @staticmethod
    def typical_output(q_a: Q, q_b: Q) -> float:
        return max(q_a.scale, q_b.scale) ** 2 * 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mean(Problem):
    """MEAN over any axes."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    keep_dims: bool
    q_in: Q
    q_out: Q

    operator = "MEAN"

    @classmethod
    def random(cls, random: Random) -> Self:
        shape = draw_shape(random, random.randint(1, 4), 9)
        axes = [axis for axis in range(len(shape)) if random.randint(0, 1)] or [len(shape) - 1]
        axes = [axis - len(shape) if random.randint(0, 3) == 0 else axis for axis in axes]
        if random.randint(0, 7) == 0:
            axes.append(axes[0])
        return cls(
            seed=draw_seed(random),
            shape=shape,
            axes=tuple(axes),
            keep_dims=random.randint(0, 1) == 1,
            **cls.draw_quantization(random),
        )

    @classmethod
    def draw_quantization(cls, random: Random) -> dict[str, Q]:
        q_in = draw_q(random)
        factor = random.choice([random.uniform(-3, 3), random.randint(-3, 3)])
        scale = float(np.float32(q_in.scale * 2.0**factor))
        return {"q_in": q_in, "q_out": Q(scale, draw_zero_point(random))}

    def inputs(self) -> list[Array]:
        return [codes(self.state(0), self.shape)]

    def add_to(self, builder: ModelBuilder) -> Ports:
        x = builder.tensor(self.shape, scale=self.q_in.scale, zero_point=self.q_in.zero_point)
        reduced = {axis % len(self.shape) for axis in self.axes}
        shape = [
            1 if axis in reduced else size
            for axis, size in enumerate(self.shape)
            if self.keep_dims or axis not in reduced
        ]
        y = builder.tensor(shape, scale=self.q_out.scale, zero_point=self.q_out.zero_point)
        builder.operator(self.operator, [x, builder.constant(list(self.axes))], [y], keep_dims=self.keep_dims)
        return Ports([x], [y])


class ReduceMax(Mean):
    """REDUCE_MAX over any axes; one quantization."""

    operator = "REDUCE_MAX"

    @classmethod
    def draw_quantization(cls, random: Random) -> dict[str, Q]:
        q = draw_q(random)
        return {"q_in": q, "q_out": q}
