"""Streamed execution of random small graphs against the TFLM interpreter, along either axis.

A stream has one input, so that problems cannot share a model; what is compared is the whole result, which also goes
through the generated `_run`, that is reset, push and finish.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from support import oracle
from thumbnet.codegen import choose, segments

from .graphs import SmallGraph
from .runtimes import HostStream, check

EXAMPLES = int(os.environ.get("THUMBNET_EXAMPLES", "0")) or 8

pytestmark = pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")


@pytest.mark.parametrize("most", [1, 2, 4])
def test_small_graphs_in_segments(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Borders between segments anywhere, at most so many layers per push."""
    runtime = HostStream("w")
    if runtime.missing():
        pytest.skip(str(runtime.missing()))
    random = Random(most)
    make = segments.Builder.__init__

    def spread_out(self, part, spread=0, paired=False):
        make(self, part, most, paired)

    monkeypatch.setattr(segments.Builder, "__init__", spread_out)
    for number in range(EXAMPLES):
        problem = SmallGraph.random(Random(f"segments {most} {number}"))
        if runtime.leaves_out(problem) is None:
            drawn = {walk: random.choice([segments.STORE_ALL, *range(-1, 12)]) for walk in range(1, 9)}
            monkeypatch.setattr(choose._Search, "borders", lambda self, drawn=drawn: drawn)
            check(runtime, problem)


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
