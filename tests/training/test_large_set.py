"""Training from disk: memory does not grow with the set. `large_set.py` by hand measures 78 people."""

from __future__ import annotations

import sys

import pytest
from large_set import run

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in other units elsewhere")
def test_twice_the_people_take_the_same_memory(tmp_path):
    """1.2 and 2.4 GB on disk; what fits the scaling and a batch is alike, an index of 100 bytes an epoch is not."""
    small = run(tmp_path / "small", 10, 256)
    large = run(tmp_path / "large", 20, 256)
    assert large["gigabytes_on_disk"] == 2 * small["gigabytes_on_disk"] > 2
    assert large["peak_gigabytes"] < small["peak_gigabytes"] + 0.3, (small, large)
