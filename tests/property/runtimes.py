"""What runs a problem. Each runtime says what it leaves out, and why.

Building C costs a quarter of a second however small the model, so that a runtime takes several problems side
by side in one model (`joint_model`).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from support import oracle
from thumbnet.codegen import analyze_model, compile_model
from thumbnet.codegen.model import CompiledModel, TensorInfo
from thumbnet.codegen.reference import run_model

from .problem import Array, Problem, joint_model

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror")
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
MAIN = Path(__file__).with_name("window_main.c")


class Runtime(Protocol):
    """Runs models and gives their outputs back."""

    name: str
    batch: int  # problems in one model, where that is cheaper than one at a time

    def missing(self) -> str | None:
        """What this machine lacks to run it; None when nothing."""

    def leaves_out(self, problem: Problem) -> str | None:
        """Reason why this runtime does not run the problem; None when it does."""

    def run(self, model: bytes, inputs: Sequence[Array]) -> list[Array]:
        """Outputs of the model, in order."""


class Reference:
    """The NumPy reference, through the reader of the compiler."""

    name = "reference"
    batch = 1

    def missing(self) -> str | None:
        return None

    def leaves_out(self, problem: Problem) -> str | None:
        return None

    def run(self, model: bytes, inputs: Sequence[Array]) -> list[Array]:
        return run_model(model, inputs)


class Host:
    """Generated C, built by the host's compiler with every warning an error and under sanitizers."""

    name = "host"
    batch = 20

    def __init__(self, target: str = "host", flags: Sequence[str] = SANITIZERS) -> None:
        self.target = target
        self.flags = flags

    def missing(self) -> str | None:
        return None if shutil.which("cc") else "there is no C compiler (cc)"

    def leaves_out(self, problem: Problem) -> str | None:
        return unsupported(problem)

    def run(self, model: bytes, inputs: Sequence[Array]) -> list[Array]:
        compiled = compile_model(model, target=self.target, app=True)
        with tempfile.TemporaryDirectory() as folder:
            program = self._build(compiled, Path(folder))
            block = pack(inputs, compiled.inputs)
            # Twice: the second run starts from other garbage in the state.
            done = subprocess.run([program], input=block * 2, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, f"{self.name}: {done.stderr.decode(errors='replace')[:2000]}"
        half = len(done.stdout) // 2
        first, second = (unpack(part, compiled.outputs) for part in (done.stdout[:half], done.stdout[half:]))
        for left, right in zip(first, second, strict=True):
            assert not difference(left, right), f"{self.name}: two runs of one window differ"
        return first

    def _build(self, compiled: CompiledModel, folder: Path) -> Path:
        compiled.write(folder)
        sources = sorted(str(path) for path in (folder / "src").glob("*.c"))
        program = folder / "program"
        command = [
            "cc",
            *WARNINGS,
            *self.flags,
            f"-I{folder / 'src'}",
            str(MAIN),
            *sources,
            "-o",
            str(program),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{self.name} does not build: {done.stderr[:2000]}"
        return program


@cache
def unsupported(problem: Problem) -> str | None:
    """First layer that the compiler refuses, with its reason."""
    layers = analyze_model(problem.model()).unsupported
    return f"{layers[0].op}: {layers[0].reason}" if layers else None


def pack(values: Sequence[Array], tensors: Sequence[TensorInfo]) -> bytes:
    """Lay tensors back to back, each padded to 4 bytes."""
    parts = []
    for value, tensor in zip(values, tensors, strict=True):
        raw = np.ascontiguousarray(value, dtype=tensor.dtype).tobytes()
        parts.append(raw + bytes(-len(raw) % 4))
    return b"".join(parts)


def unpack(block: bytes, tensors: Sequence[TensorInfo]) -> list[Array]:
    """Take a block of tensors apart."""
    return [
        np.frombuffer(block[tensor.offset : tensor.offset + tensor.bytes], dtype=tensor.dtype).reshape(
            tensor.shape
        )
        for tensor in tensors
    ]


def check(runtime: Runtime, *problems: Problem) -> None:
    """Run problems side by side in one model and compare every output byte with the oracle."""
    model = joint_model(problems)
    inputs = [value for problem in problems for value in problem.inputs()]
    got = runtime.run(model, inputs)
    wanted = oracle.run_model(model, inputs, len(got))
    for index, (left, right) in enumerate(zip(got, wanted, strict=True)):
        report = difference(left, right)
        assert not report, f"{runtime.name}, output {index}: {report} in {problems}"


def difference(got: Array, wanted: Array) -> str:
    """First mismatch, with its position and how many there are; empty when there is none."""
    if got.dtype != wanted.dtype or got.size != wanted.size:
        return f"{got.dtype}{got.shape} where the oracle has {wanted.dtype}{wanted.shape}"
    wrong = np.flatnonzero(got.reshape(-1).view(np.uint8) != wanted.reshape(-1).view(np.uint8))
    if wrong.size == 0:
        return ""
    first = int(wrong[0]) // got.itemsize
    return (
        f"{wrong.size} bytes of {got.nbytes} differ, first at element {first}: "
        f"got {got.reshape(-1)[first]}, expected {wanted.reshape(-1)[first]}"
    )
