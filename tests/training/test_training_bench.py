"""The side-by-side of training speed: what it reports, and (slow) that the reference is left behind."""

from __future__ import annotations

import pytest

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")

from thumbnet.training.bench import compare_speed


@pytest.mark.slow
@pytest.mark.train
def test_training_is_at_least_two_and_a_half_times_as_fast():
    found = compare_speed(windows=96, rounds=1)
    speed = found["windows_per_second"]
    assert found["speedup"] == pytest.approx(speed["thumbnet"] / speed["reference"])
    assert found["speedup"] >= 2.5, found
