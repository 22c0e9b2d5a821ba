"""The cheaper requantization equals TFLite's double rounding on every accumulator of its range.

`scale` repeats in NumPy what `tn_scale_s8` does in C; the property suite runs the C itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thumbnet.codegen.ops.conv2d import OPERATOR as CONV_2D
from thumbnet.codegen.quantized_math import Multiplier, activation_range, quantize_multiplier, requantize
from thumbnet.codegen.requantize import OFFSET_UNIT, PLAIN, Scaling, choose_scaling
from thumbnet.codegen.tflite import read_graph

Int = npt.NDArray[np.int64]
INT32 = 2**31


def scale(channel: Scaling, acc: Int, limits: tuple[int, int]) -> Int:
    """What the C code computes for a proven channel; fails where an intermediate leaves its type."""
    assert 0 < channel.multiplier < INT32
    assert max(abs(channel.offset), abs(channel.offset_negative)) < INT32
    offset = np.where(acc < 0, channel.offset_negative, channel.offset)
    scaled = (acc * channel.multiplier + offset * OFFSET_UNIT) >> 32
    assert np.abs(scaled).max(initial=0) < INT32
    return np.clip(scaled, *limits)


def accumulators(low: int, high: int, rng: random.Random) -> Int:
    """All of a short range; of a long one the ends, the middle, and stretches anywhere."""
    if high - low <= 20_000:
        return np.arange(low, high + 1)
    starts = [low, high - 500, -250, *(rng.randint(low, high) for _ in range(30))]
    return np.concatenate([np.clip(np.arange(start, start + 501), low, high) for start in starts])


def around_the_steps(multiplier: Multiplier, zero_point: int, low: int, high: int) -> Int:
    """Accumulators within two of every place where the double-rounded result changes."""
    real = multiplier.multiplier * 2.0 ** (multiplier.shift - 31)
    codes = np.arange(-129, 129) - zero_point
    places = np.concatenate([(codes + half) / real for half in (-0.5, 0.5)]) if real else np.zeros(1)
    places = np.clip(places, low, high).astype(np.int64)
    spread = max(2, int(2 / real) // 1000 if real else 2)
    near = places[:, None] + np.concatenate([np.arange(-2, 3), [-spread, spread]])
    return np.clip(near.reshape(-1), low, high)


def check(multiplier: Multiplier, low: int, high: int, zero_point: int, limits: tuple[int, int], seed: int) -> Scaling:
    (channel,) = choose_scaling([multiplier], np.array([low]), np.array([high]), zero_point, limits)
    if not channel.proven:
        assert (channel.multiplier, channel.offset_negative) == multiplier
        return channel
    acc = accumulators(low, high, random.Random(seed))
    acc = np.concatenate([acc, around_the_steps(multiplier, zero_point, low, high)])
    wanted = requantize(acc, *multiplier, zero_point, *limits)
    wrong = np.flatnonzero(scale(channel, acc, limits) != wanted)
    assert wrong.size == 0, f"accumulator {acc[wrong[0]]}"
    return channel


@settings(max_examples=600, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    exponent=st.floats(-31, 3),
    exact=st.booleans(),
    zero_point=st.integers(-128, 127),
    activation=st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]),
    reach=st.integers(0, 31),
    centre=st.integers(-(2**30), 2**30),
)
def test_equal_on_the_whole_range(
    seed: int, exponent: float, exact: bool, zero_point: int, activation: str, reach: int, centre: int
) -> None:
    multiplier = quantize_multiplier(2.0 ** (round(exponent) if exact else exponent))
    width = random.Random(seed).randint(0, 2**reach)
    middle = centre >> (31 - reach) if reach < 31 else 0
    low, high = max(middle - width, 1 - INT32), min(middle + width, INT32 - 1)
    limits = activation_range(activation, 0.02, zero_point)
    check(multiplier, low, high, zero_point, limits, seed)


@pytest.mark.parametrize("real", [2.0**-20, 1 / 3, 0.49999, 0.5, 0.75, 1.0, 1.5, 40.0, 1e-12, 0.0])
def test_corner_multipliers(real: float) -> None:
    for zero_point in (-128, 0, 127):
        for limits in ((-128, 127), (zero_point, 127), (zero_point, zero_point)):
            check(quantize_multiplier(real), -70_000, 70_001, zero_point, limits, 1)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (-1, -1), (5, 900), (-900, -5), (-1, 0), (1 - INT32, INT32 - 1)])
def test_corner_ranges(low: int, high: int) -> None:
    for real in (1e-3, 3e-8, 0.3):
        check(quantize_multiplier(real), low, high, -3, (-128, 127), 1)


def test_factors_from_a_half_up_keep_the_plain_sequence() -> None:
    """A left shift, or a factor that 31 bits do not hold: no proof, TFLite's own constants instead."""
    for real in (0.6, 1.0, 7.3):
        multiplier = quantize_multiplier(real)
        channel = check(multiplier, -1000, 1000, 0, (-128, 127), 1)
        assert channel == Scaling(multiplier.multiplier, PLAIN, multiplier.shift)


def filled(rng: random.Random, exponent: float) -> tuple[Multiplier, int, int, int, tuple[int, int]]:
    """A channel whose accumulators, scaled by 2**exponent, fill the output's codes and then some."""
    reach = int(2.0 ** (rng.uniform(6, 8) - exponent))
    zero_point = rng.choice([-128, rng.randint(-128, 127)])
    limits = activation_range(rng.choice(["NONE", "RELU"]), 0.02, zero_point)
    return quantize_multiplier(2.0**exponent), -reach, reach, zero_point, limits


def test_channels_of_moderate_depth_are_proven() -> None:
    """Down to factors of 2**-10; below, the factor has too few bits for accumulators that long (no claim here)."""
    rng = random.Random(7)
    proven = [check(*filled(rng, rng.uniform(-10, -1)), seed=number).proven for number in range(400)]
    assert np.mean(proven) >= 0.99


def test_deep_channels_stay_exact() -> None:
    rng = random.Random(8)
    for number in range(200):
        check(*filled(rng, rng.uniform(-20, -10)), seed=number)


def channels_of(model: bytes) -> Sequence[Scaling]:
    """Requantization of every convolution's channels."""
    graph = read_graph(model)
    found = []
    for node in graph.nodes:
        if node.op != "CONV_2D":
            continue
        arrays = {array.name: array for array in CONV_2D.lower(graph, node).arrays}
        found += [Scaling(*row[1:]) for row in arrays["channels"].values.tolist()]
    return found


def test_public_models_are_proven_but_for_a_few_channels(shared_dir: Path) -> None:
    for path in sorted((shared_dir / "models").glob("*.tflite")):
        channels = channels_of(path.read_bytes())
        assert len(channels) > 200
        assert sum(not channel.proven for channel in channels) <= 2, path.name
