"""Functions of one code that join their neighbours: clamps in the layer in front, two tables as one."""

from __future__ import annotations

import numpy as np
import pytest
from property.runtimes import Host, HostStream
from support import oracle
from support.pass_nets import Net, check_exact, operators
from thumbnet.codegen import compile_model
from thumbnet.codegen.passes.fuse_activations import fuse_clamps, merge_lookups


def test_relu_of_the_same_scale_becomes_the_fused_activation() -> None:
    net = Net()
    a = net.unary("RELU", net.conv(net.input, net.weights(2, 1, 1, 3), zp=4), 4)
    after = check_exact(net.graph(a), fuse_clamps)
    assert [(node.op, node.attrs["activation"]) for node in after.nodes] == [("CONV_2D", "RELU")]


def test_relu6_behind_a_fused_relu() -> None:
    net = Net()
    a = net.unary("RELU6", net.conv(net.input, net.weights(2, 1, 1, 3), activation="RELU", zp=4), 4)
    after = check_exact(net.graph(a), fuse_clamps)
    assert [node.attrs["activation"] for node in after.nodes] == ["RELU6"]


def test_a_clamp_that_changes_nothing_disappears() -> None:
    net = Net()
    a = net.pool("MAX_POOL_2D", net.conv(net.input, net.weights(2, 1, 1, 3), activation="RELU6", zp=4), 2, 2, zp=4)
    after = check_exact(net.graph(net.unary("QUANTIZE", net.unary("RELU", a, 4), 4)), fuse_clamps)
    assert [(node.op, node.attrs["activation"]) for node in after.nodes] == [
        ("CONV_2D", "RELU6"),
        ("MAX_POOL_2D", "NONE"),
    ]


def test_relu_to_another_scale_rounds_a_second_time() -> None:
    net = Net()
    a = net.unary("RELU", net.conv(net.input, net.weights(2, 1, 1, 3), zp=4), 4, 0.11)
    assert operators(fuse_clamps(net.graph(a))) == ["CONV_2D", "RELU"]


@pytest.mark.parametrize("output", [True, False])
def test_a_result_that_somebody_else_wants_stays(output: bool) -> None:
    net = Net()
    a = net.conv(net.input, net.weights(2, 1, 1, 3), zp=4)
    b = net.unary("RELU", a, 4)
    graph = net.graph(b, a if output else net.unary("TANH", a, scale=1 / 128))
    assert "RELU" in operators(fuse_clamps(graph))


def test_a_function_that_is_no_clamp_stays() -> None:
    net = Net()
    graph = net.graph(net.unary("LEAKY_RELU", net.conv(net.input, net.weights(2, 1, 1, 3)), alpha=0.1))
    assert operators(fuse_clamps(graph)) == ["CONV_2D", "LEAKY_RELU"]


def test_tables_in_a_row_become_one() -> None:
    net = Net()
    a = net.unary("QUANTIZE", net.unary("LEAKY_RELU", net.input, 9, 0.07, alpha=0.2), -3, 0.05)
    after = check_exact(net.graph(net.unary("LOGISTIC", a, -128, 1 / 256)), merge_lookups)
    assert operators(after) == ["LOOKUP"]
    assert after.outputs == after.nodes[0].outputs


def test_a_table_between_that_is_an_output_stays() -> None:
    net = Net()
    a = net.unary("LEAKY_RELU", net.input, 9, 0.07, alpha=0.2)
    graph = net.graph(net.unary("LOGISTIC", a, -128, 1 / 256), a)
    assert operators(merge_lookups(graph)) == ["LEAKY_RELU", "LOGISTIC"]


def test_quantization_from_float_is_no_table() -> None:
    net = Net()
    b = net.builder
    x, y = b.tensor((1, 4), "float32"), net.tensor((1, 4))
    b.operator("QUANTIZE", [x], [y])
    net.input = x
    graph = net.graph(net.unary("TANH", y, scale=1 / 128))
    assert operators(fuse_clamps(merge_lookups(graph))) == ["QUANTIZE", "TANH"]


def network() -> bytes:
    """A clamp, three tables in a row and something behind them."""
    net = Net()
    a = net.unary("RELU", net.conv(net.input, net.weights(4, 3, 3, 3), zp=4), 4)
    b = net.unary("TANH", net.unary("QUANTIZE", net.unary("LEAKY_RELU", a, 9, 0.07, alpha=0.2), -3, 0.05), 0, 1 / 128)
    c = net.conv(b, net.weights(4, 1, 1, 4))
    return net.model(net.reshape(c, 1, 120))


def test_switched_off_every_function_is_a_layer() -> None:
    assert len(compile_model(network()).layers) == 3
    assert len(compile_model(network(), disable=["merge-lookups"]).layers) == 5
    assert len(compile_model(network(), disable=["merge-lookups", "fuse-clamps"]).layers) == 6


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
@pytest.mark.parametrize("disable", [(), ("merge-lookups", "fuse-clamps")])
@pytest.mark.parametrize("runtime", [Host(), HostStream("w")], ids=lambda runtime: runtime.name)
def test_generated_code(runtime: Host, disable: tuple[str, ...]) -> None:
    model = network()
    x = np.random.default_rng(2).integers(-128, 128, (1, 5, 6, 3)).astype(np.int8)
    runtime.disable = disable
    (got,) = runtime.run(model, [x])
    assert np.array_equal(got, oracle.run_model(model, [x])[0])
