"""Every operator on every runtime against the TFLM interpreter: equality of all output bytes.

Shapes are small and random; this says nothing about speed or about whole models. `THUMBNET_EXAMPLES` sets the
number of random problems per operator and runtime, `THUMBNET_SEED` draws others than the usual ones.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from support import oracle
from thumbnet.codegen.reference import OPERATORS
from thumbnet.codegen.tflite import read_graph

from .cases import CASES
from .catalogue import PROBLEMS
from .problem import Problem
from .runtimes import Reference, Runtime, check

EXAMPLES = int(os.environ.get("THUMBNET_EXAMPLES", "60"))
SEED = os.environ.get("THUMBNET_SEED")
RUNTIMES: tuple[Runtime, ...] = (Reference(),)

pytestmark = pytest.mark.skipif(
    not oracle.available(), reason="the tflite-micro wheel is not installed; golden vectors stand in"
)


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
def test_random_problems(kind: type[Problem], runtime: Runtime) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=SEED is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def compare(random: Random) -> None:
        check(runtime, kind.random(random))

    (compare if SEED is None else seed(int(SEED))(compare))()


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{type(case).__name__}-{case.seed}")
def test_recorded_problems(case: Problem, runtime: Runtime) -> None:
    check(runtime, case)


def test_every_operator_of_the_reference_has_a_problem() -> None:
    seen = set()
    for kind in PROBLEMS:
        for number in range(20):
            seen.update(node.op for node in read_graph(kind.random(Random(number)).model()).nodes)
    assert seen == set(OPERATORS)
