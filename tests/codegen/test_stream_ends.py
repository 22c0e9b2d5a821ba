"""Streams through layers that take out boxes, streams that end early, and pushes that cannot make a layer fire."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from property.runtimes import Host, HostDsp, difference
from support.attention import AttentionNetwork
from support.oracle import run_model
from thumbnet.codegen import Limits, compile_model
from thumbnet.codegen.choose import choose
from thumbnet.codegen.passes import restricted, run
from thumbnet.codegen.targets import find_target
from thumbnet.codegen.tflite import read_graph


def halves(length: int = 40) -> bytes:
    """A convolution whose channels are taken apart and joined again, along a signal of shape (1, 1, length, 1)."""
    network = AttentionNetwork(length, 1)
    whole = network.conv(6, 5, 4)
    parts = []
    for begin, end in (([0, 0, 0, 0], [1, 1, length // 4, 4]), ([0, 0, 0, 2], [1, 1, length // 4, 6])):
        part = network.net.tensor_like(whole, (1, 1, length // 4, 4))
        constants = [network.net.constant(values) for values in (begin, end, [1, 1, 1, 1])]
        masks = {"begin_mask": 0b0111, "end_mask": 0b0110}
        network.net.operator("STRIDED_SLICE", [whole, *constants], [part], **masks)
        parts.append(part)
    network.now = network.net.tensor_like(whole, (1, 1, length // 4, 8))
    network.net.operator("CONCATENATION", parts, [network.now], axis=3)
    network.conv(4)
    return network.classifier()


def window(length: int, channels: int) -> np.ndarray:
    """Noise."""
    return np.random.default_rng(0).integers(-128, 128, (1, 1, length, channels)).astype(np.int8)


def exact(runtime: Host, model: bytes, given: np.ndarray) -> None:
    (got,), (wanted,) = runtime.run(model, [given]), run_model(model, [given])
    assert not difference(got, wanted)


def test_boxes_of_channels_are_streamed_along_width() -> None:
    model = halves()
    runtime = Host()
    runtime.schedule = "stream-w"
    compiled = compile_model(model, schedule="stream-w")
    assert not any(layer.op == "TRANSPOSE" for layer in compiled.layers)
    assert compiled.schedule.segments[0].layers >= 5  # both boxes and what joins them are part of the walk
    exact(runtime, model, window(40, 1))


def test_a_push_that_completes_no_window_asks_before_it_passes() -> None:
    """The first layer takes four slices at a time."""
    code = compile_model(halves(), schedule="stream-w").files["src/model.c"]
    push = code[code.index("void model_push_block(") : code.index("void model_push(")]
    assert "if (tn_stream_ready(&model_l0.rows, s->done[1], s->done[0]) != 0) {" in push
    every = compile_model(_plain(), schedule="stream-w").files["src/model.c"]
    assert "tn_stream_ready" not in every[every.index("void model_push_block(") : every.index("void model_push(")]


def _plain() -> bytes:
    network = AttentionNetwork(40, 1)
    network.conv(4, 3)
    return network.classifier()


def narrowing() -> bytes:
    """Wide and long first, with attention; short behind it."""
    network = AttentionNetwork(120, 2)
    network.block(4)
    network.conv(8, 3, 4)
    network.block(8)
    return network.classifier()


def test_where_instructions_decide_a_stream_may_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    model, target = narrowing(), restricted(find_target("host-dsp"), ())
    graph = run(read_graph(model), target)
    whole = choose(graph, "whole", target, Limits()).state_bytes
    room = Limits(ram=whole - 1)
    found = choose(graph, "auto", target, room)
    assert found.late and found.state_bytes < whole
    stream = choose(graph, "stream-w", target, Limits())
    assert found.estimate.instructions < stream.estimate.instructions
    monkeypatch.setattr("property.runtimes.compile_model", partial(compile_model, limits=room))
    runtime = HostDsp()
    runtime.schedule = "auto"
    exact(runtime, model, window(120, 2))
