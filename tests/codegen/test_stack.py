"""The stack bound in generated headers rests on measured frames; here they are measured again."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from thumbnet.codegen.library import KERNELS, stack_bound

CORES = json.loads((KERNELS.parent / "platform" / "cores.json").read_text())
RECORDED = json.loads((KERNELS / "stack.json").read_text())["bytes"]


def frames(source: Path, flags: list[str], folder: Path) -> int:
    """Sum of the stack frames of all functions of a file: no chain of calls inside it can be deeper."""
    target = folder / "kernel.o"
    command = ["arm-none-eabi-gcc", *flags, "-std=c99", "-O2", "-fstack-usage", "-I", str(KERNELS / "include")]
    subprocess.run([*command, "-c", str(source), "-o", str(target)], check=True, timeout=60)
    return sum(int(line.split("\t")[1]) for line in target.with_suffix(".su").read_text().splitlines())


def test_every_kernel_has_a_recorded_frame() -> None:
    assert {path.stem for path in (KERNELS / "portable").glob("*.c")} == set(RECORDED)


@pytest.mark.parametrize("core", CORES)
def test_recorded_frames_are_upper_bounds(core: str, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    for source in sorted((KERNELS / "portable").glob("*.c")):
        assert frames(source, CORES[core], tmp_path) <= RECORDED[source.stem], source.stem


def test_bound_covers_the_deepest_kernel() -> None:
    assert stack_bound(["tn_lookup_s8", "tn_conv2d_s8"]) > RECORDED["tn_conv2d_s8"]
