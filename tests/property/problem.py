"""What a problem is: one operator with everything about it drawn at random.

A problem is a frozen dataclass of plain numbers, so that its `repr` is a permanent test case. Weights and
inputs come from its `seed` through `numpy.random.RandomState`, whose streams never change. Problems draw
themselves from a `random.Random`: hypothesis supplies one that shrinks, bulk runs an ordinary one.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from support.tflite_builder import ModelBuilder

Array = npt.NDArray[Any]
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


class Q(NamedTuple):
    """Scale and zero point of a tensor."""

    scale: float
    zero_point: int


class Ports(NamedTuple):
    """Tensor indices of a problem inside a model."""

    inputs: list[int]
    outputs: list[int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem(ABC):
    """One operator, its shapes, its attributes and its quantization."""

    seed: int

    @classmethod
    @abstractmethod
    def random(cls, random: Random) -> Self:
        """Draw a valid problem."""

    @abstractmethod
    def add_to(self, builder: ModelBuilder) -> Ports:
        """Append the operator and its tensors to a model."""

    @abstractmethod
    def inputs(self) -> list[Array]:
        """Input values, in the order of the model's inputs."""

    def state(self, salt: int = 0) -> np.random.RandomState:
        """A stream of its own for each purpose, frozen across NumPy versions."""
        return np.random.RandomState((self.seed * 7919 + salt) % 2**32)

    def model(self) -> bytes:
        """A .tflite file that holds this operator alone."""
        return joint_model([self])


def joint_model(problems: Sequence[Problem]) -> bytes:
    """One .tflite file with several problems side by side, so that one build checks them all."""
    builder = ModelBuilder()
    ports = [problem.add_to(builder) for problem in problems]
    return builder.build(
        [index for port in ports for index in port.inputs],
        [index for port in ports for index in port.outputs],
    )


def codes(state: np.random.RandomState, shape: Sequence[int], *, low: int = -128) -> Array:
    """Random int8 codes: mostly uniform, at times only extremes or a single value."""
    style = state.randint(8)
    if style == 0:
        return state.choice(np.array([low, 127], dtype=np.int8), size=tuple(shape))
    if style == 1:
        return np.full(tuple(shape), state.randint(low, 128), dtype=np.int8)
    return state.randint(low, 128, size=tuple(shape)).astype(np.int8)


def draw_seed(random: Random) -> int:
    return random.randint(0, 2**32 - 1)


def draw_zero_point(random: Random) -> int:
    """Any int8, the ends and the middle more often than not."""
    return random.choice([0, -128, 127, random.randint(-128, 127), random.randint(-40, 40), random.randint(-40, 40)])


def draw_activation(random: Random) -> str:
    return random.choice(["NONE", "NONE", "NONE", *ACTIVATIONS])


def draw_q(random: Random, low: float = -9.0, high: float = 2.0) -> Q:
    """Scale between 2**low and 2**high, any zero point."""
    return Q(draw_scale(random, low, high), draw_zero_point(random))


def draw_scale(random: Random, low: float, high: float) -> float:
    """A scale that float32 holds exactly, now and then a power of two."""
    exponent = random.uniform(low, high)
    return float(np.float32(2.0 ** (round(exponent) if random.randint(0, 7) == 0 else exponent)))


def snap(scale: float) -> float:
    """Nearest power of two. Ratios of such scales are exact, and half-way cases of rounding become common."""
    return float(2.0 ** round(math.log2(scale)))


def draw_shape(random: Random, rank: int, most: int) -> tuple[int, ...]:
    return tuple(random.randint(1, most) for _ in range(rank))
