"""Every operator on every runtime against the TFLM interpreter: equality of all output bytes.

Shapes are small and random; this says nothing about speed or about whole models. `THUMBNET_EXAMPLES` sets the
number of random problems per operator and runtime, `THUMBNET_SEED` draws others than the usual ones.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from support import oracle
from thumbnet.codegen.reference import OPERATORS
from thumbnet.codegen.tflite import read_graph

from .cases import CASES
from .catalogue import PROBLEMS
from .problem import Problem
from .runtimes import Host, Reference, Runtime, check

EXAMPLES = int(os.environ.get("THUMBNET_EXAMPLES", "0"))
SEED = os.environ.get("THUMBNET_SEED")
RUNTIMES: tuple[Runtime, ...] = (Reference(), Host())
ON_EVERY_RUNTIME = pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)

pytestmark = pytest.mark.skipif(
    not oracle.available(), reason="the tflite-micro wheel is not installed; golden vectors stand in"
)


def needs(runtime: Runtime) -> None:
    reason = runtime.missing()
    if reason:
        pytest.skip(f"{runtime.name}: {reason}")


@ON_EVERY_RUNTIME
@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
def test_random_problems(kind: type[Problem], runtime: Runtime) -> None:
    needs(runtime)
    if runtime.batch == 1:
        search(kind, runtime, EXAMPLES or 60)
        return
    for first in range(0, EXAMPLES or runtime.batch, runtime.batch):
        names = range(first, first + runtime.batch)
        problems = [kind.random(Random(f"{kind.__name__} {SEED} {name}")) for name in names]
        taken = [problem for problem in problems if runtime.leaves_out(problem) is None]
        if not taken:
            pytest.skip(f"{runtime.name}: {runtime.leaves_out(problems[0])}")
        try:
            check(runtime, *taken)
        except AssertionError:
            for problem in taken:  # one at a time names the culprit, a search makes it small
                check(runtime, problem)
            raise


def search(kind: type[Problem], runtime: Runtime, examples: int) -> None:
    """Let hypothesis draw problems one at a time and shrink the first that fails."""

    @settings(
        max_examples=examples,
        derandomize=SEED is None,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def compare(random: Random) -> None:
        problem = kind.random(random)
        if runtime.leaves_out(problem) is None:
            check(runtime, problem)

    (compare if SEED is None else seed(int(SEED))(compare))()


@ON_EVERY_RUNTIME
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{type(case).__name__}-{case.seed}")
def test_recorded_problems(case: Problem, runtime: Runtime) -> None:
    needs(runtime)
    reason = runtime.leaves_out(case)
    if reason:
        pytest.skip(f"{runtime.name}: {reason}")
    check(runtime, case)


def test_every_operator_of_the_reference_has_a_problem() -> None:
    seen = set()
    for kind in PROBLEMS:
        for number in range(20):
            seen.update(node.op for node in read_graph(kind.random(Random(number)).model()).nodes)
    assert seen == set(OPERATORS)
