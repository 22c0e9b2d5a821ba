"""Archives and compositions of mixtures, and what is refused: one sentence that names the part and what it must be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.mixtures import Sizes, expert, gate, mixture, towers
from thumbnet.codegen import CodegenError, CompositionError, OptionError, analyze_model, compile_model
from thumbnet.codegen.mixture import Mixture, Task, compose, is_mixture, read_mixture

SMALL = Sizes(experts=2, k=1, length=12)
FILES = {"g": b"gate", "a": b"first", "b": b"second", "t": b"towers"}
DESCRIPTION: dict[str, Any] = {
    "kind": "mixture",
    "gate": "g",
    "experts": ["a", "b"],
    "towers": "t",
    "k": 1,
    "tasks": [{"name": "SBP", "unit": "mmHg", "scale": 18, "offset": 120}],
}


def test_an_archive_keeps_everything_and_equal_mixtures_are_equal_bytes() -> None:
    made = mixture(SMALL)
    data = made.to_bytes()
    assert is_mixture(data) and not is_mixture(made.gate)
    assert read_mixture(data) == made
    assert read_mixture(data).to_bytes() == data


def test_a_composition_is_read_by_its_names() -> None:
    found = compose(DESCRIPTION, FILES)
    assert found.experts == (b"first", b"second") and found.towers == (b"towers",)
    assert found.tasks == (Task("SBP", "mmHg", 18.0, 120.0),)
    assert (found.gate_reads, found.patient_scale) == ("input", ())
    with_bottom = compose({**DESCRIPTION, "bottom": "a"}, FILES)
    assert with_bottom.gate_reads == "features"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kind": "cascade"}, "kind must be 'mixture', got 'cascade'"),
        ({"k": 3}, "k must be 1 to 2 of the 2 experts, got 3"),
        ({"k": True}, "k must be 1 to 2 of the 2 experts, got True"),
        ({"experts": []}, "experts must be 1 to 255 networks, got 0"),
        ({"experts": "a"}, "experts must be a list of files, got 'a'"),
        ({"gate": "x"}, "gate names the file 'x', which is not there"),
        ({"tasks": []}, "tasks must name at least one output"),
        ({"tasks": [{"name": "SBP", "units": "mmHg"}]}, "a task has name, unit, scale and offset"),
        ({"tasks": [{"name": "SBP", "scale": float("nan")}]}, "scale and offset of task 'SBP' must be numbers"),
        ({"towers": ["t", "t"]}, "towers must be one network for all tasks or one for each of the 1, got 2"),
        ({"gate_reads": "features"}, "gate_reads must be input, got 'features'"),
        ({"mixed": "rows"}, "mixed must be task-major or feature-major, got 'rows'"),
        ({"patient": {"scale": [1, 2]}}, "scale of patient must have 1 values, got 2"),
        ({"patient": {"offset": ["x"]}}, "offset of patient must be a list of numbers"),
        ({"pick": 2}, "unknown key 'pick'"),
    ],
)
def test_a_bad_composition_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(CompositionError, match=f"^composition: {text}"):
        compose({**DESCRIPTION, **change}, FILES)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(CompositionError, match="composition lacks 'gate'"):
        compose({"kind": "mixture"}, FILES)
    with pytest.raises(CompositionError, match=r"no archive with a mixture\.json"):
        compile_model(b"PK\x03\x04 and nothing else")


def _refusal(changed: Mixture) -> str:
    with pytest.raises(CodegenError) as found:
        compile_model(changed.to_bytes())
    return str(found.value)


def test_parts_that_do_not_fit_are_named() -> None:
    made = mixture(SMALL)
    other = expert(replace(SMALL, features=5), 9, 12, 1)
    assert _refusal(replace(made, experts=(made.experts[0], other))).startswith(
        "expert 1 must have the structure of expert 0:"
    )
    longer = expert(SMALL, 9, 13, 1)
    assert "expert 0 must read what gate has, [1, 1, 12, 1] of scale 0.05" in _refusal(
        replace(made, experts=(longer, longer))
    )
    assert _refusal(replace(made, gate=gate(replace(SMALL, experts=3), 12, 1))) == (
        "gate must give 4 logits (2 tasks x 2 experts), or 6 with those for the choice in front, got 9"
    )
    assert _refusal(replace(made, towers=(towers(replace(SMALL, features=3)),))) == (
        "towers must read 8 mixed features, got 6 of shape [1, 6]"
    )
    assert _refusal(replace(made, gate=b"nonsense")).startswith("gate: ")


def test_a_network_of_floats_is_refused() -> None:
    from support.tflite_builder import ModelBuilder

    net = ModelBuilder()
    x, y = net.tensor((1, 12), "float32"), net.tensor((1, 12), scale=0.05)
    net.operator("QUANTIZE", [x], [y])
    assert "gate: input 't0' must be quantized to int8, got float32" in _refusal(
        replace(mixture(SMALL), gate=net.build([x], [y]))
    )


def test_every_layer_that_runs_is_listed() -> None:
    made = mixture(Sizes(experts=3, k=2, length=12))
    found = analyze_model(made.to_bytes())
    assert not found.unsupported
    assert {layer.name.partition(":")[0] for layer in found.layers} == {"gate", "expert 0", "expert 1", "towers"}
    compiled = compile_model(made.to_bytes())
    assert sum(layer.macs for layer in found.layers) == compiled.macs - 2 * 2 * 4 - 2  # mixing and values
    assert found.model_hash == compiled.model_hash
    assert replace(found.outputs[0], tensor=compiled.outputs[0].tensor) == compiled.outputs[0]


def test_options_are_checked_as_for_one_network() -> None:
    data = mixture(SMALL).to_bytes()
    with pytest.raises(OptionError, match="unknown schedule 'fast'"):
        compile_model(data, schedule="fast")
    with pytest.raises(OptionError, match="prefix 'int' is not allowed"):
        compile_model(data, prefix="int")
