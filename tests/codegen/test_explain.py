"""The explanation: counts that agree with the compiled model, and every pass with what it did."""

from __future__ import annotations

from support.mobilenet import mobilenet
from support.pass_nets import Net
from thumbnet.codegen import compile_model
from thumbnet.codegen.explain import Explanation, PassReport
from thumbnet.codegen.passes import FUSIONS, PASSES

SMALL = mobilenet(12, ((6, 1), (8, 2)), dead=0.5, seed=4)


def report(found: Explanation, name: str) -> PassReport:
    return next(report for report in found.passes if report.name == name)


def test_every_pass_is_there_in_order() -> None:
    found = compile_model(SMALL).explanation
    assert [r.name for r in found.passes] == [*PASSES, *FUSIONS]
    assert all(r.enabled and r.purpose for r in found.passes)
    for before, after in zip(found.passes[:-1], found.passes[1:], strict=True):
        assert (before.layers[1], before.macs[1]) == (after.layers[0], after.macs[0])


def test_dead_channels_are_counted() -> None:
    model = compile_model(SMALL, disable=["fuse-depthwise"])  # every layer that lost channels is one of its own
    off = compile_model(SMALL, disable=["fuse-depthwise", "dead-channels"])
    found = report(model.explanation, "dead-channels")
    assert found.macs == (off.macs, model.macs)
    assert found.removed_channels > 0
    kept = {layer.node: layer for layer in model.layers if layer.kept}
    assert set(kept) == {change.node for change in found.changes if "channels become" in change.text}


def test_a_pass_that_was_off_says_so() -> None:
    found = compile_model(SMALL, disable=["dead-channels", "one-line-add"]).explanation
    assert not report(found, "dead-channels").enabled
    assert found.off == ("dead-channels", "one-line-add")


def test_fusions_name_the_layers_they_took() -> None:
    net = Net()
    padded = net.pad(net.input, [[0, 0], [1, 1], [1, 1], [0, 0]])
    last = net.unary("RELU", net.conv(padded, net.weights(2, 3, 3, 3), padding="VALID"))
    found = compile_model(net.model(last)).explanation
    assert [(c.op, c.text) for c in report(found, "fuse-pad").changes] == [
        ("PAD", "is no layer of its own any more"),
        ("CONV_2D", "pads (1, 1) by (1, 1)"),
    ]
    assert [(c.op, c.text) for c in report(found, "fuse-clamps").changes] == [
        ("CONV_2D", "activation NONE becomes RELU"),
        ("RELU", "is no layer of its own any more"),
    ]


def test_steps_add_up_to_the_model() -> None:
    model = compile_model(SMALL, target="cortex-m3", disable=["fuse-depthwise"])  # one kernel a layer
    steps = model.explanation.steps
    assert sum(step.macs for step in steps) == model.macs
    assert sum(step.weight_bytes for step in steps) == model.weight_bytes
    assert {step.tier for step in steps} == {"portable"}
    convolutions = [(step, layer) for step, layer in zip(steps, model.layers, strict=True) if "CONV" in step.op]
    assert all((step.proven or 0) + (step.plain or 0) == layer.shape[-1] for step, layer in convolutions)
    assert sum(step.table_bytes for step in steps if step.op == "SOFTMAX") > 0


def test_rounding_twice_leaves_no_proof() -> None:
    steps = compile_model(SMALL, target="cortex-m3", disable=["proven-rounding"]).explanation.steps
    assert not any(step.proven for step in steps)
    assert any(step.plain for step in steps)


def test_one_schedule_is_chosen_and_the_rest_told() -> None:
    model = compile_model(SMALL, schedule="auto")
    found = model.explanation
    assert [s.chosen for s in found.schedules].count(True) == 1
    assert {s.name for s in found.schedules} == {"whole", "stream-h", "stream-w"}
    assert next(s for s in found.schedules if s.chosen).state_bytes == model.state_bytes
    assert found.arena_bytes >= found.arena_bound > 0
