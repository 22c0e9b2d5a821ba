"""Constant folding: what is computed beforehand, what stays, and that no output changes."""

from __future__ import annotations

import numpy as np
from support.tflite_builder import ModelBuilder
from thumbnet.codegen.passes.fold_constants import fold_constants
from thumbnet.codegen.reference.interpreter import run_graph
from thumbnet.codegen.tflite import read_graph

Q = {"scale": 0.1, "zero_point": 3}


def model(*, constant_output: bool) -> bytes:
    """Input plus a constant that is reshaped and rectified first."""
    builder = ModelBuilder()
    x, y = builder.tensor((2, 3), **Q), builder.tensor((2, 3), **Q)
    held = builder.constant(np.arange(-3, 3), "int8", **Q)
    reshaped, rectified = builder.tensor((2, 3), **Q), builder.tensor((2, 3), **Q)
    builder.operator("RESHAPE", [held, builder.constant([2, 3])], [reshaped])
    builder.operator("RELU", [reshaped], [rectified])
    builder.operator("ADD", [x, rectified], [y])
    return builder.build([x], [y, rectified] if constant_output else [y])


def test_layers_over_constants_disappear() -> None:
    graph = fold_constants(read_graph(model(constant_output=False)))
    assert [node.op for node in graph.nodes] == ["ADD"]
    data = graph.input(graph.nodes[0], 1).data
    assert data is not None
    assert data.tolist() == [[3, 3, 3], [3, 3, 3]]


def test_a_layer_that_writes_an_output_stays() -> None:
    graph = fold_constants(read_graph(model(constant_output=True)))
    assert [node.op for node in graph.nodes] == ["RELU", "ADD"]


def test_outputs_stay_the_same() -> None:
    graph = read_graph(model(constant_output=True))
    x = np.arange(-60, 60, 20, dtype=np.int8).reshape(2, 3)
    before, after = run_graph(graph, [x]), run_graph(fold_constants(graph), [x])
    assert all(np.array_equal(before[index], after[index]) for index in graph.outputs)
