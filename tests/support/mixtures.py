"""Small mixtures of experts without Keras: networks of one structure with random constants, a gate, towers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from thumbnet.codegen.mixture import Mixture, Task

from .attention import AttentionNetwork
from .tflite_builder import ModelBuilder


@dataclass(frozen=True)
class Sizes:
    """What a mixture is made of.

    Attributes
    ----------
    spread_scales : bool
        Every expert has scales and zero points of its own.
    """

    experts: int = 3
    k: int = 2
    tasks: int = 2
    features: int = 4
    length: int = 24
    channels: int = 1
    own_choice: bool = True
    feature_major: bool = False
    separate_towers: bool = False
    bottom: bool = False
    gate_reads: str = ""
    spread_scales: bool = True
    seed: int = 0


class _Network(AttentionNetwork):
    """An expert: its inner scales and zero points come from the seed, where they shall."""

    def __init__(self, length: int, channels: int, seed: int, spread: bool) -> None:
        self.spread = spread
        self.first = True
        super().__init__(length, channels, seed=seed)

    def tensor(self, shape: tuple[int, ...], scale: float = 0.05, zero_point: int = -3) -> int:
        if self.first or not self.spread:
            self.first = False
            return super().tensor(shape, scale, zero_point)
        scale *= float(self.state.uniform(0.7, 1.4))
        zero_point = zero_point if zero_point == -128 else int(self.state.randint(-20, 20))
        return super().tensor(shape, scale, zero_point)


def expert(sizes: Sizes, seed: int, length: int, channels: int) -> bytes:
    """Convolutions with attention, then features."""
    net = _Network(length, channels, seed, sizes.spread_scales)
    net.conv(8, 5, 2)
    net.block(8)
    count = net.net.shape(net.now)[3]
    mean, out = net.net.tensor_like(net.now, (1, count)), net.tensor((1, sizes.features), 0.02)
    net.net.operator("MEAN", [net.now, net.net.constant([1, 2])], [mean], keep_dims=False)
    net.net.operator("FULLY_CONNECTED", [mean, net.weights(sizes.features, count), None], [out])
    return net.net.build([net.input], [out])


def gate(sizes: Sizes, length: int, channels: int, scale: float = 0.05) -> bytes:
    """Convolution, mean, logits."""
    net = AttentionNetwork(length, channels, seed=sizes.seed + 77)
    net.conv(4, 3, 2)
    rows = sizes.tasks + int(sizes.own_choice)
    mean = net.net.tensor_like(net.now, (1, 4))
    logits = net.tensor((1, rows * sizes.experts), scale)
    net.net.operator("MEAN", [net.now, net.net.constant([1, 2])], [mean], keep_dims=False)
    net.net.operator("FULLY_CONNECTED", [mean, _dense(net, rows * sizes.experts, 4), None], [logits])
    return net.net.build([net.input], [logits])


def _dense(net: AttentionNetwork, outputs: int, inputs: int) -> int:
    data = net.state.randint(-127, 128, size=(outputs, inputs))
    return net.net.tensor((outputs, inputs), scale=0.03, data=data.astype(np.int8))


def bottom(sizes: Sizes) -> bytes:
    """One convolution that halves time."""
    net = AttentionNetwork(sizes.length, sizes.channels, seed=sizes.seed + 5)
    before = net.conv(3, 3, 2)
    net.now = net.tensor(tuple(net.net.shape(before)))
    options = {"stride_h": 1, "stride_w": 1, "padding": "SAME"}
    net.net.operator("CONV_2D", [before, net.weights(3, 1, 1, 3)], [net.now], **options)
    return net.model()


def towers(sizes: Sizes, number: int | None = None) -> bytes:
    """A dense layer over all mixed features, or one over those of one task."""
    net = ModelBuilder()
    state = np.random.RandomState(sizes.seed + 33 + (number or 0))
    tasks, features = (1, sizes.features) if number is not None else (sizes.tasks, sizes.features)
    shape = (1, tasks * features)
    if number is None and sizes.feature_major:
        shape = (1, features, 1, tasks)  # type: ignore[assignment]
    source = net.tensor(shape, scale=0.025, zero_point=4)
    flat = source
    if len(shape) > 2:
        flat = net.tensor_like(source, (1, tasks * features))
        net.operator("RESHAPE", [source, net.constant([1, tasks * features])], [flat])
    weights = state.randint(-127, 128, size=(tasks, tasks * features)).astype(np.int8)
    out = net.tensor((1, tasks), scale=0.03 + 0.01 * (number or 0), zero_point=-7)
    net.operator("FULLY_CONNECTED", [flat, net.tensor(weights.shape, scale=0.02, data=weights), None], [out])
    return net.build([source], [out])


def mixture(sizes: Sizes) -> Mixture:
    """All of it; experts have the seeds from ``sizes.seed`` on."""
    length, channels, front = sizes.length, sizes.channels, None
    if sizes.bottom:
        front = bottom(sizes)
        length, channels = -(-length // 2), 3
    reads = sizes.gate_reads or ("features" if sizes.bottom else "input")
    seen = (length, channels) if reads == "features" or not sizes.bottom else (sizes.length, sizes.channels)
    experts = tuple(expert(sizes, sizes.seed + n, length, channels) for n in range(sizes.experts))
    many = sizes.separate_towers and sizes.tasks > 1
    heads = tuple(towers(sizes, n) for n in range(sizes.tasks)) if many else (towers(sizes),)
    return Mixture(
        gate=gate(sizes, *seen),
        experts=experts,
        towers=heads,
        k=sizes.k,
        tasks=tuple(Task(f"task {n}", "mmHg", 10.0 + n, 100.0 - n) for n in range(sizes.tasks)),
        bottom=front,
        gate_reads=reads,
        patient_scale=tuple(1.0 + 0.1 * n for n in range(sizes.tasks)),
        patient_offset=tuple(2.5 - n for n in range(sizes.tasks)),
    )
