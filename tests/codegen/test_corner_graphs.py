"""Graphs that random draws seldom reach, compiled, run under sanitizers and compared with TFLM byte for byte.

Where TFLM cannot be asked (the wheel is missing) the NumPy reference stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from property.bulk import BulkHost
from property.runtimes import difference
from support import oracle
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import compile_model
from thumbnet.codegen.errors import UnsupportedError
from thumbnet.codegen.reference import run_model

Array = npt.NDArray[Any]
Q = {"scale": 0.1, "zero_point": -5}
R = {"scale": 0.17, "zero_point": 11}
STEP = {"stride_h": 1, "stride_w": 1}


@pytest.fixture(scope="module")
def host() -> BulkHost:
    runtime = BulkHost()
    reason = runtime.missing()
    if reason:
        pytest.skip(reason)
    return runtime


def codes(*shape: int) -> Array:
    return np.random.RandomState(sum(shape)).randint(-128, 128, size=shape).astype(np.int8)


def agree(host: BulkHost, builder: ModelBuilder, inputs: Sequence[int], outputs: Sequence[int], *values: Array) -> None:
    """Compare generated C with the oracle."""
    model = builder.build(inputs, outputs)
    wanted = oracle.run_model(model, values, len(outputs)) if oracle.available() else run_model(model, values)
    for got, expected in zip(host.run(model, values), wanted, strict=True):
        assert not difference(got, expected)


class Net(ModelBuilder):
    """Shorthand for operators whose output has the input's shape unless said otherwise."""

    def add(
        self, op: str, operands: Sequence[int | None], shape: Sequence[int], q: dict[str, Any], **options: Any
    ) -> int:
        output = self.tensor(shape, **q)
        self.operator(op, operands, [output], **options)
        return output

    def conv(self, x: int, size: Sequence[int], shape: Sequence[int], kernel: tuple[int, int], **options: Any) -> int:
        weights = codes(shape[3], *kernel, size[3])
        w = self.tensor(weights.shape, scale=0.004, data=weights)
        return self.add("CONV_2D", [x, w], shape, R, **{"padding": "SAME", **STEP, **options})


# --- tensors used in more than one way -----------------------------------------------------------------------


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"])
def test_both_operands_are_one_tensor(host: BulkHost, op: str) -> None:
    net = Net()
    x = net.tensor((1, 7), **Q)
    y = net.add("RELU", [x], (1, 7), Q)
    agree(host, net, [x], [net.add(op, [y, y], (1, 7), R)], codes(1, 7))


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"])
def test_the_constant_comes_first(host: BulkHost, op: str) -> None:
    net = Net()
    x = net.tensor((1, 3, 7), **Q)
    constant = net.tensor((7,), data=codes(7), **R)
    agree(host, net, [x], [net.add(op, [constant, x], (1, 3, 7), R)], codes(1, 3, 7))


def test_one_tensor_joined_with_itself(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((2, 3), **Q)
    y = net.add("CONCATENATION", [x, x, x], (2, 9), Q, axis=1)
    z = net.add("PACK", [y, y], (2, 2, 9), Q, axis=0, values_count=2)
    agree(host, net, [x], [z], codes(2, 3))


def test_an_output_feeds_later_layers(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((1, 5), **Q)
    first = net.add("RELU", [x], (1, 5), Q)
    second = net.add("ADD", [first, x], (1, 5), R)
    third = net.add("LOGISTIC", [second], (1, 5), {"scale": 1 / 256, "zero_point": -128})
    agree(host, net, [x], [second, third, first], codes(1, 5))


def test_a_residual_outlives_its_in_place_successors(host: BulkHost) -> None:
    net = Net()
    size = (1, 6, 6, 4)
    x = net.tensor(size, **Q)
    trunk = net.conv(x, size, size, (3, 3))
    branch = net.add("RELU", [trunk], size, R)
    branch = net.add("LEAKY_RELU", [branch], size, R, alpha=0.3)
    branch = net.add("MAX_POOL_2D", [branch], size, R, padding="SAME", filter_h=2, filter_w=2, **STEP)
    joined = net.add("ADD", [trunk, branch], size, R)
    again = net.add("MUL", [joined, trunk], size, R)
    agree(host, net, [x], [again], codes(*size))


def test_pooling_over_its_own_input(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((1, 9, 7, 5), **Q)
    y = net.add("RELU", [x], (1, 9, 7, 5), Q)
    window = {"padding": "VALID", "filter_h": 3, "filter_w": 2, "stride_h": 2, "stride_w": 1}
    z = net.add("MAX_POOL_2D", [y], (1, 4, 6, 5), Q, **window)
    w = net.add("AVERAGE_POOL_2D", [z], (1, 1, 5, 5), Q, **window)
    agree(host, net, [x], [w], codes(1, 9, 7, 5))


def test_dead_layers_and_dead_parts(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((1, 6), **Q)
    parts = [net.tensor((1, 2), **Q) for _ in range(3)]
    net.operator("SPLIT", [net.constant(1), x], parts, num_splits=3)
    net.add("RELU", [parts[0]], (1, 2), Q)
    agree(host, net, [x], [net.add("TANH", [parts[2]], (1, 2), {"scale": 1 / 128, "zero_point": 0})], codes(1, 6))


def test_an_input_that_nobody_reads(host: BulkHost) -> None:
    net = Net()
    x, unread = net.tensor((1, 6), **Q), net.tensor((3,), **R)
    agree(host, net, [unread, x], [net.add("RELU", [x], (1, 6), Q)], codes(3), codes(1, 6))


def test_all_parts_are_outputs_and_one_goes_on(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((3, 2), **Q)
    parts = [net.tensor((2,), **Q) for _ in range(3)]
    net.operator("UNPACK", [x], parts, num=3, axis=0)
    total = net.add("ADD", [parts[1], parts[2]], (2,), R)
    agree(host, net, [x], [parts[2], total, parts[0], parts[1]], codes(3, 2))


# --- the same bytes under other names ------------------------------------------------------------------------


def test_the_output_is_the_input_reshaped(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((2, 6), **Q)
    agree(host, net, [x], [net.add("RESHAPE", [x, net.constant([3, 4])], (3, 4), Q)], codes(2, 6))


def test_one_tensor_leaves_under_three_shapes(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((2, 6), **Q)
    y = net.add("RELU", [x], (2, 6), Q)
    first = net.add("RESHAPE", [y, net.constant([12])], (12,), Q)
    second = net.add("EXPAND_DIMS", [first, net.constant([0])], (1, 12), Q)
    third = net.add("SQUEEZE", [second], (12,), Q, squeeze_dims=[0])
    agree(host, net, [x], [third, y, first], codes(2, 6))


def test_a_reshaped_output_is_read_on(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((2, 6), **Q)
    y = net.add("RELU", [x], (2, 6), Q)
    flat = net.add("RESHAPE", [y, net.constant([12])], (12,), Q)
    z = net.add("LEAKY_RELU", [flat], (12,), R, alpha=0.5)
    last = net.add("ADD", [z, y_flat(net, y)], (12,), Q)
    agree(host, net, [x], [flat, last], codes(2, 6))


def y_flat(net: Net, y: int) -> int:
    return net.add("RESHAPE", [y, net.constant([12])], (12,), Q)


def test_a_mean_without_any_axis_left_is_reshaped(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((1, 3, 4), **Q)
    mean = net.add("MEAN", [x, net.constant([0, 1, 2])], (), R, keep_dims=False)
    agree(host, net, [x], [net.add("RESHAPE", [mean, net.constant([1, 1])], (1, 1), R)], codes(1, 3, 4))


def test_a_reshaped_constant(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((2, 6), **Q)
    constant = net.tensor((3, 4), data=codes(3, 4), **R)
    flat = net.add("RESHAPE", [constant, net.constant([2, 6])], (2, 6), R)
    agree(host, net, [x], [net.add("ADD", [x, flat], (2, 6), Q)], codes(2, 6))


def test_a_reshaped_constant_is_an_output(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((2, 6), **Q)
    constant = net.tensor((3, 4), data=codes(3, 4), **R)
    flat = net.add("RESHAPE", [constant, net.constant([2, 6])], (2, 6), R)
    agree(host, net, [x], [net.add("RELU", [x], (2, 6), Q), flat], codes(2, 6))


def test_layers_over_constants_alone(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((6,), **Q)
    left, right = net.tensor((6,), data=codes(6), **Q), net.tensor((1,), data=codes(1), **R)
    both = net.add("MUL", [left, right], (6,), R)
    agree(host, net, [x], [net.add("ADD", [x, both], (6,), Q)], codes(6))


# --- windows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kernel", "out", "options"),
    [
        pytest.param((1, 1, 1, 1), (1, 1), (1, 1), {}, id="all ones"),
        pytest.param((1, 1, 1, 1), (5, 5), (1, 1), {}, id="kernel larger than one pixel"),
        pytest.param((1, 3, 2, 2), (9, 7), (3, 2), {}, id="kernel larger than the image"),
        pytest.param((1, 9, 8, 2), (1, 1), (3, 2), {"stride_h": 4, "stride_w": 5}, id="stride beyond the kernel"),
        pytest.param((1, 5, 5, 1), (2, 2), (1, 1), {"stride_h": 9, "stride_w": 9}, id="stride beyond the image"),
        pytest.param((1, 7, 6, 2), (3, 3), (7, 6), {"dilation_h": 3, "dilation_w": 2}, id="dilated"),
        pytest.param((1, 4, 3, 2), (3, 3), (4, 3), {"dilation_h": 9, "dilation_w": 8}, id="taps all outside"),
        pytest.param((1, 1, 65535, 1), (1, 3), (1, 65535), {}, id="longest signal"),
        pytest.param((1, 65535, 1, 1), (3, 1), (32768, 1), {"stride_h": 2}, id="tallest signal"),
        pytest.param((1, 1, 2, 1), (1, 65535), (1, 2), {}, id="longest kernel"),
        pytest.param((1, 2, 2, 1), (2, 2), (2, 2), {"dilation_h": 65534, "dilation_w": 65534}, id="widest dilation"),
    ],
)
def test_windows(
    host: BulkHost, size: tuple[int, ...], kernel: tuple[int, int], out: tuple[int, int], options: dict[str, int]
) -> None:
    net = Net()
    x = net.tensor(size, **Q)
    y = net.conv(x, size, (1, *out, 3), kernel, **options)
    weights = codes(1, *kernel, size[3] * 2)
    w = net.tensor(weights.shape, scale=0.01, data=weights)
    window = {"padding": "SAME", **STEP, **options}
    z = net.add("DEPTHWISE_CONV_2D", [x, w], (1, *out, size[3] * 2), R, depth_multiplier=2, **window)
    agree(host, net, [x], [y, z], codes(*size))


@pytest.mark.parametrize("op", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "out"),
    [
        pytest.param((1, 1), (1, 1), (1, 1), (1, 1), id="all ones"),
        pytest.param((2, 3), (9, 9), (1, 1), (2, 3), id="filter larger than the image"),
        pytest.param((9, 8), (2, 2), (4, 5), (3, 2), id="stride beyond the filter"),
        pytest.param((1, 65535), (1, 2), (1, 2), (1, 32768), id="longest signal"),
    ],
)
def test_pools(
    host: BulkHost,
    op: str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    out: tuple[int, int],
) -> None:
    net = Net()
    x = net.tensor((1, *size, 3), **Q)
    window = {"filter_h": kernel[0], "filter_w": kernel[1], "stride_h": stride[0], "stride_w": stride[1]}
    agree(host, net, [x], [net.add(op, [x], (1, *out, 3), Q, padding="SAME", **window)], codes(1, *size, 3))


def test_wide_padding(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((1, 2, 1, 2), **Q)
    y = net.add("PAD", [x, net.constant([[0, 0], [100, 3], [0, 77], [1, 0]])], (1, 105, 78, 3), Q)
    agree(host, net, [x], [y], codes(1, 2, 1, 2))


def test_many_rows_of_a_dense_layer(host: BulkHost) -> None:
    net = Net()
    x = net.tensor((65535, 2), **Q)
    w = net.tensor((1, 2), scale=0.01, data=codes(1, 2))
    agree(host, net, [x], [net.add("FULLY_CONNECTED", [x, w, None], (65535, 1), R)], codes(65535, 2))


# --- other types ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int32", "int16", "bool"])
def test_values_of_other_types_are_joined(host: BulkHost, dtype: str) -> None:
    if dtype == "float32":
        held: Array = np.array([1.0, -1.5, 0.0, -0.0, 1e-45, 3.4e38, 0.1], np.float32)
    else:
        info = None if dtype == "bool" else np.iinfo(dtype)
        low, high = (0, 1) if info is None else (info.min, info.max)
        held = np.array([low, high, 0, 1, 1, low, high]).astype(dtype)
    net = Net()
    x, constant = net.tensor((7,), dtype), net.tensor((7,), dtype, data=held)
    y = net.tensor((14,), dtype)
    net.operator("CONCATENATION", [constant, x], [y], axis=0)
    z = net.tensor((2, 7), dtype)
    net.operator("RESHAPE", [y, net.constant([2, 7])], [z], new_shape=[2, 7])
    agree(host, net, [x], [z], held[::-1].copy())


def test_floats_around_every_half(host: BulkHost) -> None:
    """The largest float below a half must not be rounded up; far values saturate."""
    halves = (np.arange(-300, 301) / 2).astype(np.float32)
    around = [np.nextafter(halves, np.float32(limit)) for limit in (-np.inf, np.inf)]
    far = np.array([255.9, 256, 257, 1e6, 2e9, -255.9, -256, -1e6, -2e9, 1e-45, -0.0], np.float32)
    values = np.concatenate([halves, *around, far])
    net = Net()
    x = net.tensor(values.shape, "float32")
    outputs = []
    for zero_point in (-128, 0, 127):
        outputs.append(net.add("QUANTIZE", [x], values.shape, {"scale": 1.0, "zero_point": zero_point}))
    agree(host, net, [x], outputs, values)


def test_what_no_code_stands_for(host: BulkHost) -> None:
    """TFLM is undefined here; the generated code saturates, and NaN gives the lowest code."""
    net = Net()
    x = net.tensor((6,), "float32")
    y = net.add("QUANTIZE", [x], (6,), {"scale": 1e-3, "zero_point": 3})
    values = np.array([np.inf, -np.inf, np.nan, 3e38, -3e38, 0], np.float32)
    (got,) = host.run(net.build([x], [y]), [values])
    assert got.tolist() == [127, -128, -128, 127, -128, 3]


def test_floats_in_and_floats_out(host: BulkHost) -> None:
    net = Net()
    size = (1, 6, 5, 2)
    x = net.tensor(size, "float32")
    inner = net.conv(net.add("QUANTIZE", [x], size, Q), size, (1, 6, 5, 3), (3, 3))
    y = net.tensor((1, 6, 5, 3), "float32")
    net.operator("DEQUANTIZE", [net.add("LEAKY_RELU", [inner], (1, 6, 5, 3), R, alpha=0.1)], [y])
    agree(host, net, [x], [y], np.random.RandomState(5).normal(0, 8, size).astype(np.float32))


# --- refusals ------------------------------------------------------------------------------------------------


def batch() -> ModelBuilder:
    net = Net()
    x = net.tensor((2, 4, 4, 1), **Q)
    net.conv(x, (2, 4, 4, 1), (2, 4, 4, 1), (1, 1))
    return net


def empty() -> ModelBuilder:
    net = Net()
    net.add("RELU", [net.tensor((1, 0, 3), **Q)], (1, 0, 3), Q)
    return net


def too_long() -> ModelBuilder:
    net = Net()
    x = net.tensor((1, 1, 65536, 1), **Q)
    net.conv(x, (1, 1, 65536, 1), (1, 1, 65536, 1), (1, 1))
    return net


def too_many_rows() -> ModelBuilder:
    net = Net()
    x = net.tensor((300, 300, 1), **Q)
    w = net.tensor((1, 1), scale=0.01, data=codes(1, 1))
    net.add("FULLY_CONNECTED", [x, w, None], (300, 300, 1), R, keep_num_dims=True)
    return net


def too_wide() -> ModelBuilder:
    net = Net()
    x = net.tensor((1, 1, 5, 1), **Q)
    net.conv(x, (1, 1, 5, 1), (1, 1, 5, 1), (1, 5), dilation_h=1, dilation_w=40000)
    return net


def shrinking_backwards() -> ModelBuilder:
    net = Net()
    x = net.tensor((4,), **Q)
    bounds = [net.constant([2]), net.constant([0]), net.constant([-1])]
    net.add("STRIDED_SLICE", [x, *bounds], (), Q, shrink_axis_mask=1)
    return net


def beyond_the_end() -> ModelBuilder:
    net = Net()
    x = net.tensor((4,), **Q)
    net.add("SLICE", [x, net.constant([2]), net.constant([5])], (2,), Q)
    return net


def no_such_axis() -> ModelBuilder:
    net = Net()
    x = net.tensor((4,), **Q)
    net.add("CONCATENATION", [x, x], (8,), Q, axis=3)
    return net


def uneven_parts() -> ModelBuilder:
    net = Net()
    x = net.tensor((7,), **Q)
    net.operator("SPLIT", [net.constant(0), x], [net.tensor((2,), **Q) for _ in range(3)], num_splits=3)
    return net


def not_finite() -> ModelBuilder:
    net = Net()
    x, held = net.tensor((2,), "float32"), net.tensor((2,), "float32", data=[np.nan, np.inf])
    net.operator("CONCATENATION", [held, x], [net.tensor((4,), "float32")], axis=0)
    return net


def other_size() -> ModelBuilder:
    net = Net()
    net.add("RELU", [net.tensor((4,), **Q)], (2,), Q)
    return net


def other_type() -> ModelBuilder:
    net = Net()
    net.operator("RESHAPE", [net.tensor((4,), "int32"), net.constant([4])], [net.tensor((4,), "float32")])
    return net


def dequantized_to_integers() -> ModelBuilder:
    net = Net()
    net.operator("DEQUANTIZE", [net.tensor((4,), **Q)], [net.tensor((4,), "int32")])
    return net


def six_dimensions() -> ModelBuilder:
    net = Net()
    x = net.tensor((1, 2, 1, 2, 1, 2), **Q)
    net.add("PAD", [x, net.constant([[1, 1]] * 6)], (3, 4, 3, 4, 3, 4), Q)
    return net


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (batch, "batch 1"),
        (empty, "shape .1, 0, 3. is empty"),
        (too_long, "dimensions are 1 to 65535"),
        (too_many_rows, "at most 65535 rows"),
        (too_wide, "kernel 5, stride 1, dilation 40000"),
        (shrinking_backwards, "do not apply to shape"),
        (beyond_the_end, "do not apply to shape"),
        (no_such_axis, "do not fit shape"),
        (uneven_parts, "do not apply to shape"),
        (not_finite, "not finite"),
        (other_size, "as many elements"),
        (other_type, "they are float32 and int32"),
        (dequantized_to_integers, "got int8 to int32"),
        (six_dimensions, "up to 5 dimensions"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_refused(make: Callable[[], ModelBuilder], sentence: str) -> None:
    net = make()
    last = net._operators[-1]
    with pytest.raises(UnsupportedError, match=sentence):
        compile_model(net.build([0], [int(last.outputs[0])]), target="host")


def port_models() -> dict[str, tuple[bytes, str]]:
    def model(build: Callable[[Net, int, int], tuple[list[int], list[int]]], dtype: str = "int8") -> bytes:
        net = Net()
        q = Q if dtype == "int8" else {}
        x = net.tensor((4,), dtype, name="x", **q)
        y = net.tensor((4,), dtype, name="y", **q)
        net.operator("RESHAPE", [x, net.constant([4])], [y])
        return net.build(*build(net, x, y))

    def constant_alone() -> bytes:
        net = Net()
        held = net.tensor((4,), data=codes(4), **Q)
        return net.build([], [net.add("RELU", [held], (4,), Q)])

    constant = {"data": [1, 2, 3], "name": "held", **Q}
    return {
        "no input": (constant_alone(), "the model has no input"),
        "no output": (model(lambda net, x, y: ([x], [])), "the model has no output"),
        "output is the input": (model(lambda net, x, y: ([x], [x])), "computed by no layer"),
        "output twice": (model(lambda net, x, y: ([x], [y, y])), "as an output twice"),
        "input twice": (model(lambda net, x, y: ([x, x], [y])), "as an input twice"),
        "constant input": (model(lambda net, x, y: ([x, net.tensor((3,), **constant)], [y])), "'held' is a constant"),
        "unread float64": (
            model(lambda net, x, y: ([x, net.tensor((4,), "float64", name="wide")], [y])),
            "input 'wide' is float64",
        ),
    }


@pytest.mark.parametrize(("model", "sentence"), port_models().values(), ids=port_models())
def test_refused_ports(model: bytes, sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        compile_model(model, target="host")
