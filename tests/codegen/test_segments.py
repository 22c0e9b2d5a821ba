"""Reductions that feed back: every segment over stored tensors or made again, byte for byte, and what it saves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
from property.bulk import BulkHost
from property.runtimes import difference
from support import oracle
from support.attention import AttentionNetwork, attention_resnet
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import CompiledModel, choose, compile_model
from thumbnet.codegen.partition import partition
from thumbnet.codegen.passes.swap_axes import swap_axes
from thumbnet.codegen.reference import run_model
from thumbnet.codegen.segments import STORE_ALL, find_walks
from thumbnet.codegen.targets import find_target
from thumbnet.codegen.tflite import read_graph

Borders = Callable[[Mapping[int, int]], None]
MAKE_AGAIN = -1


@pytest.fixture(scope="module", params=["stream-w", "stream-h"])
def host(request: pytest.FixtureRequest) -> BulkHost:
    runtime = BulkHost(schedule=request.param)
    reason = runtime.missing()
    if reason:
        pytest.skip(reason)
    return runtime


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Borders]:
    """Fix the borders between segments instead of searching for good ones."""

    def fix(borders: Mapping[int, int]) -> None:
        monkeypatch.setattr(choose._Search, "borders", lambda self: borders)

    yield fix


def agree(host: BulkHost, model: bytes, seed: int = 3) -> None:
    """Two runs of one window on the generated code, under sanitizers, and one of the oracle."""
    shape = read_graph(model).tensors[read_graph(model).inputs[0]].shape
    value = np.random.RandomState(seed).randint(-128, 128, size=shape).astype(np.int8)
    wanted = oracle.run_model(model, [value], 1) if oracle.available() else run_model(model, [value])
    (got,) = host.run(model, [value])
    assert len(set(wanted[0].reshape(-1).tolist())) > 1, "the network says nothing"
    assert not difference(got, wanted[0])


def one_block(length: int, stride: int, padding: str, reduction: str = "MEAN") -> bytes:
    network = AttentionNetwork(length, 3, reduction=reduction)
    network.conv(6, 3, 1, padding)
    network.conv(8, 5, stride, padding)
    network.attention()
    network.conv(6, 3, stride, padding, dilation=1 + (stride == 1))
    return network.classifier()


def nested() -> bytes:
    """An attention whose branch holds a block with an attention of its own."""
    network = AttentionNetwork(41, 2)
    network.conv(8, 5)
    outer = network.now
    network.block(8, 2)
    network.attention()
    network.pool()
    inner = network.now
    network.now = outer
    network.attention()
    network.conv(8, 3, 2)
    network.pool()
    sum_ = network.tensor(tuple(network.net.shape(inner)))
    network.net.operator("ADD", [network.now, inner], [sum_])
    network.now = sum_
    return network.classifier()


@pytest.mark.parametrize("border", [STORE_ALL, MAKE_AGAIN, 0, 1])
@pytest.mark.parametrize(("length", "stride", "padding"), [(37, 1, "SAME"), (40, 2, "VALID"), (23, 3, "SAME")])
def test_one_attention(host: BulkHost, forced: Borders, border: int, length: int, stride: int, padding: str) -> None:
    forced({1: border})
    agree(host, one_block(length, stride, padding))


@pytest.mark.parametrize("border", [STORE_ALL, MAKE_AGAIN])
def test_attention_by_the_maximum(host: BulkHost, forced: Borders, border: int) -> None:
    forced({1: border})
    agree(host, one_block(31, 2, "SAME", "REDUCE_MAX"))


@pytest.mark.parametrize(
    "borders", [{}, {1: MAKE_AGAIN, 2: MAKE_AGAIN, 3: MAKE_AGAIN}, {1: 2, 2: MAKE_AGAIN}, {2: 3, 3: 12}, {1: 0, 2: 20}]
)
def test_nested_attention(host: BulkHost, forced: Borders, borders: Mapping[int, int]) -> None:
    forced(borders)
    agree(host, nested())


@pytest.mark.parametrize("schedule", ["stream", "auto", "min-ram", "min-instructions", "whole"])
def test_residual_network_with_attention_in_every_block(schedule: str) -> None:
    runtime = BulkHost(schedule=schedule)
    if runtime.missing():
        pytest.skip(str(runtime.missing()))
    agree(runtime, attention_resnet(131, 3, 8))


def compiled(model: bytes, schedule: str = "stream-w") -> CompiledModel:
    return compile_model(model, schedule=schedule)


def test_storing_repeats_nothing_and_making_again_is_reported(forced: Borders) -> None:
    model = one_block(200, 1, "SAME")
    macs = compiled(model, "whole").macs
    forced({})
    stored = compiled(model)
    assert stored.macs == macs
    assert not any(layer.again for layer in stored.layers)
    forced({1: MAKE_AGAIN})
    again = compiled(model)
    repeated = [layer for layer in again.layers if layer.again]
    assert [layer.op for layer in repeated] == ["CONV_2D", "CONV_2D"]
    assert again.macs == macs + sum(layer.macs for layer in repeated)
    assert again.weight_bytes == stored.weight_bytes, "a layer that runs again brings no second copy of its weights"
    assert again.state_bytes < stored.state_bytes


def test_what_follows_an_attention_streams() -> None:
    """State grows with what is stored between two segments, not with the tensors behind them."""
    model = attention_resnet(1500, 4)
    whole, stream, least = (compiled(model, name) for name in ("whole", "stream", "min-ram"))
    assert whole.state_bytes > 24_000
    assert stream.state_bytes < 6_700
    assert least.state_bytes < 5_100
    assert stream.memory.bytes == stream.memory.lower_bound


def test_a_layer_that_only_a_later_segment_needs_runs_once() -> None:
    """The shortcut of a block is no repetition, wherever it runs."""
    graph, _ = swap_axes(read_graph(attention_resnet(100, 1)))
    part = partition(graph, find_target("cortex-m4"), streamed=True)
    assert part is not None
    for border in (STORE_ALL, *part.stages, MAKE_AGAIN):
        walks = find_walks(part, {1: border})
        runs = [p for walk in walks for p in walk.positions]
        assert set(runs) == set(part.stages)
        assert len(runs) - len(set(runs)) == sum(len(walk.again) for walk in walks)


def test_a_stored_output_may_lie_over_what_it_is_made_from(forced: Borders) -> None:
    """The second attention reads its features for the last time while it writes the result for the third segment."""
    network = AttentionNetwork(301, 8)
    network.attention()
    network.attention()
    model = network.classifier()
    forced({})
    found = compiled(model)
    assert found.memory.bytes < 301 * 8 * 1.2
    assert found.memory.bytes == found.memory.lower_bound


def test_an_attention_over_rows_as_well(host: BulkHost) -> None:
    """Both axes of an image: the gate keeps the axis across the stream."""
    net = ModelBuilder()
    q = {"scale": 0.05, "zero_point": 4}
    size = (1, 9, 7, 3)
    x, wide, tall, y = net.tensor(size, **q), net.tensor((1, 1, 7, 3), **q), net.tensor((1, 9, 1, 3), **q), 0
    net.operator("MEAN", [x, net.constant([1])], [wide], keep_dims=True)
    net.operator("REDUCE_MAX", [x, net.constant([2])], [tall], keep_dims=True)
    y, z = net.tensor(size, **q), net.tensor(size, scale=0.07, zero_point=-20)
    net.operator("ADD", [x, wide], [y])
    net.operator("MUL", [y, tall], [z])
    agree(host, net.build([x], [z]))
