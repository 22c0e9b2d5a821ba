"""Streams that random draws seldom reach, against TFLM byte for byte, along both axes."""

from __future__ import annotations

import numpy as np
import pytest
from property.bulk import BulkHost
from property.runtimes import difference
from support import oracle
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import compile_model
from thumbnet.codegen.errors import OptionError
from thumbnet.codegen.reference import run_model

Q = {"scale": 0.1, "zero_point": -5}
R = {"scale": 0.17, "zero_point": 11}


@pytest.fixture(scope="module", params=["stream-h", "stream-w"])
def host(request: pytest.FixtureRequest) -> BulkHost:
    runtime = BulkHost(schedule=request.param)
    reason = runtime.missing()
    if reason:
        pytest.skip(reason)
    return runtime


def codes(*shape: int) -> np.ndarray:
    return np.random.RandomState(sum(shape)).randint(-128, 128, size=shape).astype(np.int8)


def agree(host: BulkHost, model: bytes, value: np.ndarray) -> None:
    """Compare with the oracle; a model that does not stream at all is run as a whole."""
    wanted = oracle.run_model(model, [value], 1) if oracle.available() else run_model(model, [value])
    try:
        (got,) = host.run(model, [value])
    except OptionError:
        (got,) = BulkHost().run(model, [value])
    assert not difference(got, wanted[0])


def flattened(net: ModelBuilder, x: int, y: int) -> bytes:
    """Layers that write the model's output are never streamed, hence a last one behind them."""
    shape = [int(np.prod(net.shape(y)))]
    flat = net.tensor_like(y, shape)
    net.operator("RESHAPE", [y, net.constant(shape)], [flat])
    return net.build([x], [flat])


@pytest.mark.parametrize(
    "shape", [(5, 1, 2), (5, 4, 1), (1, 4, 2), (4, 2), (2,), (1, 5, 4, 2), (1, 1, 1, 1), (3, 5, 4, 2)]
)
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
def test_constants_of_any_rank(host: BulkHost, op: str, shape: tuple[int, ...]) -> None:
    net = ModelBuilder()
    x = net.tensor((1, 5, 4, 2), **Q)
    y = net.tensor(np.broadcast_shapes((1, 5, 4, 2), shape), **R)
    net.operator(op, [net.tensor(shape, data=codes(*shape), **R), x], [y])
    agree(host, flattened(net, x, y), codes(1, 5, 4, 2))


@pytest.mark.parametrize("axes", [[1, 2], [1], [2], [0, 1, 2], [3], [1, 3]])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("keep_dims", [False, True])
def test_means(host: BulkHost, batch: int, axes: list[int], keep_dims: bool) -> None:
    size = (batch, 5, 4, 3)
    shape = [1 if axis in axes else length for axis, length in enumerate(size) if keep_dims or axis not in axes]
    net = ModelBuilder()
    x, y = net.tensor(size, **Q), net.tensor(shape, **R)
    net.operator("MEAN", [x, net.constant(axes)], [y], keep_dims=keep_dims)
    agree(host, flattened(net, x, y), codes(*size))


@pytest.mark.parametrize("op", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_pools_as_long_as_the_stream(host: BulkHost, op: str, stride: int) -> None:
    net = ModelBuilder()
    length = -(-2 // stride)
    x, y = net.tensor((1, 2, 2, 3), **Q), net.tensor((1, length, length, 3), **Q)
    window = {"filter_h": 2, "filter_w": 2, "stride_h": stride, "stride_w": stride, "padding": "SAME"}
    net.operator(op, [x], [y], **window)
    agree(host, flattened(net, x, y), codes(1, 2, 2, 3))


def test_more_layers_than_a_word_has_bits(host: BulkHost) -> None:
    net = ModelBuilder()
    x = y = net.tensor((1, 6, 5, 2), **Q)
    window = {"filter_h": 2, "filter_w": 2, "stride_h": 1, "stride_w": 1, "padding": "SAME"}
    for _ in range(40):
        before, y = y, net.tensor((1, 6, 5, 2), **Q)
        net.operator("MAX_POOL_2D", [before], [y], **window)
    agree(host, flattened(net, x, y), codes(1, 6, 5, 2))


def test_a_stream_of_one_slice(host: BulkHost) -> None:
    net = ModelBuilder()
    x, y = net.tensor((1, 1, 1, 3), **Q), net.tensor((1, 1, 1, 3), **R)
    w = net.tensor((3, 3, 3, 3), scale=0.004, data=codes(3, 3, 3, 3))
    net.operator("CONV_2D", [x, w], [y], stride_h=1, stride_w=1, padding="SAME")
    agree(host, flattened(net, x, y), codes(1, 1, 1, 3))


def test_windows_that_skip_slices(host: BulkHost) -> None:
    net = ModelBuilder()
    x, y, z = net.tensor((1, 11, 13, 2), **Q), net.tensor((1, 3, 3, 2), **R), net.tensor((1, 1, 1, 2), **R)
    w = net.tensor((1, 1, 1, 2), scale=0.01, data=codes(1, 1, 1, 2))
    step = {"stride_h": 5, "stride_w": 6, "padding": "VALID"}
    net.operator("DEPTHWISE_CONV_2D", [x, w], [y], depth_multiplier=1, **step)
    net.operator("MEAN", [y, net.constant([1, 2])], [z], keep_dims=True)
    agree(host, flattened(net, x, z), codes(1, 11, 13, 2))


def test_two_windows_of_different_reach_meet(host: BulkHost) -> None:
    """A residual around a dilated layer: the short way has to wait for the long one."""
    net = ModelBuilder()
    size = (1, 17, 19, 2)
    x, slow, fast, y = (net.tensor(size, **q) for q in (Q, R, R, Q))
    long_w = net.tensor((2, 3, 3, 2), scale=0.004, data=codes(2, 3, 3, 2))
    short_w = net.tensor((2, 1, 1, 2), scale=0.01, data=codes(2, 1, 1, 2))
    step = {"stride_h": 1, "stride_w": 1, "padding": "SAME"}
    net.operator("CONV_2D", [x, long_w], [slow], dilation_h=5, dilation_w=6, **step)
    net.operator("CONV_2D", [x, short_w], [fast], **step)
    net.operator("ADD", [slow, fast], [y])
    agree(host, flattened(net, x, y), codes(*size))


def test_a_model_that_does_not_stream_is_refused() -> None:
    net = ModelBuilder()
    x, y = net.tensor((1, 6), **Q), net.tensor((1, 2), **R)
    w = net.tensor((2, 6), scale=0.01, data=codes(2, 6))
    net.operator("FULLY_CONNECTED", [x, w, None], [y])
    with pytest.raises(OptionError, match="the model's first layer needs its whole input"):
        compile_model(net.build([x], [y]), target="host", schedule="stream-h")
