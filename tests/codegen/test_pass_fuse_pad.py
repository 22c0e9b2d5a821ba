"""Padding of windows in place of PAD: where it is exact, where it must be refused, and the generated code of it."""

from __future__ import annotations

import numpy as np
import pytest
from property.runtimes import Host, HostDsp, HostStream
from support import oracle
from support.pass_nets import Net, check_exact, operators
from thumbnet.codegen import OptionError, compile_model
from thumbnet.codegen.passes.fuse_pad import fuse_pad

AROUND = [[0, 0], [1, 1], [1, 1], [0, 0]]


def test_convolutions_take_a_border_of_their_zero_point() -> None:
    net = Net(zero_point=7)
    a = net.pad(net.input, [[0, 0], [2, 1], [0, 2], [0, 0]], zp=7)
    b = net.conv(a, net.weights(2, 3, 3, 3), padding="VALID")
    after = check_exact(net.graph(b), fuse_pad)
    assert operators(after) == ["CONV_2D"]
    assert (after.nodes[0].attrs["pad_h"], after.nodes[0].attrs["pad_w"]) == ((2, 1), (0, 2))


def test_padding_of_its_own_adds_up() -> None:
    net = Net(zero_point=-5)
    a = net.pad(net.input, AROUND, -5, zp=-5)
    after = check_exact(net.graph(net.depthwise(a, net.weights(1, 5, 5, 3))), fuse_pad)
    assert operators(after) == ["DEPTHWISE_CONV_2D"]
    assert after.nodes[0].attrs["pad_h"] == (3, 3)


def test_another_code_than_the_zero_point_stays() -> None:
    net = Net(zero_point=-5)
    a = net.pad(net.input, AROUND, -6, zp=-5)
    graph = net.graph(net.conv(a, net.weights(2, 3, 3, 3), padding="VALID"))
    assert operators(check_exact(graph, fuse_pad)) == ["PADV2", "CONV_2D"]


def test_added_channels_stay() -> None:
    net = Net()
    a = net.pad(net.input, [[0, 0], [1, 1], [1, 1], [0, 1]])
    graph = net.graph(net.conv(a, net.weights(2, 3, 3, 4), padding="VALID"))
    assert operators(fuse_pad(graph)) == ["PAD", "CONV_2D"]


def test_a_border_beyond_the_window_stays() -> None:
    net = Net()
    a = net.pad(net.input, [[0, 0], [3, 3], [1, 1], [0, 0]])
    graph = net.graph(net.conv(a, net.weights(2, 3, 3, 3), padding="VALID"))
    assert operators(fuse_pad(graph)) == ["PAD", "CONV_2D"]


@pytest.mark.parametrize("output", [True, False])
def test_a_border_that_somebody_else_wants_stays(output: bool) -> None:
    net = Net()
    a = net.pad(net.input, AROUND)
    b = net.conv(a, net.weights(2, 3, 3, 3), padding="VALID")
    graph = net.graph(b, a) if output else net.graph(b, net.unary("TANH", a, scale=1 / 128))
    assert "PAD" in operators(fuse_pad(graph))


def test_two_convolutions_share_a_border() -> None:
    net = Net()
    a = net.pad(net.input, AROUND)
    b = net.conv(a, net.weights(2, 3, 3, 3), padding="VALID")
    c = net.depthwise(a, net.weights(1, 2, 2, 3), padding="VALID")
    assert operators(check_exact(net.graph(b, c), fuse_pad)) == ["CONV_2D", "DEPTHWISE_CONV_2D"]


@pytest.mark.parametrize(("activation", "left"), [("RELU", 2), ("NONE", 3)])
def test_max_pooling_only_where_no_code_lies_below_the_border(activation: str, left: int) -> None:
    net = Net()
    a = net.conv(net.input, net.weights(2, 1, 1, 3), activation=activation, zp=-20)
    b = net.pool("MAX_POOL_2D", net.pad(a, AROUND, zp=-20), 3, 2, zp=-20)
    assert len(check_exact(net.graph(b), fuse_pad).nodes) == left


def test_averages_stay() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(2, 1, 1, 3), activation="RELU", zp=-20)
    graph = net.graph(net.pool("AVERAGE_POOL_2D", net.pad(a, AROUND, zp=-20), 3, 2, zp=-20))
    assert len(fuse_pad(graph).nodes) == 3


def network() -> bytes:
    """Every window that takes a border, in odd sizes."""
    net = Net(zero_point=3)
    a = net.conv(
        net.pad(net.input, [[0, 0], [1, 0], [2, 1], [0, 0]], zp=3), net.weights(4, 2, 4, 3), padding="VALID", zp=-9
    )
    b = net.depthwise(net.pad(a, AROUND, zp=-9), net.weights(1, 3, 3, 4), padding="VALID", zp=-128)
    c = net.pool("MAX_POOL_2D", net.pad(net.unary("RELU", b, -128), AROUND, zp=-128), 3, 2, zp=-128)
    return net.model(net.reshape(c, 1, 36, zp=-128))


def test_switched_off_the_border_is_a_layer() -> None:
    off = compile_model(network(), disable=["fuse-pad"])
    assert [layer.op for layer in off.layers].count("PAD") == 3
    assert "PAD" not in [layer.op for layer in compile_model(network()).layers]


def test_an_unknown_switch_is_refused() -> None:
    with pytest.raises(OptionError, match=r"cannot switch off 'fuse-pads': allowed are .*fuse-pad"):
        compile_model(network(), disable=["fuse-pads"])


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
@pytest.mark.parametrize(
    ("runtime", "disable"),
    [(Host(), ()), (Host(), ("fuse-pad",)), (HostDsp(), ()), (HostStream("h"), ()), (HostStream("w"), ())],
)
def test_generated_code(runtime: Host, disable: tuple[str, ...]) -> None:
    model = network()
    x = np.random.default_rng(2).integers(-128, 128, (1, 5, 6, 3)).astype(np.int8)
    runtime.disable = disable
    (got,) = runtime.run(model, [x])
    assert np.array_equal(got, oracle.run_model(model, [x])[0])
