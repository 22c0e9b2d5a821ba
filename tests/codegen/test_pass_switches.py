"""Switches: each one alone and all together leave every output byte as it is."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from property.graphs import SmallGraph
from property.runtimes import Host, HostDsp, check
from support import oracle
from support.attention import attention_resnet
from support.pass_nets import Net
from thumbnet.codegen import OptionError, compile_model
from thumbnet.codegen.passes import SWITCHES

ALL = tuple(SWITCHES)
EXAMPLE = Path(__file__).resolve().parents[2] / "firmware" / "example_model" / "model.tflite"


def network() -> bytes:
    """Something for every switch to act on."""
    net = Net(zero_point=3)
    padded = net.pad(net.input, [[0, 0], [1, 1], [1, 1], [0, 0]], zp=3)
    a = net.unary("RELU", net.conv(padded, net.weights(8, 3, 3, 3, zero=[1, 2, 5, 6]), padding="VALID", zp=-9), -9)
    b = net.reshape(net.reshape(a, 1, 30, 8, zp=-9), 1, 5, 6, 8, zp=-9)
    c = net.conv(b, net.weights(4, 1, 1, 8))
    pooled = net.tensor((1, 2, 6, 4))
    window = {"filter_h": 2, "filter_w": 1, "stride_h": 2, "stride_w": 1, "padding": "VALID"}
    net.builder.operator("MAX_POOL_2D", [c], [pooled], activation="NONE", **window)
    held = net.builder.tensor((1, 2, 6, 4), scale=0.1, data=np.ones((1, 2, 6, 4)))
    d = net.add(pooled, net.unary("TANH", held, scale=1 / 128))
    e = net.add(pooled, net.conv(d, net.weights(4, 1, 1, 4)))
    return net.model(net.unary("TANH", net.unary("LEAKY_RELU", e, alpha=0.2), scale=1 / 128))


def test_each_switch_changes_the_code() -> None:
    # Changes of shape matter to streams alone, proofs to the portable kernels.
    elsewhere = {"drop-reshapes": ("cortex-m4", "stream-h"), "proven-rounding": ("cortex-m3", "whole")}
    elsewhere |= dict.fromkeys(("fuse-depthwise", "late-links"), ("cortex-m4", "stream"))
    elsewhere["pair-slices"] = ("cortex-m4", "stream-w")
    for name in ALL:
        target, schedule = elsewhere.get(name, ("cortex-m4", "whole"))
        others = {"dead-channels"} if name == "fold-constants" else set()  # that computes constants beforehand too
        model = {"stream": EXAMPLE.read_bytes(), "stream-w": attention_resnet(1500, 1)}.get(schedule) or network()
        on = compile_model(model, target=target, schedule=schedule, disable=others)
        off = compile_model(model, target=target, schedule=schedule, disable={name, *others})
        assert on.files["src/model.c"] != off.files["src/model.c"], name


def test_an_unknown_switch_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^cannot switch off 'speed': allowed are fold-constants, .*tier-kernels$"):
        compile_model(network(), disable=["fuse-pad", "speed"])


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
@pytest.mark.parametrize("disable", [(), *((name,) for name in ALL), ALL], ids=lambda names: "+".join(names) or "none")
def test_outputs_stay_the_same(disable: tuple[str, ...]) -> None:
    model = network()
    runtime = Host() if "proven-rounding" in disable else HostDsp()
    runtime.disable = disable
    x = np.random.default_rng(2).integers(-128, 128, (1, 5, 6, 3)).astype(np.int8)
    (got,) = runtime.run(model, [x])
    assert np.array_equal(got, oracle.run_model(model, [x])[0])


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
@pytest.mark.parametrize("disable", [(), ALL], ids=["on", "off"])
def test_random_graphs_equal_tflm_with_and_without(disable: tuple[str, ...]) -> None:
    runtime = Host()
    runtime.disable = disable
    problems = [SmallGraph.random(Random(f"switches {number}")) for number in range(30)]
    check(runtime, *(problem for problem in problems if runtime.leaves_out(problem) is None))
