"""Generated code of mixtures: every output byte against TensorFlow Lite Micro's parts put together in NumPy."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from property.runtimes import QEMU, Generated, Host, HostDsp, HostMve, difference
from support.mixtures import Sizes, mixture
from thumbnet.codegen import CompiledModel, Limits, OptionError, compile_model
from thumbnet.codegen.mixture import Mixture
from thumbnet.host_tools.oracle import open_oracle

FEW = Sizes(experts=3, k=2, length=24)


def run(runtime: Generated, made: Mixture, schedule: str = "stream", seeds: int = 3) -> list[int]:
    """Compare some windows; gives how often each expert was chosen."""
    data = made.to_bytes()
    runtime.schedule = schedule
    oracle = open_oracle(data)
    shape = compile_model(data).inputs[0].shape
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        window = rng.integers(-128, 128, shape) if seed % 2 else np.cumsum(rng.integers(-9, 10, shape), axis=-2)
        window = np.clip(window, -128, 127).astype(np.int8)
        (got,), (wanted,) = runtime.run(data, [window]), oracle.run([window])
        assert not difference(got, wanted), f"{runtime.name} {schedule} seed {seed}: {difference(got, wanted)}"
    return list(oracle.chosen)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("runtime", "schedule", "sizes"),
    [
        (Host(), "stream", FEW),
        (HostDsp(), "whole", replace(FEW, bottom=True, own_choice=False, tasks=3, feature_major=True, seed=3)),
        (HostMve(), "stream", replace(FEW, bottom=True, gate_reads="input", separate_towers=True, seed=5)),
    ],
)
def test_every_byte_is_exact_on_the_host(runtime: Generated, schedule: str, sizes: Sizes) -> None:
    run(runtime, mixture(sizes), schedule, seeds=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_random_mixtures_are_exact(seed: int) -> None:
    random = Random(seed)
    experts = random.randint(1, 6) if seed else 1
    sizes = Sizes(
        experts=experts,
        k=random.randint(1, experts),
        tasks=random.randint(1, 4),
        features=random.randint(1, 9),
        length=random.randint(9, 60),
        channels=random.randint(1, 3),
        own_choice=random.random() < 0.5,
        feature_major=random.random() < 0.5,
        separate_towers=random.random() < 0.3,
        bottom=random.random() < 0.3,
        spread_scales=random.random() < 0.7,
        seed=1000 * seed,
    )
    runtime = random.choice([Host(), HostDsp(), HostMve()])
    run(runtime, mixture(sizes), random.choice(["stream", "whole", "min-ram", "auto", "stream-h"]))


@pytest.mark.parametrize("machine", [m for m in QEMU if m.name == "qemu_m4"], ids=lambda m: m.name)
def test_every_byte_is_exact_on_a_board(machine: Generated) -> None:
    if machine.missing():
        pytest.skip(str(machine.missing()))
    used = run(machine, mixture(replace(FEW, experts=5)), seeds=2)
    assert sum(used) == 2 * 2


@pytest.mark.slow
@pytest.mark.parametrize("machine", QEMU, ids=lambda m: m.name)
def test_every_byte_is_exact_on_every_board(machine: Generated) -> None:
    if machine.missing():
        pytest.skip(str(machine.missing()))
    run(machine, mixture(replace(FEW, experts=5, bottom=True, separate_towers=True)), "auto")


def _code(compiled: CompiledModel, name: str) -> str:
    return compiled.files[f"src/{name}"]


def test_experts_share_their_code() -> None:
    """More experts add constants, no functions."""
    few, many = (
        compile_model(mixture(replace(FEW, experts=n, spread_scales=False)).to_bytes(), schedule="stream")
        for n in (2, 6)
    )
    function = re.compile(r"^(?:static|TN_OUTLINE) .*\)$", re.MULTILINE)
    functions = [len(function.findall(_code(compiled, "model_expert.c"))) for compiled in (few, many)]
    assert functions[0] > 0
    # A layer that rounds in another form in some expert has a second copy.
    assert functions[1] <= functions[0] + 4
    assert many.macs - few.macs == 4 * 4 * 3  # the gate's logits
    assert few.state_bytes <= many.state_bytes <= few.state_bytes + 16


def test_the_manifest_tells_how_the_parts_run() -> None:
    compiled = compile_model(mixture(FEW).to_bytes(), target="cortex-m4", schedule="stream")
    found = json.loads(compiled.files["model.json"])
    assert found["mixture"]["experts"] == 3 and found["mixture"]["chosen"] == 2
    assert set(found["mixture"]["parts"]) == {"gate", "expert", "towers"}
    assert found["schedule"]["slices"] == 24 and found["schedule"]["slice_bytes"] == 1
    layers = [layer["op"] for layer in found["layers"] if layer["node"] == -1]
    assert layers == ["TOP_K", "MIXTURE", "CALIBRATE"]
    numbers = [layer["index"] for layer in found["layers"]]
    assert numbers == list(range(len(numbers)))


def test_what_was_chosen_is_explained() -> None:
    compiled = compile_model(mixture(FEW).to_bytes(), schedule="stream")
    notes = " ".join(compiled.explanation.notes)
    assert "2 of 3 experts run for a window" in notes
    assert "the window of 24 bytes is kept in the state" in notes
    assert "share one memory" in notes
    whole = compile_model(mixture(FEW).to_bytes(), schedule="whole").explanation.notes
    assert "the window is the caller's" in whole[1]


def test_limits_count() -> None:
    data = mixture(FEW).to_bytes()
    with pytest.raises(OptionError, match="no schedule fits the limits: what comes nearest takes"):
        compile_model(data, schedule="auto", limits=Limits(ram=50))
    assert compile_model(data, schedule="auto", limits=Limits(ram=100_000)).state_bytes < 100_000


def test_the_same_mixture_gives_the_same_files(tmp_path: Path) -> None:
    data = mixture(FEW).to_bytes()
    assert compile_model(data).files == compile_model(data).files
