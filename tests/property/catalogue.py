"""Every kind of problem, by the name of its test."""

from __future__ import annotations

from . import graphs, movement, pooled, products, separable, unary, windows
from .problem import Problem

PROBLEMS: tuple[type[Problem], ...] = (
    windows.Conv2D,
    pooled.ConvMaxPool,
    windows.DepthwiseConv2D,
    separable.Separable,
    products.FullyConnected,
    windows.MaxPool2D,
    windows.AveragePool2D,
    products.Mean,
    products.ReduceMax,
    products.Add,
    products.Sub,
    products.Mul,
    products.SquaredDifference,
    unary.Softmax,
    unary.Logistic,
    unary.Tanh,
    unary.Relu,
    unary.Relu6,
    unary.LeakyRelu,
    unary.Rsqrt,
    unary.Requantize,
    unary.Quantize,
    unary.Dequantize,
    movement.Pad,
    movement.Reshape,
    movement.Transpose,
    movement.Concatenation,
    movement.Split,
    movement.Slice,
    movement.StridedSlice,
    movement.Pack,
    movement.Unpack,
    graphs.SmallGraph,
)
