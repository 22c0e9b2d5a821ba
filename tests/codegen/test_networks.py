"""Networks of other kinds than those the compiler was tuned on: every byte on the host's targets.

What is tested: random windows of small networks against TensorFlow Lite Micro, with sanitizers, schedules taking turns;
slow, under every schedule and in full size. What is not: that their kernels are quick.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from property.networks import autoencoder, mobilenet, small_networks
from property.runtimes import Host, difference
from support import oracle
from thumbnet.codegen import OptionError, analyze_model, compile_model
from thumbnet.codegen.targets import TARGETS
from thumbnet.codegen.tflite import read_graph

HOSTS = [name for name in TARGETS if name.startswith("host")]
SCHEDULES = ("whole", "stream-h", "stream-w")


@cache
def networks() -> dict[str, bytes]:
    return small_networks()


class Runtime(Host):
    """Generated C for one of the host's targets under one schedule, with sanitizers."""

    def __init__(self, target: str, schedule: str) -> None:
        self.name = f"{target}, {schedule}"
        self.target = target
        self.schedule = schedule


def compare(model: bytes, target: str, schedule: str) -> None:
    if not oracle.available():
        pytest.skip("the tflite-micro wheel is not installed")
    runtime = Runtime(target, schedule)
    if runtime.missing():
        pytest.skip(str(runtime.missing()))
    try:
        compiled = compile_model(model, target=target, schedule=schedule)
    except OptionError as error:
        pytest.skip(str(error))
    state = np.random.RandomState(7)
    inputs = [state.randint(-128, 128, tensor.shape).astype(np.int8) for tensor in compiled.inputs]
    got = runtime.run(model, inputs)
    wanted = oracle.run_model(model, inputs, len(got))
    for left, right in zip(got, wanted, strict=True):
        assert not difference(left, right)


@pytest.mark.parametrize("target", HOSTS)
@pytest.mark.parametrize("name", small_networks())
def test_every_byte(name: str, target: str) -> None:
    turn = list(networks()).index(name) + HOSTS.index(target)
    compare(networks()[name], target, "whole" if "autoencoder" in name else SCHEDULES[turn % len(SCHEDULES)])


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("target", HOSTS)
@pytest.mark.parametrize("name", small_networks())
def test_every_byte_under_every_schedule(name: str, target: str, schedule: str) -> None:
    compare(networks()[name], target, schedule)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("target", HOSTS)
@pytest.mark.parametrize("build", [mobilenet, autoencoder], ids=lambda build: build.__name__)
def test_every_byte_of_full_size(build, target: str, schedule: str) -> None:
    compare(build(), target, schedule)


@pytest.mark.parametrize("name", small_networks())
def test_the_networks_are_worth_running(name: str) -> None:
    """Codes are spread: an error in a layer would show in the output."""
    model = networks()[name]
    assert not analyze_model(model).unsupported
    if not oracle.available():
        pytest.skip("the tflite-micro wheel is not installed")
    interpreter = oracle.Oracle(model)
    tensor = analyze_model(model).inputs[0]
    interpreter.run(np.random.RandomState(3).randint(-128, 128, tensor.shape).astype(np.int8))
    for node in read_graph(model).nodes:
        value = interpreter.tensor(node.outputs[0])
        if value.size >= 64:
            assert len(np.unique(value)) > 5, (node.op, node.index)
