"""Residual links that run late: which do, what waits in their place, and every byte of the generated code.

What is not tested here: instructions, which `thumbnet bench` counts.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from property.networks import Network
from property.runtimes import HostStream, difference
from support import oracle
from thumbnet.codegen import choose, compile_model
from thumbnet.codegen.passes.late_links import late_links, links
from thumbnet.codegen.tflite import read_graph

EXAMPLE = Path(__file__).resolve().parents[2] / "firmware" / "example_model" / "model.tflite"

needs_oracle = pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")


def block(seed: int, *, stride: tuple[int, int] = (4, 1), size: tuple[int, int] = (37, 5), filters: int = 8) -> bytes:
    """Two residual blocks; the links step over slices."""
    net = Network((*size, 4), seed)
    x = net.live[0]
    for _ in range(2):
        main = net.conv(net.conv(x, filters, (3, 3), stride=(2, 1)), filters, (3, 1), stride=(2, stride[1]))
        x = net.join(main, net.conv(x, filters, (1, 1), stride=stride, activation="NONE"), "NONE")
        filters *= 2
    return net.finish(x)


def ops(model: bytes, **options: object) -> list[str]:
    return [layer.op for layer in compile_model(model, **options).layers]  # type: ignore[arg-type]


def test_pixels_wait_in_place_of_what_is_made_of_them() -> None:
    model = block(1)
    late, early = (compile_model(model, schedule="stream-h", disable=off) for off in ((), ("late-links",)))
    assert [layer.op for layer in late.layers].count("SUBSAMPLE") == 2
    assert late.macs == early.macs
    assert late.state_bytes < early.state_bytes


def test_whole_tensors_do_not_wait() -> None:
    assert "SUBSAMPLE" not in ops(block(1))
    assert "SUBSAMPLE" not in ops(block(1), schedule="stream-h", disable=("late-links",))


@pytest.mark.parametrize(
    ("stride", "filters"), [((1, 1), 8), ((4, 1), 4), ((4, 1), 3)], ids=["no step", "as many channels", "fewer"]
)
def test_links_that_save_nothing_stay(stride: tuple[int, int], filters: int) -> None:
    net = Network((16, 4, 4), 1)
    x = net.live[0]
    main = net.conv(x, filters, (3, 1), stride=stride)
    graph = read_graph(net.finish(net.join(main, net.conv(x, filters, (1, 1), stride=stride))))
    assert not links(graph)
    assert late_links(graph) is graph


def test_a_link_that_somebody_else_reads_stays() -> None:
    net = Network((16, 4, 4), 1)
    x = net.live[0]
    link = net.conv(x, 8, (1, 1), stride=(2, 1))
    net.join(net.join(net.conv(x, 8, (3, 1), stride=(2, 1)), link), link)
    assert not links(read_graph(net.build()))


def test_the_example_has_two_kilobytes() -> None:
    assert compile_model(EXAMPLE.read_bytes(), schedule="stream").state_bytes <= 2048


def test_the_explanation_tells() -> None:
    found = compile_model(EXAMPLE.read_bytes(), schedule="stream").explanation
    report = next(report for report in found.passes if report.name == "late-links")
    assert report.layers[1] - report.layers[0] == 3
    assert ["stride_h 4 becomes 1" in change.text for change in report.changes] == [True] * 3


@needs_oracle
@pytest.mark.parametrize(("target", "axis"), [("host", "h"), ("host-dsp", "h"), ("host-dsp", "w"), ("host-mve", "h")])
def test_every_byte(target: str, axis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = iter(range(1_000_000))
    monkeypatch.setattr(choose._Search, "worth", lambda self: (next(asked),))  # what is tried first wins
    random = Random(f"{target} {axis}")
    steps = random.choice([2, 4]), random.choice([1, 2])
    size = random.randint(24, 41), random.randint(3, 9)
    if axis == "w":
        net = Network((size[1], size[0], 4), 3)
        x = net.live[0]
        main = net.conv(net.conv(x, 8, (3, 3), stride=(1, 2)), 8, (1, 3), stride=(steps[1], 2))
        model = net.finish(net.join(main, net.conv(x, 8, (1, 1), stride=(steps[1], 4), activation="NONE"), "NONE"))
    else:
        model = block(2, stride=(4, steps[1]), size=size)
    assert "SUBSAMPLE" in ops(model, target=target, schedule=f"stream-{axis}")
    runtime = HostStream(axis)
    runtime.target = target
    shape = compile_model(model).inputs[0].shape
    inputs = [np.random.RandomState(5).randint(-128, 128, shape).astype(np.int8)]
    (got,) = runtime.run(model, inputs)
    assert not difference(got, oracle.run_model(model, inputs)[0])
