"""Generated code under MISRA C:2012, by cppcheck's addon: only the deviations that docs/misra.md gives a reason for.

What is tested: a small network fast; slow, whole tensors and streams of the example on each tier and a model with
every operator, which must show every listed deviation, so that the list never outlives its reason. Tables of weights
are shortened before: cppcheck takes minutes for long ones, and no rule asks what a weight is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import pytest
from property.catalogue import PROBLEMS
from property.networks import separable
from property.problem import joint_model
from property.runtimes import unsupported
from thumbnet.codegen import compile_model
from thumbnet.codegen.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "misra.md"
EXAMPLE = ROOT / "firmware" / "example_model" / "model.tflite"
MANDATORY = frozenset("9.1 12.5 13.6 17.3 17.4 17.6 19.1 21.13 21.17 21.18 21.19 21.20 22.2 22.4 22.5 22.6".split())
#: The DSP and vector kernels, and the portable ones.
SHOWN = ("cortex-m4", "cortex-m55", "cortex-m3")
_TABLE = re.compile(r"\[\d+\] = \{\n((?: {4}.*\n){1,2})(?: {4}.*\n)*\};")


@cache
def deviations() -> frozenset[str]:
    return frozenset(re.findall(r"^\| (\d+\.\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def broken(model: bytes, target: str, schedule: str, folder: Path) -> dict[str, str]:
    """Rules that the generated code breaks, each with the first place."""
    if shutil.which("cppcheck") is None:
        pytest.skip("cppcheck is not installed")
    compile_model(model, target=target, schedule=schedule, app=True).write(folder)
    sources = folder / "src"
    for path in sources.glob("*.c"):
        path.write_text(_TABLE.sub(_shortened, path.read_text(encoding="utf-8")), encoding="utf-8")
    command = ["cppcheck", "--std=c99", "--addon=misra", "--enable=style", "--quiet", f"-I{sources}", str(sources)]
    # In a folder of its own: cppcheck prefers an addon that lies in the working folder.
    done = subprocess.run(
        [*command, "--template={id} {file}:{line}"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:2000]
    if "misra" not in done.stderr:
        pytest.skip(f"cppcheck came without its addon: {done.stderr[:200]}")
    return dict(reversed(list(_places(done.stderr))))


def _shortened(table: re.Match[str]) -> str:
    rows = table[1]
    length = rows.count("{") or rows.count(",")
    return f"[{length}] = {{\n{rows}}};"


def _places(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, _, place = line.partition(" ")
        if name.startswith("misra-c2012-"):
            yield name.removeprefix("misra-c2012-"), Path(place).name
        else:
            assert "misra" not in name, f"the addon could not check everything: {line}"


def every_operator() -> bytes:
    problems = [kind.random(Random(f"cppcheck {kind.__name__}")) for kind in PROBLEMS]
    return joint_model([problem for problem in problems if unsupported(problem) is None])


def test_no_mandatory_rule_is_deviated_from() -> None:
    assert len(deviations()) > 10
    assert not deviations() & MANDATORY


def test_a_small_network(tmp_path: Path) -> None:
    found = broken(separable(50, (4, 6), 3), "cortex-m4", "stream", tmp_path)
    assert found
    assert {rule: place for rule, place in found.items() if rule not in deviations()} == {}


def test_a_broken_rule_is_found(tmp_path: Path) -> None:
    """The test above can fail: a goto is seen."""
    if shutil.which("cppcheck") is None:
        pytest.skip("cppcheck is not installed")
    (tmp_path / "unit.c").write_text("int f(int x);\nint f(int x)\n{\n    goto end;\nend:\n    return x;\n}\n")
    command = ["cppcheck", "--addon=misra", "--enable=style", "--quiet", "--template={id} {file}:{line}", "unit.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert "15.1" in dict(_places(done.stderr))
    assert "15.1" not in deviations()


@pytest.mark.slow
def test_every_operator_on_every_tier_whole_and_streamed(tmp_path: Path) -> None:
    found: dict[str, str] = {}
    for target in SHOWN:
        assert target in TARGETS
        found |= broken(every_operator(), target, "whole", tmp_path / target)
        for schedule in ("whole", "stream"):
            found |= broken(EXAMPLE.read_bytes(), target, schedule, tmp_path / f"{target}-{schedule}")
    assert {rule: place for rule, place in found.items() if rule not in deviations()} == {}
    assert deviations() - set(found) == set(), "docs/misra.md lists deviations that no longer occur"


@pytest.mark.slow
@pytest.mark.parametrize("file", ["kws_ref_model", "pretrainedResnet_quant"])
@pytest.mark.parametrize("target", SHOWN)
def test_public_models(file: str, target: str, shared_dir: Path, tmp_path: Path) -> None:
    for schedule in ("whole", "stream"):
        found = broken((shared_dir / "models" / f"{file}.tflite").read_bytes(), target, schedule, tmp_path / schedule)
        assert {rule: place for rule, place in found.items() if rule not in deviations()} == {}
