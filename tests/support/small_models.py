"""Small models for the tests of the host tools, built without TensorFlow."""

from __future__ import annotations

import numpy as np

from .tflite_builder import ModelBuilder


def small_model(seed: int = 5) -> bytes:
    """Two convolutions, a pooling, a mean, a dense layer and a softmax over a (1, 8, 8, 2) image."""
    rng = np.random.default_rng(seed)
    builder = ModelBuilder()
    x = builder.tensor((1, 8, 8, 2), scale=0.05, zero_point=4, name="image")
    a = builder.tensor((1, 8, 8, 4), scale=0.08, zero_point=-10, name="first_conv")
    b = builder.tensor((1, 4, 4, 4), scale=0.08, zero_point=-10, name="pool")
    c = builder.tensor((1, 4, 4, 6), scale=0.11, zero_point=3, name="second_conv")
    d = builder.tensor((1, 6), scale=0.09, zero_point=1, name="mean")
    e = builder.tensor((1, 3), scale=0.1, zero_point=0, name="dense")
    f = builder.tensor((1, 3), scale=1 / 256, zero_point=-128, name="softmax")
    step = {"stride_h": 1, "stride_w": 1, "padding": "SAME"}
    builder.operator("CONV_2D", [x, *_weights(builder, rng, (4, 3, 3, 2), 0.05)], [a], activation="RELU", **step)
    window = {"stride_h": 2, "stride_w": 2, "filter_h": 2, "filter_w": 2, "padding": "SAME"}
    builder.operator("MAX_POOL_2D", [a], [b], **window)
    builder.operator("CONV_2D", [b, *_weights(builder, rng, (6, 3, 3, 4), 0.08)], [c], **step)
    builder.operator("MEAN", [c, builder.constant([1, 2])], [d], keep_dims=False)
    builder.operator("FULLY_CONNECTED", [d, *_weights(builder, rng, (3, 6), 0.09)], [e])
    builder.operator("SOFTMAX", [e], [f], beta=1.0)
    return builder.build([x], [f])


def _weights(builder: ModelBuilder, rng: np.random.Generator, shape: tuple[int, ...], input_scale: float) -> list[int]:
    scales = rng.uniform(0.005, 0.02, shape[0])
    weights = builder.tensor(shape, scale=scales, data=rng.integers(-127, 128, shape), name=f"w{shape}")
    bias = builder.tensor(
        (shape[0],),
        "int32",
        scale=scales * input_scale,
        data=rng.integers(-2000, 2000, shape[0]),
        name=f"b{shape}",
    )
    return [weights, bias]


def unsupported_model() -> bytes:
    """Two COS layers around a RELU: operators that no microcontroller model should hold."""
    builder = ModelBuilder()
    x, y, z, w = (builder.tensor((1, 8), scale=0.05, zero_point=0, name=name) for name in "xyzw")
    builder.operator("COS", [x], [y])
    builder.operator("RELU", [y], [z])
    builder.operator("COS", [z], [w])
    return builder.build([x], [w])


def float_model() -> bytes:
    """One float32 dense layer."""
    builder = ModelBuilder()
    x, y = builder.tensor((1, 4), "float32", name="x"), builder.tensor((1, 2), "float32", name="y")
    weights = builder.constant(np.ones((2, 4)), "float32", name="w")
    builder.operator("FULLY_CONNECTED", [x, weights, None], [y])
    return builder.build([x], [y])


def two_inputs_model() -> bytes:
    """Two inputs of odd sizes, added and joined; two outputs."""
    builder = ModelBuilder()
    x = builder.tensor((1, 5), scale=0.05, zero_point=4, name="left")
    y = builder.tensor((1, 5), scale=0.07, zero_point=-3, name="right")
    added = builder.tensor((1, 5), scale=0.1, zero_point=0, name="sum")
    scaled = builder.tensor((1, 5), scale=0.1, zero_point=0, name="product")
    builder.operator("ADD", [x, y], [added])
    builder.operator("MUL", [x, y], [scaled])
    return builder.build([x, y], [added, scaled])


def signal_model() -> bytes:
    """Two channels of 16 samples, (1, 2, 16, 1), to three classes; its input takes -1 to 1 as -127 to 127."""
    rng = np.random.default_rng(8)
    builder = ModelBuilder()
    x = builder.tensor((1, 2, 16, 1), scale=1 / 127, zero_point=0, name="signals")
    a = builder.tensor((1, 2, 16, 4), scale=0.02, zero_point=-20, name="conv")
    b = builder.tensor((1, 4), scale=0.02, zero_point=-20, name="mean")
    c = builder.tensor((1, 3), scale=0.05, zero_point=0, name="classes")
    step = {"stride_h": 1, "stride_w": 1, "padding": "SAME"}
    builder.operator("CONV_2D", [x, *_weights(builder, rng, (4, 1, 5, 1), 1 / 127)], [a], activation="RELU", **step)
    builder.operator("MEAN", [a, builder.constant([1, 2])], [b], keep_dims=False)
    builder.operator("FULLY_CONNECTED", [b, *_weights(builder, rng, (3, 4), 0.02)], [c])
    return builder.build([x], [c])
