"""A convolution with the max-pooling of two behind it: which pairs join, which must not, and the generated code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from property.runtimes import HostDsp
from support import oracle
from support.pass_nets import Net, operators
from thumbnet.codegen import compile_model
from thumbnet.codegen.passes.fuse_pool import fuse_pool

PAIR = ["CONV_2D_MAX_POOL_2D"]
BOTH = ["CONV_2D", "MAX_POOL_2D"]


def pooled(net: Net, x: int, window: tuple[int, int], zp: int = 0, **options: Any) -> int:
    """MAX_POOL_2D whose stride is its window unless told."""
    padding = options.pop("padding", "VALID")
    shape = net.builder.shape(x)
    sizes = [-(-n // k) if padding == "SAME" else n // k for n, k in zip(shape[1:3], window, strict=True)]
    y = net.tensor((1, *sizes, shape[3]), zp)
    names = {"filter_h": window[0], "filter_w": window[1], "stride_h": window[0], "stride_w": window[1]}
    net.builder.operator("MAX_POOL_2D", [x], [y], padding=padding, **{**names, "activation": "NONE", **options})
    return y


@pytest.mark.parametrize(("window", "axis"), [((2, 1), "h"), ((1, 2), "w")])
def test_a_window_of_two_joins(window: tuple[int, int], axis: str) -> None:
    net = Net()
    graph = fuse_pool(net.graph(pooled(net, net.conv(net.input, net.weights(4, 3, 3, 3)), window)))
    assert operators(graph) == PAIR
    assert graph.nodes[0].attrs["pool_axis"] == axis


@pytest.mark.parametrize("window", [(2, 2), (3, 1), (1, 3), (1, 1)])
def test_other_windows_stay(window: tuple[int, int]) -> None:
    net = Net()
    graph = net.graph(pooled(net, net.conv(net.input, net.weights(4, 3, 3, 3)), window))
    assert operators(fuse_pool(graph)) == BOTH


def test_padding_before_the_window_stays() -> None:
    net = Net()
    a = net.pad(
        net.conv(net.input, net.weights(4, 3, 3, 3), activation="RELU", zp=-128),
        [[0, 0], [1, 0], [0, 0], [0, 0]],
        zp=-128,
    )
    graph = net.graph(pooled(net, a, (2, 1), zp=-128))
    assert "CONV_2D" in operators(compile_graph(graph))


def compile_graph(graph: Any) -> Any:
    """PAD goes into the pooling first, which must then stay apart."""
    from thumbnet.codegen.passes.fuse_pad import fuse_pad

    return fuse_pool(fuse_pad(graph))


def test_a_clamp_of_the_pooling_stays() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 3, 3, 3))
    assert operators(fuse_pool(net.graph(pooled(net, a, (2, 1), activation="RELU")))) == BOTH


def test_a_clamp_that_the_convolution_has_already_joins() -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 3, 3, 3), activation="RELU")
    assert operators(fuse_pool(net.graph(pooled(net, a, (2, 1), activation="RELU")))) == PAIR


@pytest.mark.parametrize("output", [True, False])
def test_a_convolution_that_somebody_else_reads_stays(output: bool) -> None:
    net = Net()
    a = net.conv(net.input, net.weights(4, 3, 3, 3))
    b = pooled(net, a, (2, 1))
    graph = net.graph(b, a if output else net.unary("TANH", a, scale=1 / 128))
    assert "MAX_POOL_2D" in operators(fuse_pool(graph))


def network(window: tuple[int, int]) -> bytes:
    """Two pairs; the second convolution has taken a border before."""
    net = Net(zero_point=-3, size=(9, 8))
    a = pooled(net, net.conv(net.input, net.weights(5, 3, 2, 3), [900, -900, 0, 50, 7], zp=6), window, zp=6)
    padded = net.pad(a, [[0, 0], [1, 0], [2, 1], [0, 0]], zp=6)
    b = net.conv(padded, net.weights(6, 2, 3, 5), padding="VALID")
    return net.model(pooled(net, b, window))


def test_the_switch() -> None:
    model = network((2, 1))
    assert [layer.op for layer in compile_model(model).layers] == PAIR * 2
    assert [layer.op for layer in compile_model(model, disable=["fuse-pool"]).layers] == BOTH * 2
    assert [layer.op for layer in compile_model(model, target="cortex-m3").layers] == BOTH * 2


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
@pytest.mark.parametrize("disable", [(), ("fuse-pool",)])
@pytest.mark.parametrize("window", [(2, 1), (1, 2)])
def test_generated_code(window: tuple[int, int], disable: tuple[str, ...]) -> None:
    model, runtime = network(window), HostDsp()
    x = np.random.default_rng(2).integers(-128, 128, (1, 9, 8, 3)).astype(np.int8)
    runtime.disable = disable
    (got,) = runtime.run(model, [x])
    assert np.array_equal(got, oracle.run_model(model, [x])[0])
