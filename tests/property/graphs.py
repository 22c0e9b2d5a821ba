"""Random small networks: branches, joins, odd lengths, strides, broadcasts, several outputs.

A graph is a list of steps; each takes a live tensor, picked by number, and adds operators on top of it. What
a step does in detail comes from the seed and its position, so that dropping a step leaves the others alone
and failures shrink to few steps. Output scales are guessed so that codes stay spread over a few dozen values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from random import Random
from typing import NamedTuple, Self

import numpy as np
from support.tflite_builder import ModelBuilder
from thumbnet.codegen.quantized_math import output_size

from .problem import ACTIVATIONS, Array, Ports, Problem, Q, codes, draw_q, draw_seed


class Live(NamedTuple):
    """A tensor that later steps may read."""

    index: int
    shape: tuple[int, ...]
    q: Q


class Step(NamedTuple):
    """What to add, on top of which live tensor (counted from the latest)."""

    kind: str
    pick: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmallGraph(Problem):
    """A network over one image or one multichannel signal; unread tensors are its outputs."""

    size: tuple[int, int, int]
    q: Q
    steps: tuple[Step, ...]
    head: bool

    @classmethod
    def random(cls, random: Random) -> Self:
        shapes = [
            (random.randint(1, 9), random.randint(1, 9), random.randint(1, 5)),
            (random.randint(1, 4), random.randint(5, 60), 1),
            (1, random.randint(5, 60), random.randint(1, 6)),
        ]
        steps = [Step(random.choice(_DRAWN), random.choice([0, 0, 0, 1, 2])) for _ in range(random.randint(1, 9))]
        return cls(
            seed=draw_seed(random),
            size=random.choice(shapes),
            q=draw_q(random, -7, -3),
            steps=tuple(steps),
            head=random.randint(0, 1) == 1,
        )

    def inputs(self) -> list[Array]:
        return [codes(self.state(0), (1, *self.size))]

    def add_to(self, builder: ModelBuilder) -> Ports:
        draft = Draft(builder, (1, *self.size), self.q)
        for position, step in enumerate(self.steps):
            STEPS[step.kind](draft, draft.pick(step.pick), self.state(position + 1))
        if self.head:
            add_head(draft, draft.pick(0), self.state(1000))
        return Ports([draft.input], draft.unread())


class Draft:
    """The graph so far: the builder, the live tensors and what has been read."""

    def __init__(self, builder: ModelBuilder, shape: tuple[int, ...], q: Q) -> None:
        self.builder = builder
        self.live: list[Live] = []
        self._read: set[int] = set()
        self.input = self.tensor(shape, q).index

    def tensor(self, shape: tuple[int, ...], q: Q) -> Live:
        index = self.builder.tensor(shape, scale=q.scale, zero_point=q.zero_point)
        self.live.append(Live(index, shape, q))
        return self.live[-1]

    def constant(self, data: Array, q: Q) -> Live:
        index = self.builder.tensor(data.shape, scale=q.scale, zero_point=q.zero_point, data=data)
        return Live(index, data.shape, q)

    def add(self, op: str, operands: list[int | None], shape: tuple[int, ...], q: Q, **options: object) -> Live:
        """Append an operator with one new output."""
        output = self.tensor(shape, q)
        self.builder.operator(op, operands, [output.index], **options)
        self._read.update(index for index in operands if index is not None)
        return output

    def mark_read(self, tensor: Live) -> None:
        """The tensor is no output of the model."""
        self._read.add(tensor.index)

    def pick(self, back: int) -> Live:
        images = [tensor for tensor in self.live if len(tensor.shape) == 4]
        return images[max(len(images) - 1 - back, 0)]

    def unread(self) -> list[int]:
        return [tensor.index for tensor in self.live if tensor.index not in self._read]


def _zero_point(state: np.random.RandomState) -> int:
    return int(state.choice([-128, 0, state.randint(-128, 128)]))


def _output(state: np.random.RandomState, scale: float) -> Q:
    return Q(float(np.float32(scale * 2.0 ** state.uniform(-1, 1))), _zero_point(state))


def _window(state: np.random.RandomState, shape: tuple[int, ...]) -> tuple[dict[str, object], list[int], list[int]]:
    """Options of a window that fits, its kernel and the output lengths."""
    padding = str(state.choice(["SAME", "SAME", "VALID"]))
    kernel = [int(state.randint(1, min(5, size) + 1)) for size in shape[1:3]]
    stride = [int(state.choice([1, 1, 2, 3])) for _ in range(2)]
    lengths = [output_size(padding, shape[1 + axis], kernel[axis], stride[axis]) for axis in range(2)]
    options: dict[str, object] = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1]}
    return options, kernel, lengths


def _activation(state: np.random.RandomState) -> str:
    return str(state.choice(["NONE", "RELU", *ACTIVATIONS]))


def _convolve(draft: Draft, x: Live, state: np.random.RandomState, *, depthwise: bool) -> None:
    options, kernel, lengths = _window(state, x.shape)
    channels = x.shape[3]
    multiplier = int(state.choice([1, 1, 2])) if depthwise else 1
    filters = channels * multiplier if depthwise else int(state.randint(1, 9))
    shape = (1, *kernel, filters) if depthwise else (filters, *kernel, channels)
    taps = kernel[0] * kernel[1] * (1 if depthwise else channels)
    weights = codes(state, shape)
    dead = _silence(weights, state, depthwise=depthwise)
    scale = 2.0 ** state.uniform(-9, -5) * 2.0 ** state.uniform(-1, 1, size=filters)
    q_out = _output(state, x.q.scale * float(scale.mean()) * 60 * np.sqrt(taps))
    w = draft.builder.tensor(shape, scale=scale, axis=3 if depthwise else 0, data=weights)
    operands: list[int | None] = [x.index, w]
    if state.randint(4):
        bias = np.where(dead, state.choice([0, -1, 1]), 1) * state.randint(-3000, 3000, size=filters)
        operands.append(draft.builder.tensor((filters,), "int32", scale=np.float32(x.q.scale) * scale, data=bias))
    if depthwise:
        options["depth_multiplier"] = multiplier
    op = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    draft.add(op, operands, (1, *lengths, filters), q_out, activation=_activation(state), **options)


def _silence(weights: Array, state: np.random.RandomState, *, depthwise: bool) -> Array:
    """Set about half of the filters to zero, or of the input channels; gives back which filters are dead."""
    filters = weights.shape[3 if depthwise else 0]
    dead = np.zeros(filters, bool)
    if state.randint(3) == 0:
        dead = state.randint(2, size=filters) == 1
        weights[(..., dead) if depthwise else dead] = 0
    if not depthwise and state.randint(4) == 0:
        weights[..., state.randint(2, size=weights.shape[3]) == 1] = 0
    return dead


def _conv(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    _convolve(draft, x, state, depthwise=False)


def _depthwise(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    _convolve(draft, x, state, depthwise=True)


def _pool(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    options, kernel, lengths = _window(state, x.shape)
    op = str(state.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"]))
    options.update(filter_h=kernel[0], filter_w=kernel[1], activation=_activation(state))
    draft.add(op, [x.index], (1, *lengths, x.shape[3]), x.q, **options)


def _partner(draft: Draft, x: Live, state: np.random.RandomState) -> Live:
    """Another tensor that broadcasts with `x`: a live one of the same shape, else a constant per channel."""
    same = [tensor for tensor in draft.live if tensor.shape == x.shape and tensor.index != x.index]
    if same and state.randint(4):
        return same[state.randint(len(same))]
    shape = [(1, 1, 1, x.shape[3]), (x.shape[3],), (1, 1, 1, 1)][state.randint(3)]
    return draft.constant(codes(state, shape), Q(x.q.scale, _zero_point(state)))


def _binary(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    y = _partner(draft, x, state)
    op = str(state.choice(["ADD", "ADD", "SUB", "MUL"]))
    scale = x.q.scale * y.q.scale * 40 if op == "MUL" else max(x.q.scale, y.q.scale) * 1.4
    operands: list[int | None] = [x.index, y.index]
    if state.randint(3) == 0:
        operands.reverse()
    draft.add(op, operands, x.shape, _output(state, scale), activation=_activation(state))


def _unary(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    op = str(state.choice(["RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "QUANTIZE"]))
    fixed = {"LOGISTIC": Q(1 / 256, -128), "TANH": Q(1 / 128, 0), "RELU6": x.q}
    if state.randint(2):
        fixed["RELU"] = x.q  # nothing but a clamp
    options = {"alpha": 0.1} if op == "LEAKY_RELU" else {}
    draft.add(op, [x.index], x.shape, fixed.get(op) or _output(state, x.q.scale), **options)


def _concatenate(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    partners = [tensor for tensor in draft.live if len(tensor.shape) == 4 and tensor.shape[:3] == x.shape[:3]]
    y = partners[state.randint(len(partners))]
    if y.q != x.q:
        y = draft.add("QUANTIZE", [y.index], y.shape, x.q)
    shape = (*x.shape[:3], x.shape[3] + y.shape[3])
    draft.add("CONCATENATION", [x.index, y.index], shape, x.q, axis=3, activation="NONE")


def _pad(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    paddings = np.zeros((4, 2), dtype=np.int32)
    paddings[1:3] = state.randint(0, 3, size=(2, 2))
    shape = tuple(int(size + extra) for size, extra in zip(x.shape, paddings.sum(axis=1), strict=True))
    draft.add("PAD", [x.index, draft.builder.constant(paddings)], shape, x.q)


def _reshape(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    """To three dimensions and back, as around a one-dimensional convolution, with a function of one code between."""
    flat = (1, x.shape[1] * x.shape[2], x.shape[3])
    y = draft.add("RESHAPE", [x.index, draft.builder.constant(flat)], flat, x.q)
    if state.randint(2):
        y = draft.add("TANH", [y.index], flat, Q(1 / 128, 0))
    draft.add("RESHAPE", [y.index, draft.builder.constant(x.shape)], x.shape, y.q)


def _squeeze_and_excite(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    """Global average or maximum, one dense layer, a gate per channel: a reduction that feeds back."""
    channels = x.shape[3]
    op = str(state.choice(["MEAN", "MEAN", "REDUCE_MAX"]))
    mean = draft.add(op, [x.index, draft.builder.constant([1, 2])], (1, 1, 1, channels), x.q, keep_dims=True)
    weights = codes(state, (channels, 1, 1, channels))
    scale = 2.0 ** state.uniform(-8, -6)
    w = draft.builder.tensor(weights.shape, scale=scale, data=weights)
    q = _output(state, x.q.scale * scale * 60 * np.sqrt(channels))
    window = {"padding": "VALID", "stride_h": 1, "stride_w": 1, "activation": "NONE"}
    dense = draft.add("CONV_2D", [mean.index, w], mean.shape, q, **window)
    gate = draft.add("LOGISTIC", [dense.index], mean.shape, Q(1 / 256, -128))
    product = _output(state, x.q.scale * 0.6)
    draft.add("MUL", [x.index, gate.index], x.shape, product, activation="NONE")


def _reduce(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    """A reduction over one axis of the image, or both, or the channels."""
    axes = [[1, 2], [1], [2], [3], [-2, 3]][state.randint(5)]
    op = str(state.choice(["MEAN", "REDUCE_MAX"]))
    shape = tuple(1 if axis in axes or axis - 4 in axes else size for axis, size in enumerate(x.shape))
    draft.add(op, [x.index, draft.builder.constant(axes)], shape, x.q, keep_dims=True)


def _gate(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    """Product with what a reduction has left of a tensor: one value per row, column or channel."""
    fits = [t for t in draft.live if len(t.shape) == 4 and t.shape != x.shape and _stretches(t.shape, x.shape)]
    if not fits:
        _squeeze_and_excite(draft, x, state)
        return
    y = fits[state.randint(len(fits))]
    draft.add("MUL", [x.index, y.index], x.shape, _output(state, x.q.scale * y.q.scale * 40), activation="NONE")


def _stretches(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    return all(a in (1, b) for a, b in zip(small, large, strict=True))


def _move(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    """Parts of the tensor, a mirror image, other axes, or another shape for the same codes."""
    _, height, width, channels = x.shape
    kind = state.randint(5)
    if kind == 0 and channels > 1:
        cut = int(state.randint(1, channels))
        sizes = draft.builder.constant([cut, channels - cut])
        parts = [draft.tensor((1, height, width, size), x.q) for size in (cut, channels - cut)]
        axis = draft.builder.constant(3)
        draft.builder.operator("SPLIT_V", [x.index, sizes, axis], [part.index for part in parts], num_splits=2)
        draft.mark_read(x)
    elif kind == 1:
        begin = [0, *(int(state.randint(0, size)) for size in x.shape[1:])]
        if state.randint(2):
            begin[1 + state.randint(2)] = 0
        size = [1, *(int(state.randint(1, n - b + 1)) for n, b in zip(x.shape[1:], begin[1:], strict=True))]
        if state.randint(2):
            size[1:3], begin[1:3] = [height, width], [0, 0]
        draft.add("SLICE", [x.index, *(draft.builder.constant(v) for v in (begin, size))], tuple(size), x.q)
    elif kind == 2:
        order = [[0, 1, 3, 2], [0, 2, 1, 3], [0, 3, 2, 1]][state.randint(3)]
        shape = tuple(x.shape[axis] for axis in order)
        draft.add("TRANSPOSE", [x.index, draft.builder.constant(order)], shape, x.q)
    elif kind == 3:
        shape = [(1, height, width * channels, 1), (1, height, 1, width * channels), (1, width, height, channels)][
            state.randint(3)
        ]
        draft.add("RESHAPE", [x.index, draft.builder.constant(shape)], shape, x.q)
    else:
        packed = (1, height, width, 2, channels)
        y = draft.add("PACK", [x.index, x.index], packed, x.q, axis=3, values_count=2)
        shape = (1, height, width, 2 * channels)
        draft.add("RESHAPE", [y.index, draft.builder.constant(shape)], shape, x.q)


def add_head(draft: Draft, x: Live, state: np.random.RandomState) -> None:
    """Global average, dense layer, softmax, as at the end of a classifier."""
    channels, units = x.shape[3], int(state.randint(2, 7))
    mean = draft.add("MEAN", [x.index, draft.builder.constant([1, 2])], (1, channels), x.q, keep_dims=False)
    scale = 2.0 ** state.uniform(-8, -6)
    weights = codes(state, (units, channels))
    w = draft.builder.tensor(weights.shape, scale=scale, data=weights)
    q = _output(state, x.q.scale * scale * 60 * np.sqrt(channels))
    dense = draft.add("FULLY_CONNECTED", [mean.index, w, None], (1, units), q, activation="NONE")
    draft.add("SOFTMAX", [dense.index], (1, units), Q(1 / 256, -128), beta=1.0)


STEPS: dict[str, Callable[[Draft, Live, np.random.RandomState], None]] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "pool": _pool,
    "binary": _binary,
    "unary": _unary,
    "concatenate": _concatenate,
    "pad": _pad,
    "reshape": _reshape,
    "squeeze_and_excite": _squeeze_and_excite,
    "reduce": _reduce,
    "gate": _gate,
    "move": _move,
}

#: What random graphs are made of: convolutions and pooling more often than the rest.
_DRAWN = (*STEPS, "conv", "depthwise", "pool", "squeeze_and_excite")
