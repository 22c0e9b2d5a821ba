"""Layers that run slice by slice, one at a time: what moves values, pads, reduces or is dense, in three and four axes.

Each model is a convolution, the layer and a mean over what is left, so that the layer is inside the stream, which the
state shows: it stays below the layer's own tensors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from property.bulk import BulkHost
from property.runtimes import difference
from support import oracle
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import compile_model
from thumbnet.codegen.reference import run_model

Q = {"scale": 0.1, "zero_point": -5}
LENGTH, WIDTH, CHANNELS = 67, 4, 6
IMAGE = (1, LENGTH, WIDTH, CHANNELS)
SIGNAL = (1, LENGTH, CHANNELS)

Layer = Callable[[ModelBuilder, int], list[int]]


@pytest.fixture(scope="module")
def host() -> BulkHost:
    runtime = BulkHost(schedule="stream-h")
    if runtime.missing():
        pytest.skip(str(runtime.missing()))
    return runtime


def codes(*shape: int) -> np.ndarray:
    return np.random.RandomState(sum(shape)).randint(-128, 128, size=shape).astype(np.int8)


def layer(
    op: str, shape: tuple[int, ...], *constants: object, data: int = 0, parts: int = 1, **options: object
) -> Layer:
    """A layer with one data input among constants."""

    def add(net: ModelBuilder, x: int) -> list[int]:
        inputs: list[int | None] = [net.constant(np.array(value, np.int32)) for value in constants]
        inputs.insert(data, x)
        outputs = [net.tensor(shape, **Q) for _ in range(parts)]
        net.operator(op, inputs, outputs, **options)
        return outputs

    return add


def twice(op: str, shape: tuple[int, ...], **options: object) -> Layer:
    def add(net: ModelBuilder, x: int) -> list[int]:
        y = net.tensor(shape, **Q)
        net.operator(op, [x, x], [y], **options)
        return [y]

    return add


def dense(net: ModelBuilder, x: int) -> list[int]:
    shape = net.shape(x)
    w = net.tensor((9, shape[-1]), scale=0.01, data=codes(9, shape[-1]))
    y = net.tensor((*shape[:-1], 9), **Q)
    net.operator("FULLY_CONNECTED", [x, w, None], [y], keep_num_dims=True)
    return [y]


def softmax(net: ModelBuilder, x: int) -> list[int]:
    y = net.tensor(tuple(net.shape(x)), scale=1 / 256, zero_point=-128)
    net.operator("SOFTMAX", [x], [y], beta=1.0)
    return [y]


def padded(*widths: tuple[int, int]) -> Layer:
    shape = tuple(size + sum(width) for size, width in zip(IMAGE, widths, strict=True))
    return layer("PAD", shape, widths)


MASKS = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0}
LAYERS: dict[str, tuple[tuple[int, ...], Layer]] = {
    "pad_time": (IMAGE, padded((0, 0), (3, 2), (0, 0), (0, 0))),
    "pad_all": (IMAGE, padded((0, 0), (1, 4), (2, 1), (0, 3))),
    "pad_width": (IMAGE, padded((0, 0), (0, 0), (1, 1), (0, 0))),
    "transpose": (IMAGE, layer("TRANSPOSE", (1, LENGTH, CHANNELS, WIDTH), [0, 1, 3, 2])),
    "slice": (IMAGE, layer("SLICE", (1, LENGTH, 2, 3), [0, 0, 1, 2], [1, -1, 2, 3])),
    "split": (IMAGE, layer("SPLIT", (1, LENGTH, WIDTH, 3), 3, data=1, parts=2, num_splits=2)),
    "unpack": (IMAGE, layer("UNPACK", SIGNAL, parts=WIDTH, num=WIDTH, axis=2)),
    "pack": (SIGNAL, twice("PACK", (1, LENGTH, 2, CHANNELS), axis=2, values_count=2)),
    "concatenate": (SIGNAL, twice("CONCATENATION", (1, LENGTH, 2 * CHANNELS), axis=2, activation="NONE")),
    "shrink": (
        IMAGE,
        layer("STRIDED_SLICE", SIGNAL, [0, 0, 2, 0], [1, LENGTH, 3, CHANNELS], [1, 1, 1, 1],
              shrink_axis_mask=4, **MASKS),
    ),
    "backwards": (
        IMAGE,
        layer("STRIDED_SLICE", (1, LENGTH, 2, CHANNELS), [0, 0, 3, 0], [1, LENGTH, 0, CHANNELS], [1, 1, -2, 1],
              shrink_axis_mask=0, **MASKS),
    ),
    "reshape": (IMAGE, layer("RESHAPE", (1, LENGTH, CHANNELS, WIDTH), [1, LENGTH, CHANNELS, WIDTH])),
    "flatten": (IMAGE, layer("RESHAPE", (1, LENGTH, WIDTH * CHANNELS), [1, LENGTH, WIDTH * CHANNELS])),
    "maximum": (IMAGE, layer("REDUCE_MAX", (1, LENGTH, 1, CHANNELS), [2], keep_dims=True)),
    "maximum_of_channels": (IMAGE, layer("REDUCE_MAX", (1, LENGTH, WIDTH), [3], keep_dims=False)),
    "dense": (SIGNAL, dense),
    "dense_on_image": (IMAGE, dense),
    "softmax": (SIGNAL, softmax),
}  # fmt: skip


def model(shape: tuple[int, ...], add: Layer, reduction: str) -> bytes:
    net = ModelBuilder()
    x, y = net.tensor(shape, **Q), net.tensor(shape, scale=0.12, zero_point=3)
    net.operator("ADD", [x, net.tensor((CHANNELS,), data=codes(CHANNELS), **Q)], [y])
    before = net.tensor_like(x, shape)
    net.operator("RELU", [y], [before])
    results = []
    for part in add(net, before):
        rest = net.shape(part)
        result = net.tensor_like(part, (1, *rest[2:]))
        net.operator(reduction, [part, net.constant([1])], [result], keep_dims=False)
        results.append(result)
    return net.build([x], results)


@pytest.mark.parametrize("reduction", ["MEAN", "REDUCE_MAX"])
@pytest.mark.parametrize("name", LAYERS)
def test_layer_in_a_stream(host: BulkHost, name: str, reduction: str) -> None:
    shape, add = LAYERS[name]
    tflite, value = model(shape, add, reduction), codes(*shape)
    outputs = compile_model(tflite).outputs
    wanted = oracle.run_model(tflite, [value], len(outputs)) if oracle.available() else run_model(tflite, [value])
    for got, expected in zip(host.run(tflite, [value]), wanted, strict=True):
        assert not difference(got, expected)
    assert compile_model(tflite, schedule="stream-h").state_bytes < 600 < LENGTH * CHANNELS * 2


def one_dimensional() -> bytes:
    """Conv1D and MaxPool1D as converters write them: an axis of length 1 before or after time."""
    net = ModelBuilder()
    x = net.tensor((1, 120, 2), **Q)
    now = x
    for filters, stride in ((8, 1), (8, 2), (16, 1)):
        _, length, channels = net.shape(now)
        out = -(-length // stride)
        wide, result = net.tensor_like(now, (1, 1, length, channels)), net.tensor((1, 1, out, filters), **Q)
        net.operator("EXPAND_DIMS", [now, net.constant(1)], [wide])
        w = net.tensor((filters, 1, 3, channels), scale=0.004, data=codes(filters, 1, 3, channels))
        step = {"stride_h": 1, "stride_w": stride, "padding": "SAME", "activation": "RELU"}
        net.operator("CONV_2D", [wide, w], [result], **step)
        now = net.tensor_like(result, (1, out, filters))
        net.operator("SQUEEZE", [result], [now], squeeze_dims=[1])
        tall, pooled = net.tensor_like(now, (1, out, 1, filters)), net.tensor_like(now, (1, -(-out // 2), 1, filters))
        net.operator("RESHAPE", [now, net.constant(net.shape(tall))], [tall])
        window = {"filter_h": 2, "filter_w": 1, "stride_h": 2, "stride_w": 1, "padding": "SAME"}
        net.operator("MAX_POOL_2D", [tall], [pooled], **window)
        now = net.tensor_like(pooled, (1, -(-out // 2), filters))
        net.operator("RESHAPE", [pooled, net.constant(net.shape(now))], [now])
    mean = net.tensor_like(now, (1, 16))
    net.operator("MEAN", [now, net.constant([1])], [mean], keep_dims=False)
    return net.build([x], [mean])


def test_networks_of_one_dimensional_layers_stream() -> None:
    runtime = BulkHost(schedule="stream-w")
    if runtime.missing():
        pytest.skip(str(runtime.missing()))
    tflite, value = one_dimensional(), codes(1, 120, 2)
    wanted = oracle.run_model(tflite, [value], 1) if oracle.available() else run_model(tflite, [value])
    (got,) = runtime.run(tflite, [value])
    assert not difference(got, wanted[0])
    found = compile_model(tflite, schedule="stream-w")
    assert (found.schedule.slices, found.state_bytes < 400) == (120, True)


@pytest.mark.parametrize("op", ["CONV_2D", "MAX_POOL_2D"])
def test_more_than_one_batch_is_refused_with_the_remedy(op: str) -> None:
    net = ModelBuilder()
    x, y = net.tensor((2, 5, 4, 3), **Q), net.tensor((2, 5, 4, 3), **Q)
    inputs = [x] if op == "MAX_POOL_2D" else [x, net.tensor((3, 1, 1, 3), scale=0.01, data=codes(3, 1, 1, 3))]
    window = {"filter_h": 1, "filter_w": 1} if op == "MAX_POOL_2D" else {}
    net.operator(op, inputs, [y], stride_h=1, stride_w=1, padding="SAME", **window)
    with pytest.raises(Exception, match="convert with a fixed batch of 1"):
        compile_model(net.build([x], [y]))
