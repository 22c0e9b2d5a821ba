"""Every operator on every runtime against the TFLM interpreter: equality of all output bytes.

Shapes are small and random; this says nothing about speed or about whole models. `THUMBNET_EXAMPLES` sets the
number of random problems per operator and runtime, `THUMBNET_SEED` draws others than the usual ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from support import oracle
from thumbnet.codegen.ops import INTERNAL
from thumbnet.codegen.reference import OPERATORS
from thumbnet.codegen.tflite import read_graph

from .cases import CASES
from .catalogue import PROBLEMS
from .problem import Problem
from .runtimes import QEMU, Host, HostDsp, HostMve, Reference, Runtime, check

EXAMPLES = int(os.environ.get("THUMBNET_EXAMPLES", "0"))
SEED = os.environ.get("THUMBNET_SEED")
ON_EVERY_RUNTIME = pytest.mark.parametrize(
    "runtime",
    [
        pytest.param(runtime, id=runtime.name, marks=[pytest.mark.qemu] if runtime in QEMU else [])
        for runtime in (Reference(), Host(), HostDsp(), HostMve(), *QEMU)
    ],
)

pytestmark = pytest.mark.skipif(
    not oracle.available(), reason="the tflite-micro wheel is not installed; golden vectors stand in"
)


def needs(runtime: Runtime) -> None:
    reason = runtime.missing()
    if reason:
        pytest.skip(f"{runtime.name}: {reason}")


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
def test_reference(kind: type[Problem]) -> None:
    search(kind, Reference(), EXAMPLES or 60)


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("host", [Host(), HostDsp(), HostMve()], ids=lambda host: host.name)
def test_host(kind: type[Problem], host: Host) -> None:
    needs(host)
    for first in range(0, EXAMPLES or 20, 20):
        check_together(host, draw([kind], range(first, first + 20)))


@pytest.mark.qemu
@pytest.mark.parametrize("runtime", QEMU, ids=lambda runtime: runtime.name)
def test_machines(runtime: Runtime) -> None:
    """All operators in one image: starting an emulator costs far more than running them."""
    needs(runtime)
    for first in range(0, EXAMPLES or 3, 3):
        check_together(runtime, draw(PROBLEMS, range(first, first + 3)))


def draw(kinds: Iterable[type[Problem]], numbers: Iterable[int]) -> list[Problem]:
    """The same problems in every run, unless `THUMBNET_SEED` says otherwise."""
    return [kind.random(Random(f"{kind.__name__} {SEED} {number}")) for number in numbers for kind in kinds]


def check_together(runtime: Runtime, problems: list[Problem]) -> None:
    """Check several problems in one model; when that fails, one at a time, which names the culprit."""
    taken = [problem for problem in problems if runtime.leaves_out(problem) is None]
    if not taken:
        pytest.skip(f"{runtime.name}: {runtime.leaves_out(problems[0])}")
    try:
        check(runtime, *taken)
    except AssertionError:
        for problem in taken:
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
def test_recorded_problems(runtime: Runtime) -> None:
    needs(runtime)
    check_together(runtime, list(CASES))


def test_every_operator_of_the_reference_has_a_problem() -> None:
    seen = set()
    for kind in PROBLEMS:
        for number in range(20):
            seen.update(node.op for node in read_graph(kind.random(Random(number)).model()).nodes)
    assert seen == set(OPERATORS) - set(INTERNAL)
