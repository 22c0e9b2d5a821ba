"""The synthetic population: labels that agree with the waves and with one another, and nothing that leaks.

What the windows are worth to a learner is measured in test_hemo_learnability.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from thumbnet.training.errors import ConfigError
from thumbnet.training.hemodynamics.circulation import Arteries, Heart, Wall, aortic_wall, simulate
from thumbnet.training.hemodynamics.synthetic import measured, synthetic_windows
from thumbnet.training.hemodynamics.tasks import NAMES, TASKS, body_surface_area


@pytest.fixture(scope="module")
def windows():
    return synthetic_windows(60, 5, seed=3)


def one(value: float, count: int = 1) -> np.ndarray:
    return np.full(count, float(value))


def steady(rate=75.0, stroke=70.0, resistance=1.0, compliance=1.5, reflection=0.0, impedance=0.05):
    heart = Heart(one(rate), one(stroke), one(0.28), one(0.25), one(0), one(0), one(0), one(0))
    finger = Wall(one(1), one(45), one(35))
    return heart, Arteries(one(resistance), one(impedance), one(compliance), one(5), one(reflection), one(0.2), finger,
                           one(0.08))  # fmt: skip


def test_windows_have_the_published_shape(windows):
    assert windows.signals.shape == (300, 1250)
    assert windows.signals.dtype == np.float32
    assert windows.rate == 125
    assert windows.tasks == NAMES == ("SBP", "MAP", "DBP", "HR", "CO", "CI", "SV", "SI", "SVR", "SVRI")
    assert np.all(windows.signals.min(axis=1) == 0)
    assert np.all(windows.signals.max(axis=1) == 1)
    assert len(np.unique(windows.subjects)) == 60
    assert windows.people.shape == (300, 4)


def test_labels_lie_within_their_limits_and_hold_every_identity(windows):
    for task in TASKS:
        values = windows.label(task.name)
        assert np.all((values > task.low) & (values < task.high)), task.name
    label = {name: windows.label(name) for name in NAMES}
    bsa = body_surface_area(windows.people[:, 2], windows.people[:, 3])
    assert np.all(label["SBP"] > label["MAP"])
    assert np.all(label["MAP"] > label["DBP"])
    np.testing.assert_allclose(label["CO"], label["HR"] * label["SV"] / 1000)
    np.testing.assert_allclose(label["CI"], label["CO"] / bsa)
    np.testing.assert_allclose(label["SI"], label["SV"] / bsa)
    np.testing.assert_allclose(label["SVRI"], label["SVR"] * bsa)
    cvp = label["MAP"] - label["SVR"] * label["CO"] / 80
    assert np.all((cvp >= 1 - 1e-9) & (cvp <= 12 + 1e-9))
    for subject in np.unique(windows.subjects):  # a person's venous pressure is one number
        assert np.ptp(cvp[windows.subjects == subject]) < 1e-9


def test_the_same_seed_gives_the_same_windows():
    first, again, other = (
        synthetic_windows(4, 2, seed=1),
        synthetic_windows(4, 2, seed=1),
        synthetic_windows(4, 2, seed=2),
    )
    np.testing.assert_array_equal(first.signals, again.signals)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)


def test_the_mean_pressure_is_flow_times_resistance():
    """To the part of a beat that the window does not end with."""
    for rate, stroke, resistance in ((60, 80, 1.1), (75, 70, 1.0), (120, 50, 0.8)):
        heart, arteries = steady(rate=rate, stroke=stroke, resistance=resistance)
        waves = simulate(heart, arteries, 10, 125, np.random.default_rng(0))
        assert waves.rate[0] == pytest.approx(rate)
        assert waves.stroke[0] == pytest.approx(stroke)
        assert waves.mean[0] == pytest.approx(5 + resistance * stroke * rate / 60, rel=0.02)


def test_diastole_decays_with_resistance_times_compliance():
    heart, arteries = steady(rate=40, resistance=1.05, compliance=1.2, impedance=0.05)
    pressure = simulate(heart, arteries, 10, 500, np.random.default_rng(0)).pressure[0] - 5
    foot = int(pressure[:1500].argmin()) if pressure[:1500].argmin() > 400 else int(pressure[750:2250].argmin()) + 750
    late = pressure[foot - 300 : foot - 20]
    tau = -1 / np.polyfit(np.arange(len(late)) / 500, np.log(late), 1)[0]
    assert tau == pytest.approx(1.0 * 1.2, rel=0.02)


def test_systole_and_diastole_are_those_of_the_pressure_wave():
    heart, arteries = steady(rate=60)
    waves = simulate(heart, arteries, 10, 125, np.random.default_rng(0))
    assert waves.systolic[0] == pytest.approx(waves.pressure.max(), abs=0.3)
    assert waves.diastolic[0] == pytest.approx(waves.pressure.min(), abs=0.3)


def test_a_reflection_comes_back_after_its_delay():
    _, bare = steady()
    heart, full = steady(reflection=0.3)
    first, second = (simulate(heart, a, 10, 125, np.random.default_rng(0)).pressure[0] for a in (bare, full))
    pulse, echo = first - first.mean(), second - first
    lag = round(0.2 * 125)
    np.testing.assert_allclose(echo[lag:], 0.3 * (pulse[:-lag]), atol=0.6)


def test_walls_stiffen_with_age_and_pressure():
    ages = np.array([20.0, 50.0, 80.0])
    wall = aortic_wall(ages, np.ones(3), np.ones(3))
    velocity = wall.wave_velocity(one(90, 3))
    assert np.all(np.diff(velocity) > 1)
    assert 4 < velocity[0] < 6
    assert 10 < velocity[2] < 14
    assert np.all(wall.wave_velocity(one(120, 3)) > velocity)


def test_no_label_depends_on_the_place_in_the_file_on_time_or_on_a_name():
    """Correlations of 1,500 persons drawn apart stay within three standard errors."""
    windows = synthetic_windows(1500, 1, seed=5)
    number = np.char.lstrip(windows.subjects, "S").astype(int)
    for name in NAMES:
        assert abs(np.corrcoef(np.arange(1500), windows.label(name))[0, 1]) < 0.08, name
        assert abs(np.corrcoef(number, windows.label(name))[0, 1]) < 0.08, name
    later = synthetic_windows(300, 5, seed=6)
    for name in NAMES:
        assert abs(np.corrcoef(later.onsets, later.label(name))[0, 1]) < 0.08, name


def test_gain_and_offset_tell_nothing():
    """Raw counts: neither their size nor their level is tied to the pulse that they carry."""
    volume = np.random.default_rng(0).random((2000, 50))
    volume *= np.linspace(0.1, 10, 2000)[:, None]
    counts = measured(volume, 125, np.random.default_rng(1))
    assert abs(np.corrcoef(np.arange(2000), np.log(np.ptp(counts, axis=1)))[0, 1]) < 0.06
    assert abs(np.corrcoef(np.arange(2000), counts.mean(axis=1))[0, 1]) < 0.06


def test_noise_can_be_left_out():
    bare, noisy = synthetic_windows(3, 2, seed=1, noise=0), synthetic_windows(3, 2, seed=1)
    np.testing.assert_array_equal(bare.labels, noisy.labels)
    assert np.abs(np.diff(bare.signals, 3)).mean() < np.abs(np.diff(noisy.signals, 3)).mean()


@pytest.mark.parametrize(("settings", "told"), [((0, 5), "subjects"), ((5, 0), "each"), ((5, 1, 0, 11), "noise")])
def test_numbers_out_of_range_are_told(settings, told):
    subjects, each, *rest = settings
    with pytest.raises(ConfigError, match=f"^{told} of the synthetic population must lie between"):
        synthetic_windows(subjects, each, *rest[:1], **({"noise": rest[1]} if len(rest) > 1 else {}))
