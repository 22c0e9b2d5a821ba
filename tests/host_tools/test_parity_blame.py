"""A mismatch that a pass of the compiler makes: the run tells whether an optimisation is to blame, and which.

Also: layers that lost channels are compared with the channels that are left of the model's tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import oracle
from support.mobilenet import mobilenet
from thumbnet.codegen import passes
from thumbnet.codegen.ir import Graph
from thumbnet.codegen.targets import Target
from thumbnet.codegen.tflite import read_graph
from thumbnet.host_tools import parity_run
from thumbnet.host_tools.errors import BuildError
from thumbnet.host_tools.modelfile import read_model
from thumbnet.host_tools.options import choose_board
from thumbnet.host_tools.oracle import open_oracle
from thumbnet.host_tools.parity import Expected
from thumbnet.host_tools.parity_run import ParityPlan, ParityResult, run_board
from thumbnet.host_tools.windows import RandomWindows
from thumbnet.host_tools.workbench import Workbench

pytestmark = pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")


def result(folder: Path, schedule: str = "whole", *, every_layer: bool = False) -> ParityResult:
    path = folder / "mobile.tflite"
    path.write_bytes(mobilenet(12, ((6, 1), (8, 2)), dead=0.4, seed=4))
    given, board = read_model(path), choose_board("host")
    inputs = Workbench(given, board, folder / "sizes").compiled.inputs
    expected = Expected(open_oracle(given.tflite, "auto"), RandomWindows(inputs, 3, 1))
    plan = ParityPlan(given, expected, folder, every_layer=every_layer, schedule=schedule)
    return run_board(plan, board, lambda name, total: lambda count: None)


def spoiling(position: int) -> Callable[[Graph, Target], Graph]:
    """A pass with a fault: it turns the sign of a layer's weights."""

    def transform(graph: Graph, target: Target) -> Graph:
        weights = graph.input(graph.nodes[position], 1)
        assert weights.data is not None
        wrong = replace(weights, data=np.clip(-weights.data.astype(np.int16), -127, 127).astype(np.int8))
        return replace(graph, tensors={**graph.tensors, weights.index: wrong})

    return transform


@pytest.mark.parametrize("schedule", ["whole", "stream-h", "stream-w"])
def test_layers_without_their_dead_channels_are_compared(tmp_path: Path, schedule: str) -> None:
    found = result(tmp_path, schedule, every_layer=True)
    assert found.passed
    assert found.layers_compared


def test_the_pass_at_fault_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(passes.PASSES, "fuse-pad", spoiling(2))
    found = result(tmp_path)
    assert not found.passed
    assert found.diverging is not None
    assert found.diverging.index == 2
    assert found.note == "with --disable fuse-pad these windows are equal"


def test_no_pass_is_blamed_for_another_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil = spoiling(4)
    monkeypatch.setattr("thumbnet.codegen.driver.read_graph", lambda data: spoil(read_graph(data), Target("host")))
    found = result(tmp_path)
    assert not found.passed
    assert found.note == "with every optimisation off these windows differ as well, so none of them is to blame"


def test_a_build_that_fails_meanwhile_hides_no_mismatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise BuildError("the compiler is gone")

    monkeypatch.setitem(passes.PASSES, "fuse-pad", spoiling(2))
    monkeypatch.setattr(parity_run, "_differs_without", fail)
    found = result(tmp_path)
    assert found.diverging is not None
    assert found.note == "whether an optimisation is to blame is not known: the compiler is gone"
