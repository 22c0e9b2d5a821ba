"""Every operator for every target under every compiler at hand: no warning, whole and streamed, for speed and for size.

What is tested: GCC and Clang, for the host and (Clang with newlib's headers) for each core; slow: cppcheck. What is
not: that results are right (the property suite), nor warnings that need an optimizer (test_generated_c.py).
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from random import Random

import pytest
from property.catalogue import PROBLEMS
from property.networks import inception, separable
from property.problem import joint_model
from property.runtimes import unsupported
from thumbnet.codegen import compile_model
from thumbnet.codegen.targets import TARGETS

NEWLIB = Path("/usr/include/newlib")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Werror")
FLOATS = {
    "cortex-m4": ("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    "cortex-m7": ("-mfloat-abi=hard", "-mfpu=fpv5-d16"),
    "cortex-m33": ("-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
    "cortex-m55": ("-mfloat-abi=hard",),
}
#: Schedule, model, what the code leans to.
KINDS = (("whole", "operators", "speed"), ("stream", "inception", "speed"), ("stream", "separable", "size"))


@cache
def model(name: str) -> bytes:
    if name == "inception":
        return inception(40)
    if name == "separable":
        return separable(50, (4, 6, 8, 8, 8), 3)
    problems = [kind.random(Random(f"every target {kind.__name__}")) for kind in PROBLEMS]
    return joint_model([problem for problem in problems if unsupported(problem) is None])


def command(compiler: str, target: str) -> list[str]:
    """Compiler and options for a target; skips where this machine lacks it."""
    if target.startswith("host"):
        program, options = compiler, []
    elif compiler == "gcc":
        program, options = "arm-none-eabi-gcc", [f"-mcpu={target}", "-mthumb"]
        options += FLOATS.get(target, ("-mfloat-abi=soft",))
    else:
        if not NEWLIB.is_dir():
            pytest.skip(f"newlib's headers are not in {NEWLIB}")
        program, options = "clang", ["-target", "arm-none-eabi", f"-mcpu={target}", "-isystem", str(NEWLIB)]
        options += FLOATS.get(target, ("-mfloat-abi=soft",))
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return [program, *options, *WARNINGS, "-fsyntax-only"]


def generate(folder: Path, target: str, schedule: str, name: str, optimize: str) -> Path:
    compile_model(model(name), target=target, schedule=schedule, optimize=optimize, app=True).write(folder)
    return folder / "src"


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("target", TARGETS)
def test_no_warning(target: str, compiler: str, kind: tuple[str, str, str], tmp_path: Path) -> None:
    words = command(compiler, target)
    sources = generate(tmp_path, target, *kind)
    files = [str(path) for path in sorted(sources.glob("*.c"))]
    done = subprocess.run([*words, f"-I{sources}", *files], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("target", TARGETS)
def test_cppcheck(target: str, kind: tuple[str, str, str], tmp_path: Path) -> None:
    if shutil.which("cppcheck") is None:
        pytest.skip("cppcheck is not installed")
    sources = generate(tmp_path, target, *kind)
    words = ["cppcheck", "--std=c99", "--enable=warning,performance,portability", "--error-exitcode=1", "--quiet"]
    words += ["--inline-suppr", "--suppress=missingIncludeSystem", f"-I{sources}", str(sources)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[:3000]
