"""The choice of a schedule: what each name asks for, limits, what is told about it, and how long it takes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.attention import attention_resnet
from support.small_models import small_model, two_inputs_model
from thumbnet.codegen import SCHEDULES, Limits, OptionError, compile_model
from thumbnet.codegen import choose as choosing
from thumbnet.codegen.targets import find_target
from thumbnet.codegen.tflite import read_graph

ROOT = Path(__file__).resolve().parents[2]
MODEL = attention_resnet(1500, 3)


@pytest.fixture(scope="module")
def all_of_them():
    return {name: compile_model(MODEL, schedule=name) for name in SCHEDULES}


def test_names_mean_what_they_say(all_of_them):
    states = {name: model.state_bytes for name, model in all_of_them.items()}
    work = {name: model.schedule.instructions for name, model in all_of_them.items()}
    assert states["min-ram"] == min(states.values())
    assert work["min-instructions"] <= 1.04 * min(work.values())
    products = {name: states[name] * work[name] for name in SCHEDULES}
    assert products["auto"] == min(products.values())
    assert all_of_them["whole"].schedule.name == "whole"
    assert all_of_them["stream"].schedule.name.startswith("stream-")


def test_limits_are_met_with_the_fewest_instructions(all_of_them):
    whole, least = all_of_them["whole"], all_of_them["min-ram"]
    for ram in (whole.state_bytes, whole.state_bytes - 1, 8_000, least.state_bytes):
        found = compile_model(MODEL, schedule="auto", limits=Limits(ram))
        assert found.state_bytes <= ram
        fitting = [m for m in all_of_them.values() if m.state_bytes <= ram]
        assert found.schedule.instructions <= 1.04 * min(m.schedule.instructions for m in fitting)


def test_the_input_counts_where_it_has_to_be_there_at_once(all_of_them):
    exact = all_of_them["whole"].state_bytes
    limits = Limits(exact, holds_input=True)
    assert compile_model(MODEL, schedule="auto", limits=limits).schedule.name.startswith("stream-")
    assert compile_model(MODEL, schedule="whole", limits=Limits(exact)).state_bytes == exact


def test_a_search_that_ends_above_its_limit_is_tried_with_tighter_ones(monkeypatch):
    graph, target = read_graph(MODEL), find_target("cortex-m4")
    asked, search = [], choosing._best

    def stuck(graph, name, target, limits, disable, spread):
        asked.append(limits.ram)
        return search(
            graph, "whole" if (limits.ram or 10_000) > 9_000 else "min-ram", target, Limits(), disable, spread
        )

    monkeypatch.setattr(choosing, "_best", stuck)
    assert choosing.choose(graph, "auto", target, Limits(10_000)).ram_bytes <= 10_000
    assert asked == [10_000, None, 9_400, 8_600]


@pytest.mark.parametrize("limits", [Limits(1_000), Limits(flash=2_000), Limits(1_000, 2_000)])
def test_what_does_not_fit_is_refused_with_what_would(limits):
    with pytest.raises(OptionError) as error:
        compile_model(MODEL, schedule="auto", limits=limits)
    text = str(error.value)
    assert text.startswith("no schedule fits ")
    assert "comes nearest with" in text
    assert ("1,000 bytes of RAM" in text) == (limits.ram is not None)
    assert ("2,000 bytes of flash" in text) == (limits.flash is not None)


def test_unknown_names_are_refused():
    with pytest.raises(OptionError, match=r"unknown schedule 'fast': allowed are whole, .*, min-instructions"):
        compile_model(MODEL, schedule="fast")


def test_several_inputs_leave_whole_tensors():
    model = two_inputs_model()
    for name in ("auto", "min-ram", "min-instructions"):
        assert compile_model(model, schedule=name).schedule.name == "whole"


def test_the_manifest_tells_what_is_stored_and_what_runs_again(all_of_them):
    model = all_of_them["min-ram"]
    told = json.loads(model.files["model.json"])
    schedule = told["schedule"]
    assert schedule["name"] == "stream-w"
    assert (schedule["axis"], schedule["slices"]) == ("width", 1500)
    assert schedule["plan_bytes"] == model.memory.bytes >= schedule["plan_bound"] == model.memory.lower_bound
    assert schedule["macs_again"] == model.macs - compile_model(MODEL).macs > 0
    assert sum(segment["again_macs"] for segment in schedule["segments"]) == schedule["macs_again"]
    assert len(schedule["segments"]) == 4
    again = [layer for layer in told["layers"] if layer["again"]]
    assert [layer["name"] for layer in again] == [name for s in schedule["segments"] for name in s["again"]]
    assert schedule["segments"][0]["stores"][0]["bytes"] == 3000


def test_every_layer_has_a_shape_and_bytes(all_of_them):
    for model in all_of_them.values():
        for layer in model.layers:
            assert layer.shape
            assert layer.bytes > 0


def test_pushes_add_up(all_of_them):
    told = all_of_them["stream"].schedule
    assert told.push_mean * told.slices + told.finish == pytest.approx(told.instructions, rel=0.01)
    assert told.push_max > told.push_mean
    assert compile_model(small_model()).schedule.push_max == 0


def test_spreading_lowers_the_largest_push_and_changes_nothing_else():
    example = (ROOT / "firmware" / "example_model" / "model.tflite").read_bytes()
    plain, spread = (compile_model(example, schedule="stream", spread=most) for most in (0, 6))
    assert spread.schedule.push_max < 0.6 * plain.schedule.push_max
    assert spread.schedule.instructions == pytest.approx(plain.schedule.instructions, rel=0.01)
    assert spread.state_bytes < plain.state_bytes + 520
    assert (plain.schedule.spread, spread.schedule.spread) == (0, 6)
    with pytest.raises(OptionError, match="spread must be 0 or more layers per push, got -1"):
        compile_model(MODEL, spread=-1)


@pytest.mark.parametrize("name", SCHEDULES)
def test_it_takes_less_than_two_seconds(name):
    start = time.process_time()
    compile_model(attention_resnet(3000, 6), schedule=name)
    assert time.process_time() - start < 2
