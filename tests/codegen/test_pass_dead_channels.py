"""Dead channels: what is removed, what must stay, and that every tensor that is left holds the model's own codes.

Exactness is checked with the NumPy reference over the graph before and after, tensor by tensor; that the reference is
TFLM is another suite's matter. Not tested here: that fewer channels are faster on a given core.
"""

from __future__ import annotations

from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from property.graphs import SmallGraph
from property.runtimes import Host, HostDsp
from support import oracle
from support.mobilenet import mobilenet
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import compile_model
from thumbnet.codegen.ir import Graph
from thumbnet.codegen.passes.dead_channels import dead_channels
from thumbnet.codegen.reference.interpreter import run_graph
from thumbnet.codegen.tflite import read_graph

Codes = npt.NDArray[np.int8]
STEP = {"stride_h": 1, "stride_w": 1}


class Net:
    """Builds chains of layers over one image; every tensor has scale 0.1."""

    def __init__(self, channels: int = 3, zero_point: int = 0) -> None:
        self.builder = ModelBuilder()
        self.rng = np.random.default_rng(1)
        self.input = self.tensor((1, 5, 6, channels), zero_point)

    def tensor(self, shape: tuple[int, ...], zero_point: int) -> int:
        return self.builder.tensor(shape, scale=0.1, zero_point=zero_point)

    def weights(self, *shape: int, zero: object = None) -> Codes:
        """Random weights, none of them zero, but for an index that is all zero."""
        codes: Codes = (self.rng.integers(1, 100, shape) * self.rng.choice([-1, 1], shape)).astype(np.int8)
        if zero is not None:
            codes[zero] = 0
        return codes

    def conv(
        self, x: int, w: Codes, bias: object = None, *, padding: str = "SAME", activation: str = "NONE", zp: int = 0
    ) -> int:
        b = self.builder
        _, height, width, _ = b.shape(x)
        cut = (w.shape[1] - 1, w.shape[2] - 1) if padding == "VALID" else (0, 0)
        y = self.tensor((1, height - cut[0], width - cut[1], w.shape[0]), zp)
        scale = 0.01
        operands: list[int | None] = [x, b.tensor(w.shape, scale=scale, data=w)]
        if bias is not None:
            operands.append(b.tensor((w.shape[0],), "int32", scale=0.1 * scale, data=bias))
        b.operator("CONV_2D", operands, [y], padding=padding, activation=activation, **STEP)
        return y

    def depthwise(self, x: int, w: Codes, multiplier: int = 1, *, bias: object = None, zp: int = 0) -> int:
        b = self.builder
        y = self.tensor((*b.shape(x)[:3], w.shape[3]), zp)
        operands: list[int | None] = [x, b.tensor(w.shape, scale=0.01, data=w)]
        if bias is not None:
            operands.append(b.tensor((w.shape[3],), "int32", scale=0.001, data=bias))
        b.operator("DEPTHWISE_CONV_2D", operands, [y], padding="SAME", depth_multiplier=multiplier, **STEP)
        return y

    def graph(self, *outputs: int) -> Graph:
        return read_graph(self.builder.build([self.input], list(outputs)))


def check_exact(graph: Graph, lanes: int = 1) -> Graph:
    """The graph after the pass, each of its tensors compared with the original's."""
    after = dead_channels(graph, lanes)
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


def shapes(graph: Graph) -> list[int]:
    """Channels of every layer's output."""
    return [graph.output(node).shape[-1] for node in graph.nodes]


def test_zero_filters_go_and_their_constant_moves_into_the_bias() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=[1, 3]), [10, 4000, -5, 300], zp=-7)
    graph = net.graph(net.conv(a, net.weights(2, 1, 1, 4), [5, 6]))
    after = check_exact(graph)
    assert shapes(after) == [2, 2]
    kept = after.tensors[a].kept
    assert kept is not None
    assert (kept.channels, kept.codes) == ((0, 2), (None, None))


def test_a_missing_bias_appears_where_a_constant_needs_one() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=1), [0, 4000, 0, 0])
    after = check_exact(net.graph(net.conv(a, net.weights(2, 1, 1, 4))))
    assert shapes(after) == [3, 2]
    assert after.optional(after.nodes[1], 2) is not None


def test_a_clamped_filter_is_constant_too() -> None:
    net = Net()
    bias = [0, -(10**6), 0, 10**6]  # beyond what any input can make up for
    a = net.conv(net.input, net.weights(4, 1, 1, 3), bias, activation="RELU6", zp=-128)
    assert shapes(check_exact(net.graph(net.conv(a, net.weights(2, 3, 3, 4), padding="VALID")))) == [2, 2]


@pytest.mark.parametrize(("bias", "left"), [(0, 3), (4000, 4)])
def test_at_a_border_only_the_zero_point_is_a_constant(bias: int, left: int) -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=2), [1, 2, bias, 3])
    assert shapes(check_exact(net.graph(net.conv(a, net.weights(2, 3, 3, 4))))) == [left, 2]


def test_a_border_may_hold_any_constant_whose_taps_add_up() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=2), [1, 2, 4000, 3])
    w = net.weights(2, 3, 3, 4)
    w[..., 2] = 0
    w[:, 1, 1, 2] = 9
    assert shapes(check_exact(net.graph(net.conv(a, w)))) == [3, 2]


def test_channels_that_nobody_uses_go() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 3, 3, 3))
    b = net.conv(a, net.weights(2, 3, 3, 4, zero=(..., 1)))
    assert shapes(check_exact(net.graph(b))) == [3, 2]


def test_a_channel_that_one_of_two_consumers_uses_stays() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 3, 3, 3))
    b = net.conv(a, net.weights(2, 3, 3, 4, zero=(..., [1, 2])))
    c = net.conv(a, net.weights(2, 3, 3, 4, zero=(..., [1, 3])))
    assert shapes(check_exact(net.graph(b, c))) == [3, 2, 2]


def test_outputs_of_the_model_keep_their_channels() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=1))
    b = net.conv(a, net.weights(2, 1, 1, 4))
    graph = net.graph(a, b)
    assert shapes(check_exact(graph)) == [4, 2]


def test_depthwise_layers_pass_removal_on_in_both_directions() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(5, 1, 1, 3, zero=0))
    b = net.depthwise(a, net.weights(1, 3, 3, 5, zero=(..., 3)), bias=[9, 9, 9, 5000, 9])
    assert shapes(check_exact(net.graph(net.conv(b, net.weights(2, 1, 1, 5))))) == [3, 3, 2]


def test_depth_multiplier_keeps_a_channel_while_one_of_its_copies_lives() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(3, 1, 1, 3))
    b = net.depthwise(a, net.weights(1, 3, 3, 6, zero=(..., [0, 1, 2])), 2)
    assert shapes(check_exact(net.graph(net.conv(b, net.weights(2, 1, 1, 6))))) == [2, 4, 2]


def _add(net: Net, x: int, y: int) -> int:
    z = net.tensor(tuple(net.builder.shape(x)), 5)
    net.builder.operator("ADD", [x, y], [z], activation="NONE")
    return z


def test_both_sides_of_an_addition_must_be_dead() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=[0, 1]))
    b = net.conv(net.input, net.weights(4, 1, 1, 3, zero=[1, 2]))
    graph = net.graph(net.conv(_add(net, a, b), net.weights(2, 1, 1, 4)))
    assert shapes(check_exact(graph)) == [3, 3, 3, 2]


def test_constant_operands_lose_the_channel_too() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=0))
    held = net.builder.tensor((4,), scale=0.1, data=[1, -2, 3, -4])
    assert shapes(check_exact(net.graph(net.conv(_add(net, a, held), net.weights(2, 1, 1, 4))))) == [3, 3, 2]


def _pool(net: Net, x: int) -> int:
    _, height, width, channels = net.builder.shape(x)
    y = net.tensor((1, height // 2, width // 2, channels), 0)
    window = {"filter_h": 2, "filter_w": 2, "stride_h": 2, "stride_w": 2, "padding": "VALID"}
    net.builder.operator("AVERAGE_POOL_2D", [x], [y], activation="NONE", **window)
    return y


def _flatten_to_dense(net: Net, x: int) -> int:
    b = net.builder
    flat = net.tensor((1, int(np.prod(b.shape(x)))), 0)
    b.operator("RESHAPE", [x, b.constant([1, -1])], [flat])
    y = net.tensor((1, 3), 0)
    weights = net.weights(3, b.shape(flat)[1])
    b.operator("FULLY_CONNECTED", [flat, b.tensor(weights.shape, scale=0.01, data=weights), None], [y])
    return y


def test_pooling_flattening_and_dense_layers() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=2), [1, 2, 3000, 4])
    after = check_exact(net.graph(_flatten_to_dense(net, _pool(net, a))))
    assert shapes(after) == [3, 3, 18, 3]


def test_concatenation_shifts_what_follows() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=[0, 3]))
    b = net.conv(net.input, net.weights(2, 1, 1, 3, zero=1))
    held = net.builder.tensor((1, 5, 6, 1), scale=0.1, data=np.full((1, 5, 6, 1), 7))
    c = net.tensor((1, 5, 6, 7), 0)
    net.builder.operator("CONCATENATION", [a, held, b], [c], axis=3, activation="NONE")
    after = check_exact(net.graph(net.conv(c, net.weights(2, 1, 1, 7))))
    assert shapes(after) == [2, 1, 3, 2]


def test_wholly_constant_layers_disappear() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=...), [1, 2, 3, 4000])
    b = net.conv(net.input, net.weights(4, 1, 1, 3))
    after = check_exact(net.graph(_add(net, a, b)))
    assert [node.op for node in after.nodes] == ["CONV_2D", "ADD"]


@pytest.mark.parametrize(("alive", "left"), [(1, 4), (4, 4), (5, 8), (8, 8), (9, 9)])
def test_filling_completes_the_lanes(alive: int, left: int) -> None:
    net = Net()
    a = net.conv(net.input, net.weights(10, 1, 1, 3, zero=slice(alive, None)), np.arange(10) * 400)
    after = check_exact(net.graph(net.conv(a, net.weights(2, 1, 1, 10))), lanes=4)
    assert shapes(after) == [left, 2]
    kept = after.tensors[a].kept
    assert kept is not None
    assert sum(code is None for code in kept.codes) == alive


def test_one_channel_is_left_of_a_tensor_that_nobody_uses() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3))
    assert shapes(check_exact(net.graph(net.conv(a, net.weights(2, 1, 1, 4, zero=...), [7, 8])))) == [1, 2]


@pytest.mark.parametrize("lanes", [1, 4])
def test_random_graphs_stay_exact(lanes: int) -> None:
    changed = 0
    for number in range(60):
        graph = read_graph(SmallGraph.random(Random(f"dead {number}")).model())
        after = check_exact(graph, lanes)
        changed += any(tensor.kept for tensor in after.tensors.values())
    assert changed >= 3 or lanes > 1  # few channels here come in fours


def test_half_of_a_mobilenet() -> None:
    model = mobilenet()
    on = compile_model(model, target="cortex-m4")
    off = compile_model(model, target="cortex-m4", disable=["dead-channels"])
    assert on.macs < 0.65 * off.macs
    assert [layer.op for layer in on.layers] == [layer.op for layer in off.layers]
    assert all(layer.kept is None for layer in off.layers)


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
@pytest.mark.parametrize("runtime", [Host(), HostDsp()], ids=lambda runtime: runtime.name)
def test_generated_code_of_a_small_mobilenet(runtime: Host) -> None:
    model = mobilenet(12, ((6, 1), (8, 2), (8, 1)), dead=0.4, seed=4)
    x = np.random.default_rng(2).integers(-128, 128, (1, 12, 12, 3)).astype(np.int8)
    (got,) = runtime.run(model, [x])
    assert np.array_equal(got, oracle.run_model(model, [x])[0])
