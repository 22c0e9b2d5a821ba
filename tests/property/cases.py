"""Problems kept for good: those that failed once on some runtime, and corners that random draws seldom reach."""

from __future__ import annotations

from .movement import Concatenation, Pad
from .problem import Problem, Q
from .products import Add, FullyConnected, Mean, Mul
from .unary import LeakyRelu, Logistic, Relu, Rsqrt, Softmax, Tanh
from .windows import AveragePool2D, Conv2D, DepthwiseConv2D, MaxPool2D

HALF, FINE, COARSE = Q(0.5, 0), Q(2.0**-9, -128), Q(4.0, 127)
PROBABILITY = Q(1 / 256, -128)

CASES: tuple[Problem, ...] = (
    # A long average: the division takes many bits of the multiplier.
    Mean(seed=1, shape=(1, 1, 3000, 3), axes=(1, 2), keep_dims=True, q_in=FINE, q_out=Q(2.0**-8, 3)),
    # One class, and more classes than codes.
    Softmax(seed=2, shape=(3, 1), q_in=HALF, q_out=PROBABILITY, beta=1.0),
    Softmax(seed=3, shape=(2, 300), q_in=FINE, q_out=PROBABILITY, beta=1.0),
    # Scales so coarse that nearly every code saturates, so fine that none does.
    Softmax(seed=4, shape=(256,), q_in=COARSE, q_out=PROBABILITY, beta=4.0),
    Logistic(seed=5, shape=(256,), q_in=COARSE, q_out=PROBABILITY),
    Logistic(seed=6, shape=(256,), q_in=FINE, q_out=PROBABILITY),
    Tanh(seed=7, shape=(256,), q_in=COARSE, q_out=Q(1 / 128, 0)),
    # A multiplier of zero, and one of 64.
    Relu(seed=8, shape=(256,), q_in=Q(2.0**-20, 5), q_out=Q(2.0**14, -5)),
    Relu(seed=9, shape=(256,), q_in=Q(2.0, 127), q_out=Q(2.0**-5, -128)),
    LeakyRelu(seed=10, shape=(256,), q_in=HALF, q_out=HALF, alpha=0.0),
    LeakyRelu(seed=11, shape=(256,), q_in=HALF, q_out=Q(0.25, 100), alpha=-1.5),
    # Inputs of very different scale: one of them vanishes.
    Add(
        seed=12,
        shape_a=(2, 3, 4),
        shape_b=(4,),
        constant=True,
        activation="RELU6",
        q_a=FINE,
        q_b=COARSE,
        q_out=Q(4.0, -1),
    ),
    Mul(
        seed=13,
        shape_a=(1, 5, 1, 3),
        shape_b=(1, 1, 7, 1),
        constant=False,
        activation="RELU_N1_TO_1",
        q_a=FINE,
        q_b=FINE,
        q_out=Q(2.0**-9, 0),
    ),
    # A deep dot product.
    FullyConnected(
        seed=14,
        rows=(1,),
        depth=4000,
        units=3,
        bias=True,
        per_channel=False,
        activation="NONE",
        q_in=Q(0.1, 127),
        w_scale=2.0**-7,
        zero_point_out=-128,
        gain=0.0,
    ),
    # Runs of nine to fifteen codes, read in place, and one of more vectors than an immediate counts.
    Conv2D(
        seed=913174545,
        batch=1,
        size=(10, 3),
        channels=7,
        kernel=(1, 2),
        stride=(1, 1),
        dilation=(1, 1),
        padding="VALID",
        activation="NONE",
        filters=2,
        bias=True,
        per_channel=True,
        q_in=Q(0.0045, -128),
        q_w=Q(0.0035, 0),
        zero_point_out=0,
        gain=2.96,
        dyadic=False,
    ),
    FullyConnected(
        seed=15,
        rows=(2,),
        depth=4200,
        units=5,
        bias=True,
        per_channel=False,
        activation="NONE",
        q_in=Q(0.1, 127),
        w_scale=2.0**-7,
        zero_point_out=-128,
        gain=0.0,
    ),
    # A kernel longer than the signal, and a stride longer than the kernel.
    Conv2D(
        seed=15,
        batch=1,
        size=(1, 5),
        channels=3,
        kernel=(1, 9),
        stride=(1, 1),
        dilation=(1, 2),
        padding="SAME",
        activation="RELU",
        filters=2,
        bias=True,
        per_channel=True,
        q_in=Q(0.1, -128),
        q_w=Q(2.0**-7, 0),
        zero_point_out=-128,
        gain=0.0,
    ),
    DepthwiseConv2D(
        seed=16,
        batch=1,
        size=(4, 101),
        channels=1,
        kernel=(1, 3),
        stride=(1, 4),
        dilation=(1, 1),
        padding="SAME",
        activation="NONE",
        filters=8,
        multiplier=8,
        bias=False,
        per_channel=True,
        q_in=Q(0.1, 127),
        q_w=Q(2.0**-7, 0),
        zero_point_out=5,
        gain=-2.0,
    ),
    MaxPool2D(
        seed=17,
        batch=1,
        size=(1, 101),
        channels=5,
        kernel=(1, 2),
        stride=(1, 2),
        dilation=(1, 1),
        padding="SAME",
        activation="RELU6",
        q=Q(0.1, -20),
    ),
    AveragePool2D(
        seed=18,
        batch=1,
        size=(25, 5),
        channels=3,
        kernel=(25, 5),
        stride=(3, 3),
        dilation=(1, 1),
        padding="SAME",
        activation="NONE",
        q=Q(0.1, -20),
    ),
    # As many inputs as the interpreter takes, and padding on every axis.
    Concatenation(seed=19, shape=(2, 3), q=HALF, lengths=(1,) * 10, constants=(False, True) * 5, axis=-1),
    Pad(seed=20, shape=(1, 2, 3, 1), q=HALF, paddings=((0, 0), (3, 1), (0, 2), (1, 1)), value=-128),
    # A rounding tie that only the multiplier in double precision resolves as TFLM does.
    Rsqrt(
        seed=616277256,
        shape=(256,),
        q_in=Q(0.182614266872406, 4),
        q_out=Q(0.009118293412029743, -128),
    ),
)
