"""Dead channels: what is removed, what must stay, and that every tensor that is left holds the model's own codes.

Exactness is checked with the NumPy reference over the graph before and after, tensor by tensor; that the reference is
TFLM is another suite's matter. Not tested here: that fewer channels are faster on a given core.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from property.graphs import SmallGraph
from property.runtimes import Host, HostDsp
from support import oracle
from support.mobilenet import mobilenet
from support.pass_nets import Net, check_exact
from thumbnet.codegen import compile_model
from thumbnet.codegen.ir import Graph
from thumbnet.codegen.passes.dead_channels import dead_channels
from thumbnet.codegen.tflite import read_graph


def removed(graph: Graph, lanes: int = 1) -> Graph:
    """The graph after the pass, proven exact."""
    return check_exact(graph, lambda g: dead_channels(g, lanes))


def shapes(graph: Graph) -> list[int]:
    """Channels of every layer's output."""
    return [graph.output(node).shape[-1] for node in graph.nodes]


def test_zero_filters_go_and_their_constant_moves_into_the_bias() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=[1, 3]), [10, 4000, -5, 300], zp=-7)
    graph = net.graph(net.conv(a, net.weights(2, 1, 1, 4), [5, 6]))
    after = removed(graph)
    assert shapes(after) == [2, 2]
    kept = after.tensors[a].kept
    assert kept is not None
    assert (kept.channels, kept.codes) == ((0, 2), (None, None))


def test_a_missing_bias_appears_where_a_constant_needs_one() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=1), [0, 4000, 0, 0])
    after = removed(net.graph(net.conv(a, net.weights(2, 1, 1, 4))))
    assert shapes(after) == [3, 2]
    assert after.optional(after.nodes[1], 2) is not None


def test_a_clamped_filter_is_constant_too() -> None:
    net = Net()
    bias = [0, -(10**6), 0, 10**6]  # beyond what any input can make up for
    a = net.conv(net.input, net.weights(4, 1, 1, 3), bias, activation="RELU6", zp=-128)
    assert shapes(removed(net.graph(net.conv(a, net.weights(2, 3, 3, 4), padding="VALID")))) == [2, 2]


@pytest.mark.parametrize(("bias", "left"), [(0, 3), (4000, 4)])
def test_at_a_border_only_the_zero_point_is_a_constant(bias: int, left: int) -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=2), [1, 2, bias, 3])
    assert shapes(removed(net.graph(net.conv(a, net.weights(2, 3, 3, 4))))) == [left, 2]


def test_a_border_may_hold_any_constant_whose_taps_add_up() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=2), [1, 2, 4000, 3])
    w = net.weights(2, 3, 3, 4)
    w[..., 2] = 0
    w[:, 1, 1, 2] = 9
    assert shapes(removed(net.graph(net.conv(a, w)))) == [3, 2]


def test_channels_that_nobody_uses_go() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 3, 3, 3))
    b = net.conv(a, net.weights(2, 3, 3, 4, zero=(..., 1)))
    assert shapes(removed(net.graph(b))) == [3, 2]


def test_a_channel_that_one_of_two_consumers_uses_stays() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 3, 3, 3))
    b = net.conv(a, net.weights(2, 3, 3, 4, zero=(..., [1, 2])))
    c = net.conv(a, net.weights(2, 3, 3, 4, zero=(..., [1, 3])))
    assert shapes(removed(net.graph(b, c))) == [3, 2, 2]


def test_outputs_of_the_model_keep_their_channels() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=1))
    b = net.conv(a, net.weights(2, 1, 1, 4))
    graph = net.graph(a, b)
    assert shapes(removed(graph)) == [4, 2]


def test_depthwise_layers_pass_removal_on_in_both_directions() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(5, 1, 1, 3, zero=0))
    b = net.depthwise(a, net.weights(1, 3, 3, 5, zero=(..., 3)), bias=[9, 9, 9, 5000, 9])
    assert shapes(removed(net.graph(net.conv(b, net.weights(2, 1, 1, 5))))) == [3, 3, 2]


def test_depth_multiplier_keeps_a_channel_while_one_of_its_copies_lives() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(3, 1, 1, 3))
    b = net.depthwise(a, net.weights(1, 3, 3, 6, zero=(..., [0, 1, 2])), 2)
    assert shapes(removed(net.graph(net.conv(b, net.weights(2, 1, 1, 6))))) == [2, 4, 2]


def test_both_sides_of_an_addition_must_be_dead() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=[0, 1]))
    b = net.conv(net.input, net.weights(4, 1, 1, 3, zero=[1, 2]))
    graph = net.graph(net.conv(net.add(a, b), net.weights(2, 1, 1, 4)))
    assert shapes(removed(graph)) == [3, 3, 3, 2]


def test_constant_operands_lose_the_channel_too() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=0))
    held = net.builder.tensor((4,), scale=0.1, data=[1, -2, 3, -4])
    assert shapes(removed(net.graph(net.conv(net.add(a, held), net.weights(2, 1, 1, 4))))) == [3, 3, 2]


def _flatten_to_dense(net: Net, x: int) -> int:
    b = net.builder
    flat = net.reshape(x, 1, int(np.prod(b.shape(x))))
    y = net.tensor((1, 3), 0)
    weights = net.weights(3, b.shape(flat)[1])
    b.operator("FULLY_CONNECTED", [flat, b.tensor(weights.shape, scale=0.01, data=weights), None], [y])
    return y


def test_pooling_flattening_and_dense_layers() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=2), [1, 2, 3000, 4])
    after = removed(net.graph(_flatten_to_dense(net, net.pool("AVERAGE_POOL_2D", a, 2, 2))))
    assert shapes(after) == [3, 3, 18, 3]


def test_concatenation_shifts_what_follows() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=[0, 3]))
    b = net.conv(net.input, net.weights(2, 1, 1, 3, zero=1))
    held = net.builder.tensor((1, 5, 6, 1), scale=0.1, data=np.full((1, 5, 6, 1), 7))
    c = net.tensor((1, 5, 6, 7), 0)
    net.builder.operator("CONCATENATION", [a, held, b], [c], axis=3, activation="NONE")
    after = removed(net.graph(net.conv(c, net.weights(2, 1, 1, 7))))
    assert shapes(after) == [2, 1, 3, 2]


def test_wholly_constant_layers_disappear() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3, zero=...), [1, 2, 3, 4000])
    b = net.conv(net.input, net.weights(4, 1, 1, 3))
    after = removed(net.graph(net.add(a, b)))
    assert [node.op for node in after.nodes] == ["CONV_2D", "ADD"]


@pytest.mark.parametrize(("alive", "left"), [(1, 4), (4, 4), (5, 8), (8, 8), (9, 9)])
def test_filling_completes_the_lanes(alive: int, left: int) -> None:
    net = Net()
    a = net.conv(net.input, net.weights(10, 1, 1, 3, zero=slice(alive, None)), np.arange(10) * 400)
    after = removed(net.graph(net.conv(a, net.weights(2, 1, 1, 10))), lanes=4)
    assert shapes(after) == [left, 2]
    kept = after.tensors[a].kept
    assert kept is not None
    assert sum(code is None for code in kept.codes) == alive


def test_one_channel_is_left_of_a_tensor_that_nobody_uses() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 1, 1, 3))
    assert shapes(removed(net.graph(net.conv(a, net.weights(2, 1, 1, 4, zero=...), [7, 8])))) == [1, 2]


@pytest.mark.parametrize("lanes", [1, 4])
def test_random_graphs_stay_exact(lanes: int) -> None:
    changed = 0
    for number in range(150):
        graph = read_graph(SmallGraph.random(Random(f"dead {number}")).model())
        after = removed(graph, lanes)
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
