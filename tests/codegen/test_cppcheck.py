"""Kernels and generated code under cppcheck: no warning, no performance or portability remark."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from property.catalogue import PROBLEMS
from property.problem import joint_model
from property.runtimes import unsupported
from support.small_models import small_model
from thumbnet.codegen import compile_model

KERNELS = Path(__file__).resolve().parents[2] / "firmware" / "kernels"
#: Reasons: cppcheck looks at one file at a time and does not know who calls a kernel, nor the system's headers.
SUPPRESSED = ("missingIncludeSystem", "unusedFunction", "unmatchedSuppression", "checkersReport")


def cppcheck(*arguments: str | Path, includes: Sequence[Path]) -> None:
    if shutil.which("cppcheck") is None:
        pytest.skip("cppcheck is not installed")
    command = ["cppcheck", "--std=c99", "--enable=warning,performance,portability", "--error-exitcode=1", "--quiet"]
    command += ["--inline-suppr", *(f"--suppress={name}" for name in SUPPRESSED), *(f"-I{path}" for path in includes)]
    command += [str(argument) for argument in arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[:3000]


def test_kernels() -> None:
    sources = [path for path in sorted(KERNELS.rglob("*.c"))]
    cppcheck("-DTN_OBSERVE=1", *sources, includes=[KERNELS / "include"])


@pytest.mark.parametrize("schedule", ["whole", "stream"])
def test_generated_code(schedule: str, tmp_path: Path) -> None:
    compile_model(small_model(), target="cortex-m4", schedule=schedule, app=True).write(tmp_path)
    cppcheck(tmp_path / "src", includes=[tmp_path / "src"])


def test_generated_code_of_every_operator(tmp_path: Path) -> None:
    problems = [kind.random(Random(f"cppcheck {kind.__name__}")) for kind in PROBLEMS]
    model = joint_model([problem for problem in problems if unsupported(problem) is None])
    compile_model(model, target="cortex-m3", app=True).write(tmp_path)
    cppcheck(tmp_path / "src" / "model.c", includes=[tmp_path / "src"])
