"""Convolutions in streams of single pixels that make two slices at a time: the same bytes for every window and length,
through rings, stored tensors and other segments; and when the compiler takes them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import numpy as np
import pytest
from property.runtimes import HostDsp, difference
from support import oracle
from support.attention import AttentionNetwork, attention_resnet
from thumbnet.codegen import Limits, choose, compile_model
from thumbnet.codegen.reference import run_model
from thumbnet.codegen.tflite import read_graph

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")


class _Stream(HostDsp):
    schedule = "stream-w"


@pytest.fixture
def paired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefer pairs wherever there are some, whatever they cost."""
    value = choose._Search.value

    def preferred(self: choose._Search, borders: Mapping[int, int]) -> tuple[float, ...]:
        return (0.0 if self.builder.paired else 1.0, *value(self, borders))

    monkeypatch.setattr(choose._Search, "value", preferred)


def _agrees(model: bytes) -> None:
    graph = read_graph(model)
    shape = graph.tensors[graph.inputs[0]].shape
    codes = np.random.default_rng(5).integers(-128, 128, shape).astype(np.int8)
    wanted = oracle.run_model(model, [codes], 1) if oracle.available() else run_model(model, [codes])
    assert len(set(wanted[0].reshape(-1).tolist())) > 1, "the network says nothing"
    (got,) = _Stream().run(model, [codes])
    assert not difference(got, wanted[0])


def _chain(length: int, padding: str, stride: int) -> bytes:
    """A short first convolution, long ones behind it, a pointwise one, and a mean at the end."""
    network = AttentionNetwork(length, 1)
    network.conv(20, 7, stride, padding)
    network.conv(24, 3, 1, padding)
    network.conv(24, 1, 1, padding)
    network.conv(24, 5, stride, padding)
    return network.classifier()


def _source(model: bytes) -> str:
    return compile_model(model, target="cortex-m4", schedule="stream-w").files["src/model.c"]


@needs_cc
@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("length", "stride"), [(40, 1), (41, 1), (42, 2), (63, 2), (64, 3), (67, 3)])
def test_pairs_give_the_same_bytes(length: int, stride: int, padding: str) -> None:
    model = _chain(length, padding, stride)
    assert _source(model).count("tn_conv2d_s8_dsp_two(") == 4
    _agrees(model)


@needs_cc
@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("length", [33, 34, 35])
def test_pairs_go_through_attention(length: int) -> None:
    """Both slices go into rings, into tensors that a later segment reads, and into sums."""
    model = attention_resnet(length, 2, 24)
    assert "tn_conv2d_s8_dsp_two(" in _source(model)
    _agrees(model)


@pytest.mark.usefixtures("paired")
def test_rings_that_pairs_write_are_even() -> None:
    compiled = compile_model(_chain(64, "SAME", 1), target="cortex-m4", schedule="stream-w")
    (segment,) = [s for s in compiled.schedule.segments if s.layers]
    assert segment.slices == 64
    text = compiled.files["src/model.c"]
    pairs = [line for line in text.splitlines() if "_step(" in line and ("? 24 : 0" in line or ", 24);" in line)]
    assert pairs, "the second slice lies behind the first"
    assert all("% 3u" not in line and "% 5u" not in line for line in pairs)


def test_small_convolutions_stay_alone() -> None:
    """Deeper rings are not worth a few multiply-accumulates: eight channels keep their kernel."""
    network = AttentionNetwork(64, 8)
    network.conv(8)
    network.conv(8)
    assert "tn_conv2d_s8_dsp_two(" not in _source(network.classifier())


def test_pairs_are_made_where_limits_leave_room_and_can_be_switched_off() -> None:
    model = _chain(1001, "SAME", 1)
    limits = Limits(ram=6000)
    made = compile_model(model, target="cortex-m4", schedule="auto", limits=limits)
    apart = compile_model(model, target="cortex-m4", schedule="auto", limits=limits, disable=["pair-slices"])
    assert "tn_conv2d_s8_dsp_two(" in made.files["src/model.c"]
    assert "tn_conv2d_s8_dsp_two(" not in apart.files["src/model.c"]
    assert made.schedule.instructions < apart.schedule.instructions
    assert apart.state_bytes < made.state_bytes <= 6000


def test_state_decides_where_nobody_gives_room() -> None:
    model = _chain(1001, "SAME", 1)
    assert (
        "tn_conv2d_s8_dsp_two(" not in compile_model(model, target="cortex-m4", schedule="min-ram").files["src/model.c"]
    )
