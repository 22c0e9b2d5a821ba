"""Preprocessing in integers: the generated C against the NumPy reference, and the reference against SciPy."""

from __future__ import annotations

import ctypes
import subprocess
from math import gcd
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thumbnet.codegen.errors import OptionError
from thumbnet.codegen.signals import (
    Biquads,
    ChannelPlan,
    MinMax,
    Rectify,
    Resample,
    SignalPlan,
    design,
    run_codes,
    run_values,
)
from thumbnet.codegen.signals.emit import emit_signals
from thumbnet.codegen.targets import find_target

signal = pytest.importorskip("scipy.signal", reason="SciPy designs the filters")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")


def high_pass(rate: float = 200.0) -> Biquads:
    return sections(signal.butter(2, 0.3, "highpass", fs=rate, output="sos"))


def band_pass(rate: float = 200.0) -> Biquads:
    return sections(signal.butter(4, (0.3, 35.0), "bandpass", fs=rate, output="sos"))


def sections(rows: np.ndarray) -> Biquads:
    return Biquads(tuple(tuple(float(value) for value in row) for row in rows))


def resample(up: int, down: int, taps_per_phase: int = 12) -> Resample:
    cutoff = 1 / max(up, down)
    return Resample(up, down, tuple(signal.firwin(taps_per_phase * max(up, down) + 1, 0.9 * cutoff)))


def eeg(*steps, name="EEG", count=0.1, code=1.5) -> ChannelPlan:
    return ChannelPlan(name, count, code, tuple(steps))


def noise(channels: int, samples: int, seed: int = 1, amplitude: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.integers(-200, 201, (channels, samples)), axis=1)
    return np.clip(walk + rng.integers(-amplitude, amplitude + 1, (channels, samples)), -32768, 32767)


# --- C ------------------------------------------------------------------------------------------------------


class Library:
    """The generated preprocessing, compiled with sanitizers of undefined behaviour."""

    def __init__(self, plan: SignalPlan, folder: Path) -> None:
        self.plan = plan
        for name, text in emit_signals(design(plan), "model", "the test", find_target("host")).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        sources = [str(path) for path in sorted((folder / "src").glob("*.c"))]
        output = folder / "signals.so"
        undefined = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
        command = ["cc", *WARNINGS, *undefined, "-O1", "-shared", "-fPIC", *sources, "-o", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self.c = ctypes.CDLL(str(output))

    @property
    def kind(self) -> type:
        """Of a value that waits for its window."""
        return np.int16 if design(self.plan).narrow else np.int32

    def run(self, counts: np.ndarray) -> np.ndarray:
        """Slices (slices, channels) of samples (channels, n)."""
        state = ctypes.create_string_buffer(1 << 20)
        self.c.model_signals_reset(state)
        up, down = self.plan.ratio
        kind = np.int8 if self.plan.normalise is None else self.kind
        room = np.zeros((-(-up // down), len(counts)), kind)
        parts = []
        for column in np.ascontiguousarray(counts.T, np.int32):
            made = self.c.model_signals_push(
                state, column.ctypes.data_as(ctypes.c_void_p), room.ctypes.data_as(ctypes.c_void_p)
            )
            parts.append(room[:made].copy())
        return np.concatenate(parts)

    def codes(self, window: np.ndarray) -> np.ndarray:
        """Codes of a window of values, (slices, channels)."""
        values = np.ascontiguousarray(window, self.kind)
        codes = np.zeros(values.shape, np.int8)
        self.c.model_signals_codes(pointer(values), ctypes.c_size_t(len(values)), pointer(codes))
        return codes


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def check_parity(plan: SignalPlan, counts: np.ndarray, folder: Path) -> None:
    built = Library(plan, folder)
    constants = design(plan)
    for _ in range(2):  # a second run starts from the same silence
        got = built.run(counts)
        if plan.normalise is None:
            np.testing.assert_array_equal(got.T, run_codes(constants, counts))
        else:
            np.testing.assert_array_equal(got.T, run_values(constants, counts))
            np.testing.assert_array_equal(built.codes(got).T, run_codes(constants, counts))


PLANS = {
    "bare": SignalPlan(16, (eeg(),)),
    "high-pass": SignalPlan(16, (eeg(high_pass()), eeg(band_pass(), name="EOG */ x"))),
    "envelope": SignalPlan(
        12, (eeg(sections(signal.butter(2, (20, 90), "bandpass", fs=200, output="sos")), Rectify(), high_pass()),)
    ),
    "down": SignalPlan(24, (eeg(band_pass(), resample(1, 2)), eeg(resample(1, 2, 5), Rectify()))),
    "up": SignalPlan(16, (eeg(resample(2, 1)),)),
    "ratio": SignalPlan(16, (eeg(resample(25, 64, 4), high_pass(100)),)),
    "window": SignalPlan(16, (eeg(band_pass()),), MinMax(1 / 255, -128)),
    "odd window": SignalPlan(16, (eeg(resample(1, 4)), eeg(resample(1, 4))), MinMax(0.0071, 3)),
    "both signs": SignalPlan(16, (eeg(),), MinMax(float(np.float32(1 / 127)), 0, -1, 1)),
    "rectified window": SignalPlan(15, (eeg(Rectify()), eeg()), MinMax(1 / 255, -128)),
    "between codes": SignalPlan(16, (eeg(),), MinMax(0.0137, 5, -0.93, 1.21)),
    "wide window": SignalPlan(24, (eeg(),), MinMax(1 / 127, 0, -1, 1)),
    "coarse window": SignalPlan(2, (eeg(),), MinMax(1 / 127, 0, -1, 1)),
    "fine window": SignalPlan(16, (eeg(),), MinMax(2.0**-14, 100, -16, 16)),
}


@pytest.mark.parametrize("name", PLANS)
def test_the_generated_c_is_the_reference(name, tmp_path):
    plan = PLANS[name]
    check_parity(plan, noise(len(plan.channels), 700), tmp_path)


@pytest.mark.parametrize("name", ["high-pass", "down", "window", "both signs", "rectified window", "wide window"])
def test_rails_saturate_alike(name, tmp_path):
    plan = PLANS[name]
    rails = np.where(np.arange(600) // 50 % 2, 2**31 - 1, -(2**31))
    check_parity(plan, np.tile(rails, (len(plan.channels), 1)), tmp_path)


def test_a_flat_window_is_all_zero_points(tmp_path):
    plan = PLANS["window"]
    check_parity(plan, np.zeros((1, 40), np.int64), tmp_path)
    assert set(run_codes(design(plan), np.zeros((1, 40)))[0]) == {-128}


def test_a_flat_window_is_the_lower_end(tmp_path):
    plan = PLANS["both signs"]
    check_parity(plan, np.full((1, 40), 321), tmp_path)
    assert set(run_codes(design(plan), np.full((1, 40), 321))[0]) == {-127}


NARROW = {"both signs", "rectified window", "coarse window"}


@pytest.mark.parametrize("name", [name for name, plan in PLANS.items() if plan.normalise])
def test_where_a_window_takes_16_bits_a_value(name):
    """Counts of 16 bits that no step changes, where codes fit a numerator of 32 bits."""
    assert design(PLANS[name]).narrow == (name in NARROW or name == "between codes")


@pytest.mark.parametrize("bits", range(2, 25))
def test_normalised_codes_beside_floating_point(bits):
    """As training normalises: the ends are met, and where a code differs it does so by one, at a tie or its edge."""
    half = 2 ** (bits - 1)
    rng = np.random.default_rng(bits)
    counts = np.clip(np.rint(np.cumsum(rng.normal(0, half / 20, 2000)) % (2 * half) - half), -half, half - 1)
    counts[[7, 8]] = -half, half - 1
    constants = design(SignalPlan(bits, (eeg(),), MinMax(float(np.float32(1 / 127)), 0, -1, 1)))
    codes = run_codes(constants, counts[None])[0].astype(int)
    assert (codes.min(), codes.max()) == (-127, 127)
    unit = 127 * (2 * (counts + half) / (2 * half - 1) - 1)
    assert np.abs(codes - unit).max() <= 0.5 + 1e-9
    differs = codes != np.round(unit)
    assert np.all(np.abs(codes - np.round(unit))[differs] == 1)
    assert np.allclose(np.abs(unit - np.trunc(unit))[differs], 0.5)


@st.composite
def stable_sections(draw):
    radius, angle = draw(st.floats(0, 0.999)), draw(st.floats(0, np.pi))
    zeros = [draw(st.floats(-2, 2)) for _ in range(3)]
    return (*zeros, 1.0, -2 * radius * float(np.cos(angle)), radius * radius)


@st.composite
def plans(draw):
    up, down = draw(st.sampled_from([(1, 1), (1, 2), (2, 1), (3, 5), (5, 3)]))
    channels = []
    for index in range(draw(st.integers(1, 3))):
        steps = [Biquads(tuple(draw(st.lists(stable_sections(), min_size=1, max_size=3))))]
        if draw(st.booleans()):
            steps.append(Rectify())
        if up != down:
            taps = draw(st.lists(st.floats(-1, 1), min_size=1, max_size=20))
            steps.append(Resample(up, down, tuple(taps)))
        if draw(st.booleans()):
            steps.append(Biquads((draw(stable_sections()),)))
        channels.append(ChannelPlan(f"c{index}", draw(st.floats(1e-3, 10)), draw(st.floats(1e-2, 100)), tuple(steps)))
    normalise = draw(
        st.one_of(
            st.none(),
            st.builds(MinMax, st.floats(1e-3, 1), st.integers(-128, 127), st.floats(-2, 0), st.floats(0.1, 2)),
        )
    )
    return SignalPlan(draw(st.integers(2, 24)), tuple(channels), normalise)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=plans(), seed=st.integers(0, 2**31))
def test_random_plans(plan, seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    counts = rng.integers(-(2 ** (plan.bits - 1)), 2 ** (plan.bits - 1), (len(plan.channels), 200))
    check_parity(plan, counts, tmp_path_factory.mktemp("plan"))


# --- the reference against floating point -------------------------------------------------------------------


def test_a_cascade_follows_scipy_to_a_tenth_of_a_count():
    rows = signal.butter(4, (0.3, 35.0), "bandpass", fs=200, output="sos")
    counts = noise(1, 20_000)
    constants = design(SignalPlan(16, (eeg(sections(rows)),)))
    values = run_values(constants, counts)[0] / 2**constants.point
    exact = signal.sosfilt(rows, counts[0])
    assert np.max(np.abs(values - exact)) < 0.1


def test_resampling_follows_scipy():
    step = resample(25, 64, 8)
    counts = noise(1, 5_000)
    constants = design(SignalPlan(16, (eeg(step),)))
    values = run_values(constants, counts)[0] / 2**constants.point
    exact = signal.upfirdn(np.array(step.taps) * step.up, counts[0], step.up, step.down)[: len(values)]
    assert np.max(np.abs(values - exact)) < 0.01


def test_a_high_pass_comes_to_rest():
    """A step of half the range dies away to less than the last bit of the code, and stays there."""
    constants = design(SignalPlan(16, (eeg(high_pass(), count=1.0, code=1.0),)))
    codes = run_codes(constants, np.full((1, 60 * 200), 16_000))
    assert codes[0, 0] == 127
    assert not codes[0, -20 * 200 :].any()


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SignalPlan(1, (eeg(),)), "2 to 24 bits, got 1"),
        (lambda: SignalPlan(16, ()), "at least one channel"),
        (lambda: SignalPlan(16, (eeg(count=0.0),)), "microvolts_per_count is a positive number, got 0.0"),
        (lambda: SignalPlan(16, (eeg(code=float("nan")),)), "microvolts_per_code"),
        (lambda: SignalPlan(16, (eeg(Biquads(((1, 0, 0, 1, -2.1, 1.1),))),)), "is not stable"),
        (lambda: SignalPlan(16, (eeg(Biquads(((1, 0, 0, 2, 0, 0),))),)), "a section is b0"),
        (lambda: SignalPlan(16, (eeg(Resample(2, 4, (1.0,))),)), "without a common divisor"),
        (lambda: SignalPlan(16, (eeg(Resample(1, 2, ())),)), "finite taps"),
        (lambda: SignalPlan(16, (eeg(Resample(1, 2, (1.0,)), Resample(1, 2, (1.0,))),)), "changes once"),
        (lambda: SignalPlan(16, (eeg(Resample(1, 2, (1.0,))), eeg())), "resampled by one ratio, got 1/1, 1/2"),
        (lambda: SignalPlan(16, (eeg(),), MinMax(2.0, 0)), "input scale"),
        (lambda: SignalPlan(16, (eeg(),), MinMax(0.01, 200)), "zero point"),
        (lambda: SignalPlan(16, (eeg(),), MinMax(0.01, 0, 1, 1)), "from a lower number to a higher one"),
        (lambda: SignalPlan(16, (eeg(),), MinMax(0.01, 0, float("nan"), 1)), "within plus and minus 16, got nan to 1"),
        (lambda: design(SignalPlan(16, (eeg(Biquads(((1e12, 0, 0, 1, 0, 0),))),))), "beyond what 32 bits hold"),
        (lambda: design(SignalPlan(16, (eeg(count=1e20),))), "which no scale can hold"),
        (lambda: run_codes(design(SignalPlan(16, (eeg(),))), np.zeros((2, 5))), r"have the shape \(1, n\)"),
        (lambda: SignalPlan.from_dict({"bits": 16}), "malformed"),
        (lambda: SignalPlan.from_dict({"bits": 16, "channels": [3]}), "malformed"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(OptionError, match=words):
        make()


@pytest.mark.parametrize("name", PLANS)
def test_a_declaration_survives_json(name):
    import json

    plan = PLANS[name]
    assert SignalPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_an_unknown_step_is_named():
    content = PLANS["bare"].to_dict()
    content["channels"][0]["steps"] = [{"step": "wavelet"}]
    with pytest.raises(OptionError, match="unknown step 'wavelet': allowed are biquads, rectify, resample"):
        SignalPlan.from_dict(content)


def test_ratios_have_no_common_divisor():
    assert all(gcd(*plan.ratio) == 1 for plan in PLANS.values())
