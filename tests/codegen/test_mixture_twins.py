"""Layers of a kind, and networks that round in different forms, share copies of kernels; every byte stays exact."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from property.runtimes import QEMU, Generated, Host, HostDsp, HostMve, difference
from support.attention import AttentionNetwork
from support.mixtures import Sizes, gate, towers
from thumbnet.codegen import CompiledModel, compile_model
from thumbnet.codegen.mixture import Mixture, Task
from thumbnet.host_tools.oracle import open_oracle

_SIZES = Sizes(experts=5, k=2, tasks=2, features=4, length=41)
_CHANNELS = 8


class _Network(AttentionNetwork):
    """Three parts of different lengths; scales of weights are spread so that shifts are, too."""

    def scales(self, channels: int) -> list[float]:
        return [float(s) for s in 0.004 * np.exp2(self.state.uniform(-self.spread, self.spread, channels))]

    def __init__(self, seed: int, spread: float) -> None:
        self.spread = spread
        super().__init__(_SIZES.length, 1, seed=seed)
        self.convolution(7, 1)
        for _ in range(3):
            start = self.convolution(3, 2)
            self.depthwise(1)
            self.depthwise(2)
            made, self.now = self.now, self.tensor((1, 1, self.net.shape(start)[2], _CHANNELS), 0.06)
            self.net.operator("ADD", [start, made], [self.now], activation="RELU")

    def bias(self, scales: list[float]) -> int:
        data = self.state.randint(-900, 900, _CHANNELS)
        return self.net.tensor((_CHANNELS,), "int32", scale=[0.05 * scale for scale in scales], data=data)

    def convolution(self, kernel: int, stride: int) -> int:
        _, _, length, channels = self.net.shape(self.now)
        before, self.now = self.now, self.tensor((1, 1, -(-length // stride), _CHANNELS), 0.05)
        shape = (_CHANNELS, 1, kernel, channels)
        data = self.state.randint(-127, 128, size=shape)
        scales = self.scales(_CHANNELS)
        weights = self.net.tensor(shape, scale=scales, data=data.astype(np.int8))
        bias = self.bias(scales)
        options = {"stride_h": 1, "stride_w": stride, "padding": "SAME"}
        self.net.operator("CONV_2D", [before, weights, bias], [self.now], **options)
        return self.now

    def depthwise(self, taps: int) -> int:
        before, self.now = self.now, self.net.tensor_like(self.now, self.net.shape(self.now))
        shape = (1, 1, taps, _CHANNELS)
        data = self.state.randint(-127, 128, size=shape)
        scales = self.scales(_CHANNELS)
        weights = self.net.tensor(shape, scale=scales, axis=3, data=data.astype(np.int8))
        bias = self.bias(scales)
        options = {"stride_h": 1, "stride_w": 1, "padding": "SAME", "depth_multiplier": 1}
        self.net.operator("DEPTHWISE_CONV_2D", [before, weights, bias], [self.now], **options)
        return self.now

    def features(self) -> bytes:
        mean, out = self.net.tensor_like(self.now, (1, _CHANNELS)), self.tensor((1, _SIZES.features), 0.02)
        self.net.operator("MEAN", [self.now, self.net.constant([1, 2])], [mean], keep_dims=False)
        self.net.operator("FULLY_CONNECTED", [mean, self.weights(_SIZES.features, _CHANNELS), None], [out])
        return self.net.build([self.input], [out])


def _mixture(spread: Callable[[int], float], experts: int = _SIZES.experts) -> Mixture:
    return Mixture(
        gate=gate(_SIZES, _SIZES.length, 1)
        if experts == _SIZES.experts
        else gate(Sizes(experts=experts), _SIZES.length, 1),
        experts=tuple(_Network(seed, spread(seed)).features() for seed in range(experts)),
        towers=(towers(_SIZES),),
        k=2,
        tasks=(Task("one"), Task("two")),
    )


def _check(runtime: Generated, made: Mixture, schedule: str) -> None:
    data = made.to_bytes()
    runtime.schedule = schedule
    oracle = open_oracle(data)
    for seed in range(2):
        window = np.random.default_rng(seed).integers(-128, 128, (1, 1, _SIZES.length, 1)).astype(np.int8)
        (got,), (wanted,) = runtime.run(data, [window]), oracle.run([window])
        assert not difference(got, wanted), f"{runtime.name} {schedule} seed {seed}: {difference(got, wanted)}"


def _some(seed: int) -> float:
    return 0.0 if seed % 2 else 3.0


@pytest.mark.parametrize(
    ("runtime", "spread", "schedule"),
    [
        (HostDsp(), lambda seed: 2.5, "whole"),
        (HostDsp(), _some, "stream"),
        (HostMve(), _some, "whole"),
        (Host(), _some, "whole"),
    ],
)
def test_every_byte_is_exact(runtime: Generated, spread: Callable[[int], float], schedule: str) -> None:
    _check(runtime, _mixture(spread), schedule)


@pytest.mark.parametrize("machine", [m for m in QEMU if m.name == "qemu_m4"], ids=lambda m: m.name)
def test_every_byte_is_exact_on_a_board(machine: Generated) -> None:
    if machine.missing():
        pytest.skip(str(machine.missing()))
    _check(machine, _mixture(_some), "whole")


def _compiled(experts: int = _SIZES.experts) -> CompiledModel:
    made = _mixture(_some, experts)
    return compile_model(made.to_bytes(), target="cortex-m4", schedule="whole")


def _copies(compiled: CompiledModel, kernel: str) -> int:
    """How many functions hold a copy of an inline kernel."""
    return len(re.findall(rf"^    {kernel}_run\(&p, ", compiled.files["src/model_expert.c"], re.MULTILINE))


def test_layers_of_a_kind_share_one_copy() -> None:
    found = _compiled()
    # The first convolution has other filters; the three of the parts and the dense layer have their loops in common.
    assert _copies(found, "tn_conv2d_s8_dsp") == 3
    assert _copies(found, "tn_depthwise_conv2d_s8_dsp") == 2
    assert _copies(found, "tn_add_s8_dsp") == 1


def test_constants_of_a_network_are_members_of_its_structure() -> None:
    code = _compiled().files["src/model_expert.c"]
    structure = re.search(r"^struct model_expert_tables \{\n(.*?)^\};", code, re.MULTILINE | re.DOTALL)
    assert structure is not None
    members = structure.group(1).splitlines()
    # A filter of seven codes, padded to eight, with two words: 16 bytes a channel; 24 codes: 32.
    assert "    uint32_t l0_records[32];" in members
    assert sum("_records[64];" in member for member in members) == 3
    # One tap and two: bias with shift, multiplier, 16 bits a weight.
    assert sum("_table[20];" in member for member in members) == 3
    assert sum("_table[24];" in member for member in members) == 3
    assert not any("*" in member or "mode" in member for member in members)


def test_few_networks_keep_the_quicker_forms_they_have_in_common() -> None:
    code = _compiled(2).files["src/model_expert.c"]
    assert ".kind = TN_DSP_SIGNED" in code
    assert ".kind = TN_DSP_PACKED" in _compiled().files["src/model_expert.c"]
