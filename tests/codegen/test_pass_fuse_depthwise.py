"""A depthwise convolution with the pointwise one behind it: which pairs join, which must not, what it costs, the code.

What is tested: the pairs, the choice by memory and instructions, and every byte of the generated code on all host
tiers and in every schedule, with joining forced. What is not: how much faster a core is.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from property.networks import Network, mobilenet, separable
from property.problem import joint_model
from property.runtimes import Host, HostStream, difference, unsupported
from property.separable import Separable
from support import oracle
from support.pass_nets import Net, operators
from thumbnet.codegen import choose, compile_model
from thumbnet.codegen.passes.fuse_depthwise import fuse_depthwise, joinable, lean
from thumbnet.codegen.targets import TARGETS

EXAMPLE = Path(__file__).resolve().parents[2] / "firmware" / "example_model" / "model.tflite"
HOSTS = [name for name in TARGETS if name.startswith("host")]
ONE = ["SEPARABLE_CONV_2D"]
TWO = ["DEPTHWISE_CONV_2D", "CONV_2D"]

needs_oracle = pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")


def pair(net: Net, x: int, multiplier: int = 1, kernel: tuple[int, int] = (3, 3)) -> int:
    channels = net.builder.shape(x)[3]
    between = net.depthwise(x, net.weights(1, *kernel, channels * multiplier), multiplier)
    return net.conv(between, net.weights(4, 1, 1, channels * multiplier))


@pytest.mark.parametrize("multiplier", [1, 3])
def test_a_pointwise_convolution_joins(multiplier: int) -> None:
    net = Net()
    graph = net.graph(pair(net, net.input, multiplier))
    after = fuse_depthwise(graph)
    assert operators(after) == ONE
    assert after.nodes[0].outputs == graph.nodes[1].outputs
    assert operators(fuse_depthwise(graph, joinable(graph))) == TWO


def test_a_larger_filter_stays() -> None:
    net = Net()
    a = net.depthwise(net.input, net.weights(1, 3, 3, 3))
    assert operators(fuse_depthwise(net.graph(net.conv(a, net.weights(4, 1, 2, 3))))) == TWO


@pytest.mark.parametrize("stride", [(1, 2), (2, 1)])
def test_a_step_of_the_second_stays(stride: tuple[int, int]) -> None:
    net = Network((8, 8, 4), seed=1)
    x = net.depthwise(net.live[0], (3, 3))
    model = net.finish(net.conv(x, 8, (1, 1), stride=stride))
    assert "SEPARABLE_CONV_2D" not in [layer.op for layer in compile_model(model).layers]


def test_an_output_that_somebody_else_reads_stays() -> None:
    net = Net()
    a = net.depthwise(net.input, net.weights(1, 3, 3, 3))
    b = net.conv(a, net.weights(3, 1, 1, 3))
    assert operators(fuse_depthwise(net.graph(b, a))) == TWO
    assert operators(fuse_depthwise(net.graph(net.add(a, b)))) == [*TWO, "ADD"]


def force(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pair that can join does."""
    found = iter(range(1_000_000))
    monkeypatch.setattr(choose, "lean", joinable)
    monkeypatch.setattr(choose._Search, "worth", lambda self: (next(found),))  # the joined one is asked first


def ran(model: bytes, target: str, schedule: str, folder: Path) -> None:
    runtime = Host() if schedule == "whole" else HostStream(schedule[-1])
    runtime.target = target
    shapes = [tensor.shape for tensor in compile_model(model).inputs]
    inputs = [np.random.RandomState(5).randint(-128, 128, shape).astype(np.int8) for shape in shapes]
    outputs = runtime.run(model, inputs)
    for got, wanted in zip(outputs, oracle.run_model(model, inputs, len(outputs)), strict=True):
        assert not difference(got, wanted)


@needs_oracle
@pytest.mark.parametrize("target", HOSTS)
def test_random_layers(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes, strides, dilations, paddings, per tensor and per channel, several filters a channel, pooled or not."""
    force(monkeypatch)
    random = Random(f"separable {target}")
    drawn = (Separable.random(random) for _ in range(90))
    problems = [problem for problem in drawn if unsupported(problem) is None][:40]
    model = joint_model(problems)
    joined = [layer.op for layer in compile_model(model, target=target).layers].count("SEPARABLE_CONV_2D")
    assert joined >= 25
    ran(model, target, "whole", tmp_path)


@needs_oracle
@pytest.mark.parametrize("schedule", ["whole", "stream-h", "stream-w"])
@pytest.mark.parametrize("target", HOSTS)
def test_networks(target: str, schedule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    force(monkeypatch)
    model = separable(45, (6, 12), 3, 3) if schedule == "stream-w" else mobilenet(14, 6, ((9, 2), (12, 1)))
    layers = compile_model(model, target=target, schedule=schedule).layers
    assert "DEPTHWISE_CONV_2D" not in [layer.op for layer in layers]
    ran(model, target, schedule, tmp_path)


@needs_oracle
@pytest.mark.parametrize("seed", range(4))
def test_random_streams(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    force(monkeypatch)
    random = Random(seed)
    net = Network((random.randint(5, 12), random.randint(5, 12), random.choice([1, 4, 6])), seed)
    x = net.live[0]
    for _ in range(2):
        kernel, dilation = (random.randint(1, 3), random.randint(1, 3)), (random.randint(1, 2), random.randint(1, 2))
        stride = (1, 1) if max(dilation) > 1 else (random.randint(1, 2), random.randint(1, 2))
        x = net.depthwise(x, kernel, stride=stride, dilation=dilation, multiplier=random.choice([1, 1, 2]))
        x = net.conv(x, random.choice([3, 4, 8]), (1, 1), activation="NONE")
        x = net.pool(x, "MAX_POOL_2D", random.choice([(1, 2), (2, 1)])) if random.randint(0, 1) else x
    ran(net.finish(x), "host-dsp", random.choice(["stream-h", "stream-w"]), tmp_path)


def test_the_choice() -> None:
    """Joined where memory times instructions falls: a stream whose rings it saves, not tensors that are as large."""
    model = EXAMPLE.read_bytes()
    for schedule in ("stream", "whole"):
        joined = compile_model(model, schedule=schedule)
        apart = compile_model(model, schedule=schedule, disable=["fuse-depthwise"])
        assert joined.state_bytes < 0.9 * apart.state_bytes
        assert joined.macs == apart.macs
    assert "SEPARABLE_CONV_2D" not in [layer.op for layer in compile_model(mobilenet(24, 16)).layers]


def test_growing_layers_are_left_apart() -> None:
    net = Net(size=(8, 8))
    shrunk = net.tensor((1, 4, 4, 3))
    operands = [net.input, net.builder.tensor((1, 3, 3, 3), scale=0.01, data=net.weights(1, 3, 3, 3))]
    net.builder.operator(
        "DEPTHWISE_CONV_2D", operands, [shrunk], padding="SAME", stride_h=2, stride_w=2, depth_multiplier=1
    )
    graph = net.graph(net.conv(shrunk, net.weights(12, 1, 1, 3)))
    assert joinable(graph) and not lean(graph)


def test_the_explanation_tells_both() -> None:
    def told(**options: Any) -> tuple[list[str], tuple[int, int]]:
        report = next(
            r for r in compile_model(EXAMPLE.read_bytes(), **options).explanation.passes if r.name == "fuse-depthwise"
        )
        return [change.text for change in report.changes], report.layers

    texts, layers = told(schedule="stream")
    assert texts.count("is no layer of its own any more") == layers[0] - layers[1] == 5
    texts, layers = told(schedule="stream-h")
    assert layers[0] == layers[1] and all(text.startswith("stays as it is") for text in texts) and len(texts) == 5
