"""Problems of the operators that only move data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from random import Random
from typing import Any, Self

import numpy as np
from support.tflite_builder import ModelBuilder

from .problem import Array, Ports, Problem, Q, codes, draw_q, draw_seed, draw_shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class Movement(Problem):
    """One int8 input; every output has its quantization."""

    shape: tuple[int, ...]
    q: Q

    @classmethod
    def random(cls, random: Random) -> Self:
        shape = cls.draw_input_shape(random)
        rest = cls.draw_rest(random, shape)
        return cls(seed=draw_seed(random), shape=shape, q=draw_q(random), **rest)

    @classmethod
    def draw_input_shape(cls, random: Random) -> tuple[int, ...]:
        return draw_shape(random, random.randint(1, 4), 6)

    @classmethod
    def draw_rest(cls, random: Random, shape: tuple[int, ...]) -> dict[str, Any]:
        raise NotImplementedError

    def inputs(self) -> list[Array]:
        return [codes(self.state(0), self.shape)]

    def tensor(self, builder: ModelBuilder, shape: Sequence[int]) -> int:
        return builder.tensor(shape, scale=self.q.scale, zero_point=self.q.zero_point)

    def add_to(self, builder: ModelBuilder) -> Ports:
        x = self.tensor(builder, self.shape)
        return Ports([x], self.append(builder, x))

    def append(self, builder: ModelBuilder, x: int) -> list[int]:
        """Append the operator and return its outputs."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pad(Movement):
    """PAD with the zero point, PADV2 with any code."""

    paddings: tuple[tuple[int, int], ...]
    value: int | None

    @classmethod
    def draw_rest(cls, random: Random, shape: tuple[int, ...]) -> dict[str, Any]:
        paddings = tuple(
            (0, 0) if random.randint(0, 1) else (random.randint(0, 3), random.randint(0, 3)) for _ in shape
        )
        return {"paddings": paddings, "value": random.choice([None, random.randint(-128, 127)])}

    def append(self, builder: ModelBuilder, x: int) -> list[int]:
        operands = [x, builder.constant([list(pair) for pair in self.paddings])]
        if self.value is not None:
            quantization = {"scale": self.q.scale, "zero_point": self.q.zero_point}
            operands.append(builder.constant([self.value], "int8", **quantization))
        shape = [size + sum(pair) for size, pair in zip(self.shape, self.paddings, strict=True)]
        y = self.tensor(builder, shape)
        builder.operator("PAD" if self.value is None else "PADV2", operands, [y])
        return [y]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reshape(Movement):
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the same elements in another shape."""

    operator: str
    axis: int

    @classmethod
    def draw_rest(cls, random: Random, shape: tuple[int, ...]) -> dict[str, Any]:
        operator = random.choice(["RESHAPE", "SQUEEZE", "EXPAND_DIMS"])
        return {"operator": operator, "axis": random.randint(0, len(shape) - 1)}

    def append(self, builder: ModelBuilder, x: int) -> list[int]:
        shape = list(self.shape)
        if self.operator == "RESHAPE":
            shape = [int(np.prod(shape[: self.axis + 1])), *shape[self.axis + 1 :][::-1]]
            operands, options = [x, builder.constant(shape)], {"new_shape": shape}
        elif self.operator == "SQUEEZE":
            axes = [axis for axis, size in enumerate(shape) if size == 1]
            shape = [size for size in shape if size != 1] or [1]
            axes = axes if len(self.shape) - len(axes) == len(shape) else axes[1:]
            operands, options = [x], {"squeeze_dims": axes}
        else:
            shape.insert(self.axis, 1)
            operands, options = [x, builder.constant([self.axis])], {}
        y = self.tensor(builder, shape)
        builder.operator(self.operator, operands, [y], **options)
        return [y]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transpose(Movement):
    """TRANSPOSE."""

    permutation: tuple[int, ...]

    @classmethod
    def draw_rest(cls, random: Random, shape: tuple[int, ...]) -> dict[str, Any]:
        permutation = list(range(len(shape)))
        random.shuffle(permutation)
        return {"permutation": tuple(permutation)}

    def append(self, builder: ModelBuilder, x: int) -> list[int]:
        y = self.tensor(builder, [self.shape[axis] for axis in self.permutation])
        builder.operator("TRANSPOSE", [x, builder.constant(list(self.permutation))], [y])
        return [y]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Joined(Movement):
    """What CONCATENATION and PACK share: several inputs, some of them constants."""

    lengths: tuple[int, ...]
    constants: tuple[bool, ...]
    axis: int

    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of each input."""
        raise NotImplementedError

    def values(self) -> list[Array]:
        return [codes(self.state(index), shape) for index, shape in enumerate(self.shapes())]

    def inputs(self) -> list[Array]:
        return [value for value, fixed in zip(self.values(), self.constants, strict=True) if not fixed]

    def add_to(self, builder: ModelBuilder) -> Ports:
        quantization = {"scale": self.q.scale, "zero_point": self.q.zero_point}
        operands = [
            builder.tensor(value.shape, data=value if fixed else None, **quantization)
            for value, fixed in zip(self.values(), self.constants, strict=True)
        ]
        variable = [index for index, fixed in zip(operands, self.constants, strict=True) if not fixed]
        return Ports(variable, self.join(builder, operands))

    def join(self, builder: ModelBuilder, operands: list[int]) -> list[int]:
        raise NotImplementedError


class Concatenation(Joined):
    """CONCATENATION."""

    @classmethod
    def draw_rest(cls, random: Random, shape: tuple[int, ...]) -> dict[str, Any]:
        count = random.randint(1, 5)
        return {
            "lengths": tuple(random.randint(1, 4) for _ in range(count)),
            "constants": (False, *(random.randint(0, 4) == 0 for _ in range(count - 1))),
            "axis": random.randint(-len(shape), len(shape) - 1),
        }

    def shapes(self) -> list[tuple[int, ...]]:
        axis = self.axis % len(self.shape)
        return [(*self.shape[:axis], length, *self.shape[axis + 1 :]) for length in self.lengths]

    def join(self, builder: ModelBuilder, operands: list[int]) -> list[int]:
        axis = self.axis % len(self.shape)
        y = self.tensor(builder, (*self.shape[:axis], sum(self.lengths), *self.shape[axis + 1 :]))
        builder.operator("CONCATENATION", operands, [y], axis=self.axis, activation="NONE")
        return [y]


class Pack(Joined):
    """PACK."""

    @classmethod
    def draw_input_shape(cls, random: Random) -> tuple[int, ...]:
        return draw_shape(random, random.randint(1, 3), 6)

    @classmethod
    def draw_rest(cls, random: Random, shape: tuple[int, ...]) -> dict[str, Any]:
        count = random.randint(1, 5)
        return {
            "lengths": (1,) * count,
            "constants": (False, *(random.randint(0, 4) == 0 for _ in range(count - 1))),
            "axis": random.randint(-len(shape) - 1, len(shape)),
        }

    def shapes(self) -> list[tuple[int, ...]]:
        return [self.shape for _ in self.lengths]

    def join(self, builder: ModelBuilder, operands: list[int]) -> list[int]:
        shape = list(self.shape)
        shape.insert(self.axis % (len(shape) + 1), len(operands))
        y = self.tensor(builder, shape)
        builder.operator("PACK", operands, [y], axis=self.axis, values_count=len(operands))
        return [y]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unpack(Movement):
    """UNPACK."""

    axis: int

    @classmethod
    def draw_input_shape(cls, random: Random) -> tuple[int, ...]:
        return draw_shape(random, random.randint(2, 4), 5)

    @classmethod
    def draw_rest(cls, random: Random, shape: tuple[int, ...]) -> dict[str, Any]:
        return {"axis": random.randint(-len(shape), len(shape) - 1)}

    def append(self, builder: ModelBuilder, x: int) -> list[int]:
        shape = list(self.shape)
        count = shape.pop(self.axis % len(shape))
        outputs = [self.tensor(builder, shape) for _ in range(count)]
        builder.operator("UNPACK", [x], outputs, axis=self.axis, num=count)
        return outputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split(Movement):
    """SPLIT into equal parts, SPLIT_V into given ones."""

    axis: int
    sizes: tuple[int, ...]
    equal: bool

    @classmethod
    def random(cls, random: Random) -> Self:
        shape = list(cls.draw_input_shape(random))
        axis, equal = random.randint(-len(shape), len(shape) - 1), random.randint(0, 1) == 1
        count, size = random.randint(1, 4), random.randint(1, 3)
        sizes = tuple(size if equal else random.randint(1, 4) for _ in range(count))
        shape[axis] = sum(sizes)
        return cls(seed=draw_seed(random), shape=tuple(shape), q=draw_q(random), axis=axis, sizes=sizes, equal=equal)

    def append(self, builder: ModelBuilder, x: int) -> list[int]:
        axis = self.axis % len(self.shape)
        outputs = [self.tensor(builder, (*self.shape[:axis], size, *self.shape[axis + 1 :])) for size in self.sizes]
        where = builder.tensor((), "int32", data=self.axis)
        if self.equal:
            builder.operator("SPLIT", [where, x], outputs, num_splits=len(outputs))
        else:
            sizes = builder.constant(list(self.sizes))
            builder.operator("SPLIT_V", [x, sizes, where], outputs, num_splits=len(outputs))
        return outputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slice(Movement):
    """SLICE; a size of -1 reaches to the end."""

    begin: tuple[int, ...]
    size: tuple[int, ...]

    @classmethod
    def draw_rest(cls, random: Random, shape: tuple[int, ...]) -> dict[str, Any]:
        begin = tuple(random.randint(0, length - 1) for length in shape)
        size = tuple(
            -1 if random.randint(0, 2) == 0 else random.randint(1, length - first)
            for first, length in zip(begin, shape, strict=True)
        )
        return {"begin": begin, "size": size}

    def append(self, builder: ModelBuilder, x: int) -> list[int]:
        shape = [
            length - first if count == -1 else count
            for length, first, count in zip(self.shape, self.begin, self.size, strict=True)
        ]
        y = self.tensor(builder, shape)
        begin, size = builder.constant(list(self.begin)), builder.constant(list(self.size))
        builder.operator("SLICE", [x, begin, size], [y])
        return [y]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StridedSlice(Movement):
    """STRIDED_SLICE with negative bounds and steps, masks and shrunk axes; never empty."""

    begin: tuple[int, ...]
    end: tuple[int, ...]
    strides: tuple[int, ...]
    begin_mask: int
    end_mask: int
    shrink_axis_mask: int

    @classmethod
    def draw_rest(cls, random: Random, shape: tuple[int, ...]) -> dict[str, Any]:
        rows = [cls._draw_axis(random, length) for length in shape]
        masks = [[random.randint(0, 3) == 0 for _ in shape] for _ in range(3)]
        masks[2][random.randrange(len(shape))] = False
        begin_mask, end_mask, shrink = (sum(bit << axis for axis, bit in enumerate(mask)) for mask in masks)
        return {
            "begin": tuple(row[0] for row in rows),
            "end": tuple(row[1] for row in rows),
            # The operator writes nothing where a shrunk axis has a negative step.
            "strides": tuple(abs(row[2]) if masks[2][axis] else row[2] for axis, row in enumerate(rows)),
            "begin_mask": begin_mask & ~shrink,
            "end_mask": end_mask,
            "shrink_axis_mask": shrink,
        }

    @staticmethod
    def _draw_axis(random: Random, length: int) -> tuple[int, int, int]:
        """First, last and step, with at least one element between, whichever mask is set."""
        step = random.choice([1, 1, 2, 3, -1, -2])
        first = random.randint(0, length - 1)
        if step > 0:
            last = random.randint(first + 1, length + 2)
            last = last - length if last < length and random.randint(0, 3) == 0 else last
        else:
            last = random.randint(-length - 2, -length - 1) if first == 0 else random.randint(0, first - 1)
        return (first - length if random.randint(0, 3) == 0 else first), last, step

    def append(self, builder: ModelBuilder, x: int) -> list[int]:
        y = self.tensor(builder, self._output_shape())
        bounds = [builder.constant(list(row)) for row in (self.begin, self.end, self.strides)]
        builder.operator(
            "STRIDED_SLICE",
            [x, *bounds],
            [y],
            begin_mask=self.begin_mask,
            end_mask=self.end_mask,
            shrink_axis_mask=self.shrink_axis_mask,
        )
        return [y]

    def _output_shape(self) -> list[int]:
        shape = []
        for axis, (length, *row) in enumerate(zip(self.shape, self.begin, self.end, self.strides, strict=True)):
            if self.shrink_axis_mask >> axis & 1:
                continue
            first = None if self.begin_mask >> axis & 1 else row[0]
            last = None if self.end_mask >> axis & 1 else row[1]
            shape.append(len(range(length)[first : last : row[2]]))
        return shape
