"""Windows normalised by their own range on the device: where they lie, and every byte of both together."""

from __future__ import annotations

import pytest
from support.mixtures import Sizes, mixture
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import GENERATOR, CompiledModel, Limits, OptionError, compile_model
from thumbnet.codegen.signals import Biquads, ChannelPlan, MinMax, SignalPlan, design
from thumbnet.codegen.signals.application import compile_with_signals, with_signals
from thumbnet.host_tools.boards import get_board
from thumbnet.host_tools.build import build_firmware
from thumbnet.host_tools.devices import open_device
from thumbnet.host_tools.link.client import DeviceClient
from thumbnet.host_tools.oracle import open_oracle
from thumbnet.host_tools.parity import Expected, Layer, compare_layers
from thumbnet.host_tools.signals import SampleWindows, SignalOracle, schedule_behind

SMOOTH = Biquads(((0.2, 0.4, 0.2, 1.0, -0.37, 0.19),))
LONG = Sizes(experts=3, k=2, length=150)


def small() -> bytes:
    """A network whose state is smaller than a window of values."""
    builder = ModelBuilder()
    x = builder.tensor((1, 150, 1, 1), scale=1 / 127, name="x")
    y = builder.tensor((1, 1), scale=1 / 127, name="y")
    builder.operator("MEAN", [x, builder.constant([1, 2])], [y], keep_dims=False)
    return builder.build([x], [y])


def plan_for(model: bytes, bits: int, steps=(), channels: int = 1) -> SignalPlan:
    """Between -1 and 1 in the scale of the model's input, whatever that is."""
    tensor = compile_model(model).inputs[0]
    rows = tuple(ChannelPlan(f"PPG{n}", 1.0, 1.0, tuple(steps)) for n in range(channels))
    return SignalPlan(bits, rows, MinMax(tensor.scale, tensor.zero_point, -1.0, 1.0), 125.0)


CASES = {
    "mixture, gate in the stream": (mixture(LONG).to_bytes(), "stream", 16, (), 1),
    "mixture, wide values": (mixture(LONG).to_bytes(), "stream", 24, (), 1),
    "mixture, filtered": (mixture(LONG).to_bytes(), "auto", 16, (SMOOTH,), 1),
    "mixture, least memory": (mixture(LONG).to_bytes(), "min-ram", 24, (), 1),
    "mixture, window of the caller": (mixture(LONG).to_bytes(), "whole", 16, (), 1),
    "mixture with a bottom": (mixture(Sizes(experts=2, k=1, length=150, bottom=True)).to_bytes(), "stream", 16, (), 1),
    "mixture of two channels": (mixture(Sizes(experts=2, k=1, length=100, channels=2)).to_bytes(), "stream", 16, (), 2),
    "network of little memory": (small(), "whole", 16, (), 1),
    "stream of little memory": (small(), "stream", 20, (), 1),
}


def compiled_for(name: str, target: str = "host") -> tuple[bytes, SignalPlan, CompiledModel, CompiledModel]:
    model, schedule, bits, steps, channels = CASES[name]
    plan = plan_for(model, bits, steps, channels)
    given = schedule_behind(plan, schedule)
    alone = compile_model(model, target=target, prefix="model", schedule=given, app=True)
    return model, plan, alone, with_signals(alone, plan, GENERATOR)


def compare_on(board: str, name: str, folder, sanitize: bool = False, count: int = 6):
    model, plan, alone, both = compiled_for(name, get_board(board).target)
    both.write(folder / "sources")
    built = build_firmware(folder / "sources", board, observe=True, sanitize=sanitize, workdir=folder / "build")
    samples, channels = both.inputs[0].shape
    windows = SampleWindows(plan.bits, samples, channels, count, 1)
    expected = Expected(SignalOracle(open_oracle(model), alone, plan), windows)
    layers = [Layer(x.index, x.name, x.op, x.tensor, x.kept) for x in both.layers]
    with open_device(get_board(board), built.elf, port=None) as pipe:
        client = DeviceClient(pipe)
        told = client.hello().state_bytes
        return compare_layers(client, expected, both.outputs, layers), told, both


FAST = ("mixture, gate in the stream", "mixture, least memory", "mixture of two channels", "stream of little memory")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in CASES])
def test_codes_and_outputs_on_the_host_under_sanitizers(name, tmp_path):
    found, _, _ = compare_on("host", name, tmp_path, sanitize=True)
    assert found.windows == 6 and found.mismatches == 0
    assert found.diverging is None


def test_codes_and_outputs_on_a_board(tmp_path):
    found, told, both = compare_on("qemu_m4", "mixture, gate in the stream", tmp_path, count=4)
    assert found.mismatches == 0 and found.diverging is None
    assert told == both.state_bytes


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("board", ["qemu_m3", "qemu_m4", "qemu_m55"])
def test_codes_and_outputs_on_every_board(board, name, tmp_path):
    found, told, both = compare_on(board, name, tmp_path)
    assert found.mismatches == 0 and found.diverging is None
    assert told == both.state_bytes


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("mixture") and "caller" not in name])
def test_the_window_lies_where_the_model_works(name):
    """8 bytes on top of the model: what filters keep apart, nothing for values and codes."""
    _, plan, alone, both = compiled_for(name, "cortex-m4")
    kept = 20 if plan.channels[0].steps else 0
    shared = "union {" in both.files["src/tn_app_model.h"]
    values = alone.inputs[0].bytes * (2 if design(plan).narrow else 4)
    assert shared == (values <= alone.held.free_bytes)
    assert both.state_bytes == alone.state_bytes + 8 + kept + (0 if shared else values)


def test_a_networks_memory_is_the_windows():
    _, _, alone, both = compiled_for("network of little memory", "cortex-m4")
    assert alone.state_bytes < 300
    assert both.state_bytes == 300 + 152 + 8  # values in place of the state, codes, preprocessing


def test_limits_are_for_both_together():
    model, _, bits, steps, channels = CASES["mixture, gate in the stream"]
    plan = plan_for(model, bits, steps, channels)

    def alone(limits: Limits) -> CompiledModel:
        return compile_model(model, target="cortex-m4", prefix="model", schedule="auto", limits=limits, app=True)

    free = alone(Limits(ram=100_000)).state_bytes
    inner, both = compile_with_signals(alone, Limits(ram=free), plan, GENERATOR)
    assert both.state_bytes <= free and inner.state_bytes < free
    with pytest.raises(OptionError, match="no schedule fits the limits"):
        compile_with_signals(alone, Limits(ram=500), plan, GENERATOR)
