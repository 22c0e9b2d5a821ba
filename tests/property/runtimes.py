"""What runs a problem. Each runtime says what it leaves out, and why."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pytest
from support import oracle
from thumbnet.codegen.reference import run_model

from .problem import Array, Problem, joint_model


class Runtime(Protocol):
    """Runs models and gives their outputs back."""

    name: str

    def leaves_out(self, problem: Problem) -> str | None:
        """Reason why this runtime does not run the problem; None when it does."""

    def run(self, model: bytes, inputs: list[Array]) -> list[Array]:
        """Outputs of the model, in order."""


class Reference:
    """The NumPy reference, through the reader of the compiler."""

    name = "reference"

    def leaves_out(self, problem: Problem) -> str | None:
        return None

    def run(self, model: bytes, inputs: list[Array]) -> list[Array]:
        return run_model(model, inputs)


def expected(model: bytes, inputs: list[Array], outputs: int) -> list[Array]:
    """Outputs of the oracle."""
    return oracle.run_model(model, inputs, outputs)


def check(runtime: Runtime, *problems: Problem) -> None:
    """Run problems side by side in one model and compare every output byte with the oracle."""
    reason = next(filter(None, map(runtime.leaves_out, problems)), None)
    if reason:
        pytest.skip(f"{runtime.name}: {reason}")
    model = joint_model(problems)
    inputs = [value for problem in problems for value in problem.inputs()]
    got = runtime.run(model, inputs)
    wanted = expected(model, inputs, len(got))
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
