"""The stack bound in generated headers rests on measured frames; here they are measured again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from golden.stack_frames import CORES, KERNELS, file_frame, inline_frames, kernel_files, sample_models
from thumbnet.codegen.library import stack_bound

RECORDED = json.loads((KERNELS / "stack.json").read_text())

needs_compiler = pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed"
)


def test_every_kernel_has_a_recorded_frame() -> None:
    recorded = {"portable": RECORDED["bytes"], **RECORDED["tiers"]}
    assert {(tier, path.stem) for tier, path, _ in kernel_files()} == {
        (tier, stem) for tier, frames in recorded.items() for stem in frames
    }


@needs_compiler
@pytest.mark.parametrize("core", CORES)
def test_recorded_frames_are_upper_bounds(core: str, tmp_path: Path) -> None:
    recorded = {"portable": RECORDED["bytes"], **RECORDED["tiers"]}
    for tier, source, cores in kernel_files():
        if core in cores:
            assert file_frame(source, core, tmp_path) <= recorded[tier][source.stem], source.stem


@needs_compiler
@pytest.mark.parametrize("schedule", ["whole", "stream"])
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33", "cortex-m55"])
def test_recorded_frames_bound_inline_kernels_in_other_layers(core: str, schedule: str, tmp_path: Path) -> None:
    """Layers that the record was not made from; only one of them can be streamed."""
    found = set()
    for model in list(sample_models(seed=2, layers=4))[-1 if schedule == "stream" else 0 :]:
        for kernel, frame in inline_frames(model, core, schedule, tmp_path):
            assert frame <= RECORDED["inline"][kernel], kernel
            found.add(kernel)
    assert found


def test_the_bound_is_that_of_the_tier_whose_kernel_it_is() -> None:
    tier = RECORDED["tiers"]["mve"]["tn_mean_s8"] - RECORDED["bytes"]["tn_mean_s8"]
    assert tier != 0
    assert stack_bound(["tn_mean_s8"], tiers=("mve", "portable")) - stack_bound(["tn_mean_s8"]) == tier


def test_bound_covers_the_deepest_kernel() -> None:
    assert stack_bound(["tn_lookup_s8", "tn_conv2d_s8"]) > RECORDED["bytes"]["tn_conv2d_s8"]
