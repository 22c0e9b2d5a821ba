"""Beats, quality and windows: found in waves whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from ppg_sets import circulation_waves
from scipy import signal
from thumbnet.training.errors import ConfigError
from thumbnet.training.hemodynamics.beats import pressure_beats
from thumbnet.training.hemodynamics.features import feature_names, pulse_features
from thumbnet.training.hemodynamics.quality import (
    ABP_IRREGULAR,
    DISAGREE,
    FLAT,
    LIMITS,
    MISSING,
    NO_BEATS,
    PPG_IRREGULAR,
    labels_of_pressure,
)
from thumbnet.training.hemodynamics.windows import WindowConfig, continue_periodically, cut, prepare
from thumbnet.training.hemodynamics.windowset import blank_people, join, min_max


@pytest.fixture(scope="module")
def waves():
    return circulation_waves(40, 10, 125, seed=4)


def test_beats_of_pressure_waves(waves):
    for row in range(40):
        beats = pressure_beats(waves.pressure[row], 125)
        assert beats is not None
        assert 60 / beats.seconds.mean() == pytest.approx(waves.rate[row], rel=0.02)
        assert beats.systolic.mean() == pytest.approx(waves.systolic[row], abs=1.5)
        assert beats.diastolic.mean() == pytest.approx(waves.diastolic[row], abs=2.5)
        assert beats.mean.mean() == pytest.approx(waves.mean[row], abs=2.5)


def test_a_beat_that_was_cut_is_no_beat():
    """A stretch may begin anywhere: within an upstroke, or with a dicrotic wave whose beat began before."""
    pressures = circulation_waves(20, 13, 125, seed=1).pressure
    for pressure in pressures:
        for start in range(0, 250, 10):
            beats = pressure_beats(pressure[start : start + 1250], 125)
            assert beats is not None
            assert np.abs(beats.seconds / np.median(beats.seconds) - 1).max() < 0.2


def test_labels_of_good_windows(waves):
    for row in range(40):
        labels, reason = labels_of_pressure(waves.volume[row], waves.pressure[row], 125)
        assert reason is None
        truth = (waves.systolic[row], waves.mean[row], waves.diastolic[row], waves.rate[row])
        np.testing.assert_allclose(labels, truth, rtol=0.04)


def test_windows_are_refused_for_what_is_wrong_with_them(waves):
    ppg, pressure = waves.volume[0], waves.pressure[0]
    rng = np.random.default_rng(0)

    def reason(volume=ppg, arterial=pressure):
        return labels_of_pressure(volume, arterial, 125)[1]

    gap, rail, jump = pressure.copy(), ppg.copy(), pressure.copy()
    gap[5] = np.nan
    rail[300:360] = rail[300]
    jump[400:700] += 60 * np.hanning(300)
    assert reason(arterial=gap) == MISSING
    assert reason(volume=rail) == FLAT
    assert reason(volume=rng.random(1250)) == PPG_IRREGULAR
    assert reason(arterial=pressure[0] + 0.01 * np.arange(1250)) in (NO_BEATS, LIMITS)
    assert reason(arterial=pressure * 0.15) == LIMITS
    assert reason(arterial=jump) == ABP_IRREGULAR
    other = int(np.abs(waves.rate - waves.rate[0]).argmax())
    assert reason(volume=waves.volume[other]) == DISAGREE


def test_filters_are_causal_and_run_through_the_recording():
    wave = np.random.default_rng(0).normal(size=3000).cumsum()
    config = WindowConfig(highpass=0.5, lowpass=8.0)
    whole = prepare(wave, 125, config)
    expected = signal.sosfilt(signal.butter(2, 0.5, "highpass", fs=125, output="sos"), wave - wave[0])
    expected = signal.sosfilt(signal.butter(2, 8, fs=125, output="sos"), expected)
    np.testing.assert_allclose(whole, expected, atol=1e-9)
    np.testing.assert_allclose(prepare(wave[:2000], 125, config), whole[:2000])
    windows = cut(whole, config)
    np.testing.assert_array_equal(windows, whole[:2500].reshape(2, 1250))


@pytest.mark.parametrize("rate", [62.5, 250, 500, 1000])
def test_resampling_keeps_a_slow_wave(rate):
    times = np.arange(int(20 * rate)) / rate
    found = prepare(np.sin(2 * np.pi * 1.2 * times), rate, WindowConfig())
    assert len(found) == 2500
    assert np.abs(found[1000:]).max() == pytest.approx(1, abs=0.02)
    with pytest.raises(ConfigError, match="whole numbers"):
        prepare(np.zeros(10), 1000 * np.pi, WindowConfig())


def test_overlapping_windows_start_every_stride():
    assert len(cut(np.zeros(2500), WindowConfig(stride=625))) == 3
    assert len(cut(np.zeros(1249), WindowConfig())) == 0


def test_a_short_segment_is_continued_by_whole_beats():
    segment = circulation_waves(1, 2.6, 125, seed=5).volume[0]
    window = continue_periodically(segment, 1250, 125)
    assert window is not None
    assert len(window) == 1250
    jumps = np.abs(np.diff(window)).max() / np.abs(np.diff(segment)).max()
    assert jumps < 1.3
    assert continue_periodically(np.linspace(0, 1, 260), 1250, 125) is None


def test_min_max_forgets_gain_and_offset():
    windows = np.random.default_rng(0).random((4, 50))
    np.testing.assert_allclose(min_max(windows), min_max(3000 + 17 * windows), atol=1e-6)
    assert np.all(min_max(np.full((1, 5), 7.0)) == 0)


def test_features_forget_gain_and_offset_and_find_the_rate(waves):
    found = pulse_features(waves.volume)
    assert found.shape == (40, len(feature_names()))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, pulse_features(500 + 30 * waves.volume), atol=1e-6)
    np.testing.assert_allclose(found[:, feature_names().index("rate")], waves.rate, rtol=0.02)
    assert np.all(pulse_features(np.zeros((1, 1250))) == 0)


def test_nothing_to_join_is_told():
    from thumbnet.training.errors import DatasetError

    with pytest.raises(DatasetError, match="PPG-BP holds no usable PPG window: it is broken"):
        join([], "PPG-BP", ["it is broken"])
    assert np.isnan(blank_people(2)).all()
