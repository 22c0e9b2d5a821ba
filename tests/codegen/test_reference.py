"""The NumPy reference against plain loops over its definition; equality with the oracle is tested in property/.

The loops below use neither NumPy arithmetic nor code of the reference, so that a slip in slicing or padding
shows even where the TFLM wheel is missing.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.tflite_builder import ModelBuilder
from thumbnet.codegen.errors import OptionError, UnsupportedError
from thumbnet.codegen.ir import Quantization
from thumbnet.codegen.quantized_math import conv_multipliers, multiply_by_quantized_multiplier
from thumbnet.codegen.reference import run_graph, run_model
from thumbnet.codegen.reference.activations import lookup_table, relu6, rsqrt
from thumbnet.codegen.reference.conv import conv2d, depthwise_conv2d
from thumbnet.codegen.reference.layout import slice_, strided_slice
from thumbnet.codegen.reference.pooling import average_pool_2d, max_pool_2d
from thumbnet.codegen.reference.softmax import exponential_table, softmax
from thumbnet.codegen.tflite import read_graph

Q_IN, Q_OUT = Quantization((0.05,), (-7,)), Quantization((0.4,), (3,))


def random_codes(seed: int, *shape: int) -> np.ndarray:
    return np.random.RandomState(seed).randint(-128, 128, size=shape).astype(np.int8)


def taps(length: int, outputs: int, kernel: int, stride: int, dilation: int, padding: str):
    """Input positions of each output, None outside, from the textbook definition of SAME."""
    extent = (outputs - 1) * stride + (kernel - 1) * dilation + 1
    before = max(extent - length, 0) // 2 if padding == "SAME" else 0
    for output in range(outputs):
        positions = [output * stride - before + tap * dilation for tap in range(kernel)]
        yield [position if 0 <= position < length else None for position in positions]


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("dilation", [(1, 1), (1, 2)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_convolutions(padding: str, stride: tuple, dilation: tuple, depthwise: bool) -> None:
    x = random_codes(1, 1, 6, 9, 2)
    w = random_codes(2, 1, 3, 2, 6) if depthwise else random_codes(2, 3, 3, 2, 2)
    filters = w.shape[3] if depthwise else w.shape[0]
    bias = np.random.RandomState(3).randint(-5000, 5000, size=filters).astype(np.int32)
    q_w = Quantization(tuple(float(np.float32(0.001 * (c + 1))) for c in range(filters)), (0,) * filters)
    got = (depthwise_conv2d if depthwise else conv2d)(
        x,
        w,
        bias,
        stride=stride,
        dilation=dilation,
        padding=padding,
        activation="RELU",
        q_in=Q_IN,
        q_w=q_w,
        q_out=Q_OUT,
    )
    multipliers = conv_multipliers(Q_IN.scale, q_w.scales, Q_OUT.scale)
    rows = list(taps(6, got.shape[1], 3, stride[0], dilation[0], padding))
    columns = list(taps(9, got.shape[2], 2, stride[1], dilation[1], padding))
    for (i, row), (j, column), c in itertools.product(enumerate(rows), enumerate(columns), range(filters)):
        total = int(bias[c])
        for (m, y), (n, z) in itertools.product(enumerate(row), enumerate(column)):
            if y is None or z is None:
                continue
            if depthwise:
                total += (int(x[0, y, z, c // 3]) + 7) * int(w[0, m, n, c])
            else:
                total += sum((int(x[0, y, z, k]) + 7) * int(w[c, m, n, k]) for k in range(2))
        scaled = int(multiply_by_quantized_multiplier(total, *multipliers[c])) + 3
        assert got[0, i, j, c] == min(max(scaled, 3), 127)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (4, 1)])
def test_pooling(padding: str, stride: tuple[int, int]) -> None:
    x = random_codes(4, 1, 7, 8, 2)
    options = {"window": (3, 4), "stride": stride, "padding": padding, "activation": "NONE", "q_out": Q_IN}
    largest, average = max_pool_2d(x, **options), average_pool_2d(x, **options)
    rows = list(taps(7, largest.shape[1], 3, stride[0], 1, padding))
    columns = list(taps(8, largest.shape[2], 4, stride[1], 1, padding))
    for (i, row), (j, column), c in itertools.product(enumerate(rows), enumerate(columns), range(2)):
        inside = itertools.product(filter(lambda y: y is not None, row), filter(lambda z: z is not None, column))
        window = [int(x[0, y, z, c]) for y, z in inside]
        total, half = sum(window), len(window) // 2
        rounded = (total + half) // len(window) if total > 0 else -((half - total) // len(window))
        assert largest[0, i, j, c] == max(window)
        assert average[0, i, j, c] == rounded


def test_softmax_of_equal_codes_is_uniform() -> None:
    assert softmax(np.full((2, 4), 5, np.int8), beta=1.0, q_in=Q_IN).tolist() == [[-64] * 4] * 2


def test_exponential_table_starts_at_one_and_falls() -> None:
    table = exponential_table(1.0, 0.1)
    assert table[0] == 2**31 - 1
    assert (np.diff(table) <= 0).all()


def test_lookup_tables_cover_every_code() -> None:
    table = lookup_table(lambda codes: relu6(codes, q_in=Quantization((0.1,), (10,))))
    assert table.shape == (256,)
    assert table[128 + 10] == 10
    assert table[128 + 100] == 70
    assert (rsqrt(np.array([-9, -8], np.int8), q_in=Quantization((0.1,), (-8,)), q_out=Q_OUT) == 127).all()


def test_slices() -> None:
    x = random_codes(5, 4, 5)
    assert (slice_(x, [1, 0], [2, -1]) == x[1:3]).all()
    backwards = strided_slice(x, [-1, 0], [-9, 0], [-2, 1], end_mask=2)
    assert (backwards == x[::-2]).all()
    assert (strided_slice(x, [1, 2], [0, 0], [1, 1], end_mask=1, shrink_axis_mask=2) == x[1:, 2]).all()


def square_model() -> bytes:
    builder = ModelBuilder()
    x = builder.tensor((2, 3), scale=0.1)
    y = builder.tensor((2, 3), scale=0.2)
    z = builder.tensor((2, 3), scale=0.1)
    builder.operator("MUL", [x, x], [y])
    builder.operator("RELU", [y], [z])
    return builder.build([x], [z])


def test_the_interpreter_keeps_every_tensor_on_request() -> None:
    graph = read_graph(square_model())
    x = random_codes(6, 2, 3)
    assert set(run_graph(graph, [x])) == set(graph.outputs)
    assert set(run_graph(graph, [x], keep=True)) == set(graph.tensors)


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ([], "takes 1 inputs, got 0"),
        ([np.zeros((3, 2), np.int8)], r"must be int8 of shape \[2, 3\], got int8 of shape \[3, 2\]"),
        ([np.zeros((2, 3))], "got float64"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: list, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        run_model(square_model(), inputs)


def test_an_operator_without_reference_is_named() -> None:
    builder = ModelBuilder()
    x, y = builder.tensor((4,), scale=0.1), builder.tensor((4,), scale=0.1)
    builder.operator("ABS", [x], [y])
    with pytest.raises(UnsupportedError, match="layer 0 is ABS"):
        run_model(builder.build([x], [y]), [np.zeros(4, np.int8)])
