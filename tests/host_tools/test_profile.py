"""`thumbnet profile`: the keys it promises, and that its figures hang together.

What is tested: on the host, the whole command; on an emulated board, that instructions are the same in every run and
that the layers add up. What is not: how fast the kernels are (the benchmarks).
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from support.command import thumbnet
from thumbnet.codegen import compile_model
from thumbnet.host_tools.boards import get_board
from thumbnet.host_tools.errors import DeviceError
from thumbnet.host_tools.profile import Meter, _layer_costs, _meter

PROMISED = (
    "instructions", "macs", "flash_bytes", "code_bytes", "weight_bytes", "ram_bytes", "state_bytes", "stack_bytes",
    "arena_bytes_tflm_host", "layers",
)  # fmt: skip


def test_on_the_host_time_stands_in_for_instructions(model):
    outcome = thumbnet("profile", model, "--board", "host", "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.json
    assert told["schema"] == "thumbnet.profile/1"
    assert set(PROMISED) <= set(told)
    assert (told["instructions"], told["cycles"], told["stack_bytes"]) == (None, None, None)
    assert told["nanoseconds"] > 0
    assert told["macs"] == sum(layer["macs"] for layer in told["layers"])
    assert told["flash_bytes"] > told["code_bytes"] + told["weight_bytes"] > 0
    assert told["ram_bytes"] > told["state_bytes"] > 0
    assert told["arena_bytes_tflm_host"] is None or told["arena_bytes_tflm_host"] > 500


def test_people_get_tables(model):
    out = thumbnet("profile", model, "--board", "host").out
    for word in ("layers", "one inference", "biggest symbols", "TFLM arena", "nanoseconds"):
        assert word in out


def test_a_streamed_model_tells_its_pushes(model):
    outcome = thumbnet("profile", model, "--board", "host", "--schedule", "stream", "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.json
    assert 0 < told["push_mean"] <= told["push_max"]
    assert told["push_max_at"] >= 0
    assert told["finish"] >= 0
    assert "push, longest" in thumbnet("profile", model, "--board", "host", "--schedule", "stream").out
    whole = thumbnet("profile", model, "--board", "host", "--schedule", "whole", "--json").json
    assert [whole[key] for key in ("push_mean", "push_max", "push_max_at", "finish")] == [None] * 4


@pytest.mark.qemu
def test_the_pushes_of_an_emulated_board_add_up(model):
    outcome = thumbnet("profile", model, "--board", "qemu_m3", "--schedule", "stream", "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.json
    slices = _slices(model)
    assert told["push_mean"] <= told["push_max"] <= told["instructions"]
    assert told["push_max_at"] < slices
    total = told["push_mean"] * slices + told["finish"]
    # A call for every slice, where the total has one for a frame of slices; the clock shows whole ticks.
    assert told["instructions"] - 50 <= total <= told["instructions"] + 120 * slices
    assert 0 < told["link_bytes"] < told["ram_bytes"]


def _slices(model) -> int:
    text = compile_model(model.read_bytes(), target="cortex-m3", schedule="stream").files["src/model.h"]
    found = re.search(r"#define MODEL_SLICES (\d+)", text)
    assert found is not None
    return int(found[1])


@pytest.mark.qemu
def test_an_emulated_board_counts_the_same_in_every_run(model):
    outcomes = [thumbnet("profile", model, "--board", "qemu_m4", "--json") for _ in range(2)]
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes[0].err
    first, second = (outcome.json for outcome in outcomes)
    # A tick of 40 ns is read twice for a count of 64-ns instructions, and three times more for a layer's share;
    # the interrupt of the timer's wrap, five instructions and a frame on the stack, may fall into either run.
    assert abs(first["instructions"] - second["instructions"]) <= 8
    assert abs(first["stack_bytes"] - second["stack_bytes"]) <= 128
    for one, other in zip(first["layers"], second["layers"], strict=True):
        assert abs(one["instructions"] - other["instructions"]) <= 12
    measured = ("instructions", "instructions_per_mac", "layers", "stack_bytes")
    assert {k: v for k, v in first.items() if k not in measured} == {
        k: v for k, v in second.items() if k not in measured
    }
    assert all(first[key] is not None for key in PROMISED)
    layers = [layer["instructions"] for layer in first["layers"]]
    assert all(cost > 0 for cost in layers)
    assert sum(layers) == pytest.approx(first["instructions"], rel=0.1)
    assert first["layers"][0]["instructions_per_mac"] == pytest.approx(layers[0] / first["layers"][0]["macs"], abs=1e-3)
    assert 0 < first["stack_bytes"] < first["stack_reserved_bytes"]
    places = {section["place"] for section in first["sections"]}
    assert {"flash", "ram", "stack"} <= places
    assert sum(s["bytes"] for s in first["sections"] if s["place"] in ("flash", "both")) == first["flash_bytes"]
    assert any(symbol["model"] for symbol in first["symbols"])


def test_ticks_become_the_unit_of_the_board():
    board, host = get_board("netduinoplus2"), get_board("host")
    counting = _meter(board, None, 168_000_000)
    # One instruction is 64 ns: 10.752 ticks of 168 MHz.
    assert counting.figures(10_752) == {"instructions": 1000, "cycles": None, "nanoseconds": None}
    assert _meter(board, "/dev/ttyUSB0", 168_000_000).figures(7)["cycles"] == 7
    assert _meter(host, None, 10**9).figures(7)["nanoseconds"] == 7


def test_layers_that_were_not_observed_have_no_cost():
    layers = [SimpleNamespace(index=i) for i in range(2)]
    meter = Meter("cycles", "clock", 1)
    assert [cost.cost for cost in _layer_costs(layers, (), meter)] == [None, None]
    with pytest.raises(DeviceError, match="observed 3 layers"):
        _layer_costs(layers, (1, 2, 3), meter)
