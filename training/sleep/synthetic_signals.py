"""Synthetic polysomnograms: EEG, EOG and EMG that follow the state of each second.

Rhythms are noise of a band whose amplitude follows the state; spindles, K-complexes, eye movements and
artefacts are events laid over them. The waveforms are those that the AASM manual names; the signals are made to
be learned from and to fail on, not to pass for physiology.
"""

from __future__ import annotations

import numpy as np

from .stages import N1, N2, N3, REM, W
from .synthetic_night import MOVEMENT, Sleeper

RATE = 100
CHANNELS = ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal", "EMG submental")

# Microvolts (RMS) of each rhythm in W, N1, N2, N3, REM and movement.
_RHYTHMS = {
    "delta": (5.0, 7.0, 12.0, 30.0, 7.0, 9.0),
    "theta": (4.0, 7.0, 7.0, 7.5, 7.0, 4.0),
    "beta": (4.0, 3.0, 2.3, 1.8, 2.9, 6.0),
}
_ALPHA = (9.0, 3.0, 1.6, 1.2, 2.0, 3.0)
_EMG = (9.0, 5.0, 3.8, 3.2, 3.8, 30.0)
_BANDS = {"delta": (0.5, 2.5), "theta": (3.5, 7.5), "beta": (15.0, 30.0)}

# How strongly a rhythm shows in Fpz-Cz, Pz-Oz and the EOG.
_REACH = {
    "delta": (1.0, 0.65, 0.45),
    "theta": (1.0, 0.8, 0.3),
    "beta": (1.0, 0.9, 0.3),
    "alpha": (0.5, 1.0, 0.2),
}


def draw_signals(rng: np.random.Generator, sleeper: Sleeper, states: np.ndarray) -> dict[str, np.ndarray]:
    """Return the four channels of a night.

    Parameters
    ----------
    rng : numpy.random.Generator
    sleeper : Sleeper
    states : numpy.ndarray
        State of each second (0 to 4, or `MOVEMENT`).

    Returns
    -------
    dict of str to numpy.ndarray
        Microvolts at 100 Hz, float64, for each name of `CHANNELS`; the EMG raw.
    """
    eyes_closed = _drift(rng, len(states), 1.0, seconds=40) > 1.0
    frontal, occipital, eye = _rhythms(rng, sleeper, states, eyes_closed)
    for spindle_at in _times(rng, states, {N2: sleeper.spindle_density, N3: sleeper.spindle_density * 0.4}):
        _spindle(rng, sleeper, spindle_at, frontal, occipital)
    for complex_at in _times(rng, states, {N2: sleeper.complex_density, N3: sleeper.complex_density}):
        wave = _k_complex(rng)
        for channel, reach in ((frontal, 1.0), (occipital, 0.6), (eye, 0.5)):
            _lay(channel, complex_at, reach * wave)
    for saw_at in _times(rng, states, {REM: 1.0}):
        wave = _sawtooth(rng)
        _lay(frontal, saw_at, wave)
        _lay(eye, saw_at, 0.3 * wave)
    frontal, occipital = sleeper.eeg_gain * frontal, sleeper.eeg_gain * occipital
    eye += sleeper.eog_gain * _eye_movements(rng, sleeper, states, eyes_closed, frontal)
    muscle = _muscle(rng, sleeper, states)
    _add_artefacts(rng, states, (frontal, occipital, eye))
    return dict(zip(CHANNELS, (frontal, occipital, eye, muscle), strict=True))


def _rhythms(
    rng: np.random.Generator, sleeper: Sleeper, states: np.ndarray, eyes_closed: np.ndarray
) -> list[np.ndarray]:
    """Return the ongoing activity of Fpz-Cz, Pz-Oz and the EOG."""
    count = RATE * len(states)
    channels = [3.0 * _band_noise(rng, count, 0.3, 40.0, slope=1.0) for _ in range(3)]
    for name, (low, high) in _BANDS.items():
        gain = _follow(states, _RHYTHMS[name]) * _drift(rng, len(states), 0.22)
        gain *= sleeper.delta_gain if name == "delta" else 1.0
        _mix(rng, channels, _up(gain), low, high, _REACH[name])
    gain = sleeper.alpha_gain * _follow(states, _ALPHA) * _waxing(rng, states, eyes_closed)
    _mix(rng, channels, _up(gain), sleeper.alpha_hz - 0.8, sleeper.alpha_hz + 0.8, _REACH["alpha"])
    return channels


def _mix(
    rng: np.random.Generator,
    channels: list[np.ndarray],
    gain: np.ndarray,
    low: float,
    high: float,
    reach: tuple[float, ...],
) -> None:
    """Add a rhythm to every channel, in place: half of its power is shared, half is the channel's own."""
    shared = _band_noise(rng, len(gain), low, high)
    for channel, share in zip(channels, reach, strict=True):
        own = _band_noise(rng, len(gain), low, high)
        channel += share * gain * np.sqrt(0.5) * (shared + own)


def _waxing(rng: np.random.Generator, states: np.ndarray, eyes_closed: np.ndarray) -> np.ndarray:
    """Return a factor per second: alpha comes with closed eyes and breaks up on the way to sleep."""
    awake = np.where(eyes_closed, 1.5, 0.35)
    drowsy = np.where(_drift(rng, len(states), 1.0, seconds=5) > 1.0, 1.4, 0.5)
    return _smooth(np.select([states == W, states == N1], [awake, drowsy], 1.0), 2)


def _eye_movements(
    rng: np.random.Generator,
    sleeper: Sleeper,
    states: np.ndarray,
    eyes_closed: np.ndarray,
    frontal: np.ndarray,
) -> np.ndarray:
    """Return the eyes' own potential; blinks also reach the frontal EEG, in place."""
    count = RATE * len(states)
    slow = _band_noise(rng, count, 0.15, 0.5) * _up(_follow(states, (10.0, 28.0, 4.0, 3.0, 5.0, 8.0)))
    eyes = slow * _up(_drift(rng, len(states), 0.5))
    looking = np.where((states == W) & eyes_closed, N1, states)
    saccades = {W: 12.0, N1: 0.8, REM: sleeper.saccade_density, MOVEMENT: 10.0}
    for at in _times(rng, looking, saccades, bursts=True):
        _lay(eyes, at, _saccade(rng))
    for at in _times(rng, looking, {W: 14.0, MOVEMENT: 6.0}):
        blink = _blink(rng)
        _lay(frontal, at, blink)
        _lay(eyes, at, 0.5 * blink)
    return eyes


def _muscle(rng: np.random.Generator, sleeper: Sleeper, states: np.ndarray) -> np.ndarray:
    """Return the raw chin EMG: tone, its loss in REM, and twitches."""
    tones = list(_EMG)
    tones[REM] *= sleeper.atonia
    gain = _follow(states, tuple(tones)) * _drift(rng, len(states), 0.4, seconds=60)
    muscle = _up(gain) * _band_noise(rng, RATE * len(states), 10.0, 45.0)
    for at in _times(rng, states, {W: 3.0, N1: 1.5, N2: 1.0, N3: 0.5, REM: 2.0, MOVEMENT: 20.0}):
        length = int(RATE * rng.uniform(0.1, 1.2))
        burst = rng.uniform(8, 40) * np.hanning(length) * rng.standard_normal(length)
        _lay(muscle, at, burst)
    return sleeper.emg_gain * muscle


def _add_artefacts(rng: np.random.Generator, states: np.ndarray, channels: tuple[np.ndarray, ...]) -> None:
    """Add sway of moving electrodes, drift from sweat, pops and slow waves of one electrode, in place."""
    sway = _up(_follow(states, (4.0, 1.5, 1.0, 1.0, 1.0, 70.0)))
    for channel in channels:
        channel += sway * _band_noise(rng, len(channel), 0.2, 1.5)
        channel += _up(_drift(rng, len(states), 1.0, seconds=120)) * _band_noise(rng, len(channel), 0.1, 0.4)
        for at in _times(rng, states, dict.fromkeys((W, N1, N2, N3, REM), 0.03)):
            length = int(RATE * rng.uniform(0.3, 2.0))
            pop = rng.choice([-1, 1]) * rng.uniform(60, 180) * np.exp(-np.arange(length) / (0.3 * RATE))
            _lay(channel, at, pop)
        for at in _times(rng, states, dict.fromkeys((W, N1, N2, N3, REM), 0.5)):
            length = int(RATE * rng.uniform(0.5, 4.0))
            phase = 2 * np.pi * (rng.uniform(0.5, 2.5) * np.arange(length) / RATE + rng.random())
            _lay(channel, at, rng.uniform(40, 160) * np.hanning(length) * np.sin(phase))


def _spindle(rng: np.random.Generator, sleeper: Sleeper, at: int, frontal: np.ndarray, occipital: np.ndarray) -> None:
    length = int(RATE * rng.uniform(0.6, 1.6))
    hz = sleeper.spindle_hz + rng.normal(0, 0.3)
    wave = rng.uniform(12, 28) * np.hanning(length) * np.sin(2 * np.pi * hz * np.arange(length) / RATE)
    _lay(frontal, at, wave)
    _lay(occipital, at, rng.uniform(0.4, 1.0) * wave)


def _k_complex(rng: np.random.Generator) -> np.ndarray:
    """A sharp negative wave and a slower positive one, together 0.8 to 1.3 s."""
    length = int(RATE * rng.uniform(0.8, 1.3))
    time = np.linspace(0, 1, length)
    height = rng.uniform(70, 140)
    return height * (0.75 * np.exp(-(((time - 0.6) / 0.16) ** 2)) - np.exp(-(((time - 0.25) / 0.09) ** 2)))


def _sawtooth(rng: np.random.Generator) -> np.ndarray:
    length = int(RATE * rng.uniform(1.5, 4))
    phase = np.arange(length) / RATE * rng.uniform(2.5, 4.5)
    return rng.uniform(10, 22) * np.hanning(length) * 2 * (phase % 1 - 0.5)


def _saccade(rng: np.random.Generator) -> np.ndarray:
    """A step of the eyes, as an amplifier with a high-pass filter shows it."""
    time = np.arange(int(RATE * rng.uniform(0.6, 1.4))) / RATE
    step = rng.choice([-1, 1]) * rng.uniform(30, 130)
    return step * (1 - np.exp(-time / 0.03)) * np.exp(-time / rng.uniform(0.2, 0.6))


def _blink(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(40, 120) * np.hanning(int(RATE * rng.uniform(0.25, 0.45)))


def _times(
    rng: np.random.Generator, states: np.ndarray, per_minute: dict[int, float], bursts: bool = False
) -> np.ndarray:
    """Return the sample at which each event begins; in bursts, events crowd into some of the time."""
    rates = np.zeros(MOVEMENT + 1)
    for state, rate in per_minute.items():
        rates[state] = rate / 60
    expected = rates[states]
    if bursts:
        expected = expected * np.where(_drift(rng, len(states), 1.0, seconds=12) > 1.0, 2.0, 0.15)
    counts = rng.poisson(expected)
    seconds = np.repeat(np.arange(len(states)), counts)
    return (RATE * (seconds + rng.random(len(seconds)))).astype(np.int64)


def _lay(channel: np.ndarray, at: int, wave: np.ndarray) -> None:
    """Add a wave to a channel, in place, cut off at the end."""
    room = channel[at : at + len(wave)]
    room += wave[: len(room)]


def _follow(states: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Return the level of each second's state, changing over some seconds rather than at once."""
    return _smooth(np.asarray(levels)[states], 3)


def _drift(rng: np.random.Generator, count: int, spread: float, seconds: float = 25) -> np.ndarray:
    """Return a slowly wandering log-normal factor per second, median 1."""
    # Around the ends: repeated edge values would make the drift far larger there.
    noise = _smooth(rng.standard_normal(count), seconds, "wrap")
    return np.exp(spread * noise / noise.std())


def _smooth(values: np.ndarray, seconds: float, mode: str = "nearest") -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values.astype(float), seconds, mode=mode)


def _up(per_second: np.ndarray) -> np.ndarray:
    """Interpolate a value per second to the signals' rate."""
    seconds = np.arange(len(per_second)) + 0.5
    return np.interp(np.arange(RATE * len(per_second)) / RATE, seconds, per_second)


def _band_noise(rng: np.random.Generator, count: int, low: float, high: float, slope: float = 0.0) -> np.ndarray:
    """Return noise of unit RMS between two frequencies, its power falling as 1/f**slope."""
    from scipy.fft import irfft, next_fast_len, rfftfreq

    length = next_fast_len(count, real=True)
    frequency = rfftfreq(length, 1 / RATE)
    inside = np.flatnonzero((frequency >= low) & (frequency <= high))
    spectrum = np.zeros(len(frequency), dtype=complex)
    spectrum[inside] = rng.standard_normal(len(inside)) + 1j * rng.standard_normal(len(inside))
    spectrum[inside] *= frequency[inside] ** (-slope / 2)
    noise = irfft(spectrum, length)[:count]
    return noise / noise.std()
