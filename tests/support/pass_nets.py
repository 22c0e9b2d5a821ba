"""Minimal graphs for the tests of passes, and the check that a pass keeps every tensor that is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from thumbnet.codegen.ir import Graph
from thumbnet.codegen.reference.interpreter import run_graph
from thumbnet.codegen.tflite import read_graph

from .tflite_builder import ModelBuilder

Codes = npt.NDArray[np.int8]
STEP = {"stride_h": 1, "stride_w": 1}


class Net:
    """Builds chains of layers over one image; every tensor has scale 0.1 unless told."""

    def __init__(self, channels: int = 3, zero_point: int = 0, size: tuple[int, int] = (5, 6)) -> None:
        self.builder = ModelBuilder()
        self.rng = np.random.default_rng(1)
        self.input = self.tensor((1, *size, channels), zero_point)

    def tensor(self, shape: tuple[int, ...], zero_point: int = 0, scale: float = 0.1) -> int:
        """A tensor that a layer will write."""
        return self.builder.tensor(shape, scale=scale, zero_point=zero_point)

    def weights(self, *shape: int, zero: Any = None) -> Codes:
        """Random weights, none of them zero, but for an index that is all zero."""
        codes: Codes = (self.rng.integers(1, 100, shape) * self.rng.choice([-1, 1], shape)).astype(np.int8)
        if zero is not None:
            codes[zero] = 0
        return codes

    def conv(
        self, x: int, w: Codes, bias: Any = None, *, padding: str = "SAME", activation: str = "NONE", zp: int = 0
    ) -> int:
        """CONV_2D with stride 1."""
        b = self.builder
        _, height, width, _ = b.shape(x)
        cut = (w.shape[1] - 1, w.shape[2] - 1) if padding == "VALID" else (0, 0)
        y = self.tensor((1, height - cut[0], width - cut[1], w.shape[0]), zp)
        operands: list[int | None] = [x, b.tensor(w.shape, scale=0.01, data=w)]
        if bias is not None:
            operands.append(b.tensor((w.shape[0],), "int32", scale=0.001, data=bias))
        b.operator("CONV_2D", operands, [y], padding=padding, activation=activation, **STEP)
        return y

    def depthwise(
        self, x: int, w: Codes, multiplier: int = 1, *, bias: Any = None, padding: str = "SAME", zp: int = 0
    ) -> int:
        """DEPTHWISE_CONV_2D with stride 1."""
        b = self.builder
        _, height, width, _ = b.shape(x)
        cut = (w.shape[1] - 1, w.shape[2] - 1) if padding == "VALID" else (0, 0)
        y = self.tensor((1, height - cut[0], width - cut[1], w.shape[3]), zp)
        operands: list[int | None] = [x, b.tensor(w.shape, scale=0.01, data=w)]
        if bias is not None:
            operands.append(b.tensor((w.shape[3],), "int32", scale=0.001, data=bias))
        b.operator("DEPTHWISE_CONV_2D", operands, [y], padding=padding, depth_multiplier=multiplier, **STEP)
        return y

    def unary(self, op: str, x: int, zp: int = 0, scale: float = 0.1, **options: Any) -> int:
        """A function of one code."""
        y = self.tensor(tuple(self.builder.shape(x)), zp, scale)
        self.builder.operator(op, [x], [y], **options)
        return y

    def pad(self, x: int, widths: Any, value: int | None = None, zp: int = 0) -> int:
        """PAD, or PADV2 when a value is given."""
        b = self.builder
        amounts = np.asarray(widths, np.int32).reshape(4, 2)
        y = self.tensor(tuple(int(n) for n in np.array(b.shape(x)) + amounts.sum(axis=1)), zp)
        operands = [x, b.constant(amounts)]
        if value is not None:
            operands.append(b.tensor((1,), scale=0.1, zero_point=zp, data=[value]))
        b.operator("PAD" if value is None else "PADV2", operands, [y])
        return y

    def pool(self, op: str, x: int, kernel: int, stride: int, padding: str = "VALID", zp: int = 0) -> int:
        """MAX_POOL_2D or AVERAGE_POOL_2D over squares."""
        _, height, width, channels = self.builder.shape(x)
        sizes = [-(-n // stride) if padding == "SAME" else (n - kernel) // stride + 1 for n in (height, width)]
        y = self.tensor((1, *sizes, channels), zp)
        window = {"filter_h": kernel, "filter_w": kernel, "stride_h": stride, "stride_w": stride, "padding": padding}
        self.builder.operator(op, [x], [y], activation="NONE", **window)
        return y

    def reshape(self, x: int, *shape: int, zp: int = 0, scale: float = 0.1) -> int:
        """RESHAPE."""
        y = self.tensor(shape, zp, scale)
        self.builder.operator("RESHAPE", [x, self.builder.constant(shape)], [y])
        return y

    def add(self, x: int, y: int) -> int:
        """ADD of two tensors of one shape, or of one with a constant."""
        z = self.tensor(tuple(self.builder.shape(x)), 5)
        self.builder.operator("ADD", [x, y], [z], activation="NONE")
        return z

    def model(self, *outputs: int) -> bytes:
        """The file."""
        return self.builder.build([self.input], list(outputs))

    def graph(self, *outputs: int) -> Graph:
        """The graph as the compiler reads it."""
        return read_graph(self.model(*outputs))


def check_exact(graph: Graph, transform: Callable[[Graph], Graph]) -> Graph:
    """The graph after a pass, each of its tensors compared with the original's."""
    after = transform(graph)
    rng = np.random.default_rng(3)
    inputs = [rng.integers(-128, 128, graph.tensors[i].shape).astype(graph.tensors[i].dtype) for i in graph.inputs]
    wanted, got = run_graph(graph, inputs, keep=True), run_graph(after, inputs, keep=True)
    assert after.outputs == graph.outputs
    for index in (index for node in after.nodes for index in node.outputs):
        expected, kept = wanted[index], after.tensors[index].kept
        if kept is not None:
            expected = expected[..., list(kept.channels)]
            for position, code in enumerate(kept.codes):
                expected[..., position] = expected[..., position] if code is None else code
        assert np.array_equal(got[index], expected), after.tensors[index].name
    return after


def operators(graph: Graph) -> list[str]:
    """Operators in order."""
    return [node.op for node in graph.nodes]
