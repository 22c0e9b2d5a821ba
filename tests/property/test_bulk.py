"""Bulk runs of the property suite: a few problems under Clang, and 100,000 in the slow tests.

`THUMBNET_SEED` draws other problems than the usual ones.
"""

from __future__ import annotations

import os

import pytest
from support import oracle

from .bulk import BulkHost, run
from .catalogue import PROBLEMS

SEED = os.environ.get("THUMBNET_SEED", "0")
PIECE = 5000

pytestmark = pytest.mark.skipif(
    not oracle.available(), reason="the tflite-micro wheel is not installed; golden vectors stand in"
)


def check_numbers(compiler: str, numbers: range) -> None:
    runtime = BulkHost(compiler)
    reason = runtime.missing()
    if reason:
        pytest.skip(reason)
    counts, failed = run(runtime, PROBLEMS, SEED, numbers, 200)
    assert counts.total() > len(numbers) / 2
    assert not failed, f"{len(failed)} of {counts.total()} problems: {failed[:3]}"


def test_clang() -> None:
    check_numbers("clang", range(200))


@pytest.mark.slow
@pytest.mark.parametrize("piece", range(100_000 // PIECE))
def test_hundred_thousand(piece: int) -> None:
    check_numbers("cc", range(piece * PIECE, (piece + 1) * PIECE))
