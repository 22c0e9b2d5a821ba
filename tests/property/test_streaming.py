"""Streamed execution of random small graphs against the TFLM interpreter, along either axis.

A stream has one input, so that problems cannot share a model; what is compared is the whole result, which also goes
through the generated `_run`, that is reset, push and finish.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from support import oracle

from .graphs import SmallGraph
from .runtimes import HostStream, check

EXAMPLES = int(os.environ.get("THUMBNET_EXAMPLES", "0")) or 8

pytestmark = pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")


@pytest.mark.parametrize("axis", ["h", "w"])
def test_small_graphs(axis: str) -> None:
    runtime = HostStream(axis)
    reason = runtime.missing()
    if reason:
        pytest.skip(f"{runtime.name}: {reason}")
    ran = 0
    for number in range(10 * EXAMPLES):
        problem = SmallGraph.random(Random(f"stream {number}"))
        if runtime.leaves_out(problem) is None:
            check(runtime, problem)
            ran += 1
        if ran == EXAMPLES:
            return
    pytest.fail(f"only {ran} of {10 * EXAMPLES} graphs could be streamed")
