"""The embedded default data: a synthetic population with PPG and all ten parameters.

People are drawn by :mod:`.population`, waves by :mod:`.circulation`. What a window can tell is in the rhythm (heart
rate) and in the shape of the pulse (pressures). What it cannot is drawn beside it: the size of the aorta, the body and
the venous pressure set the flow, but leave the shape alone. Amplitude, offset, noise, order and names are drawn apart
from everything else. Nothing measured on these windows speaks about people.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from ..errors import ConfigError
from .circulation import Arteries, Heart, Wall, Waves, simulate
from .population import draw_people, draw_states
from .tasks import NAMES, body_surface_area, complete
from .windowset import RATE, SAMPLES, PpgWindows, min_max

Table = TypeVar("Table", Heart, Arteries, Wall)

NAME = "synthetic population"
_CHUNK = 1024  # rows at once
_STAMP = 0x48454D4F  # apart from other uses of the same seed


def synthetic_windows(subjects: int = 150, each: int = 10, seed: int = 0, *, noise: float = 1.0) -> PpgWindows:
    """Draw a population and its labelled windows.

    Parameters
    ----------
    subjects : int
        Persons, 1 to 100,000.
    each : int
        Windows of each, 1 to 1000, from half a minute to ten minutes apart.
    seed : int
        The same numbers give the same windows.
    noise : float
        Factor on wander, motion and hiss; 0 leaves the bare wave.

    Returns
    -------
    PpgWindows
        subjects * each windows of 1250 samples at 125 Hz, shuffled by person and in time order within each; all ten
        parameters, every identity between them exact with the central venous pressure that was drawn.

    Raises
    ------
    ConfigError
        When a number is out of range.
    """
    for name, value, low, high in (
        ("subjects", subjects, 1, 100_000),
        ("each", each, 1, 1000),
        ("noise", noise, 0, 10),
    ):
        if not low <= value <= high:
            raise ConfigError(f"{name} of the synthetic population must lie between {low} and {high}, got {value}")
    rng = np.random.default_rng((_STAMP, seed))
    people = draw_people(subjects, rng)
    states = draw_states(people, each, rng)
    signals = np.empty((subjects * each, SAMPLES), np.float32)
    labels = np.empty((subjects * each, len(NAMES)))
    bsa = body_surface_area(people.height, people.weight)[states.person]
    for start in range(0, len(signals), _CHUNK):
        rows = slice(start, start + _CHUNK)
        waves = simulate(_rows(states.heart, rows), _rows(states.arteries, rows), SAMPLES / RATE, RATE, rng)
        labels[rows] = labels_of(waves, states.arteries.cvp[rows], bsa[rows])
        signals[rows] = min_max(measured(waves.volume, RATE, rng, noise))
    names = np.char.mod("S%06d", rng.permutation(1_000_000)[:subjects])[states.person]
    return PpgWindows(
        signals=signals,
        labels=labels,
        tasks=NAMES,
        subjects=names,
        records=names,
        onsets=states.onset,
        people=people.table[states.person],
        name=NAME,
        notes=(f"synthetic: {subjects} persons x {each} windows, seed {seed}, noise {noise:g}",),
    )


def labels_of(waves: Waves, cvp: np.ndarray, bsa: np.ndarray) -> np.ndarray:
    """Return the ten parameters of waves, shape (N, 10), from the waves themselves."""
    return complete(waves.systolic, waves.mean, waves.diastolic, waves.rate, waves.stroke, cvp, bsa)


def measured(volume: np.ndarray, rate: float, rng: np.random.Generator, noise: float = 1.0) -> np.ndarray:
    """Return what a sensor makes of finger volumes: wander with the breath, motion, hiss, any gain and offset.

    Everything is drawn apart from the circulation, in shares of the pulse's height.

    Parameters
    ----------
    volume : numpy.ndarray
        Shape (N, samples).
    rate : float
        Samples per second.
    rng : numpy.random.Generator
        Source of all chance.
    noise : float
        Factor on all disturbances.

    Returns
    -------
    numpy.ndarray
        float64, counts of a sensor with a gain and an offset of its own.
    """
    count, samples = volume.shape
    pulse = min_max(volume).astype(float)
    times = np.arange(samples) / rate
    disturbed = pulse + noise * (_wander(count, times, rng) + _motion(count, times, rng) + _hiss(count, samples, rng))
    gain, offset = np.exp(rng.normal(6, 1, (count, 1))), rng.uniform(0, 2000, (count, 1))
    return offset + gain * disturbed


def _wander(count: int, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Breath and a slower drift."""
    total = np.zeros((count, len(times)))
    for low, high, largest in ((0.15, 0.40, 0.06), (0.02, 0.12, 0.08)):
        frequency, phase = rng.uniform(low, high, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
        total += rng.uniform(0, largest, (count, 1)) * np.sin(2 * np.pi * frequency * times + phase)
    return total


def _motion(count: int, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A bump in every fifth window."""
    height = rng.uniform(-0.3, 0.3, (count, 1)) * (rng.random((count, 1)) < 0.2)
    centre, width = rng.uniform(0, times[-1], (count, 1)), rng.uniform(0.1, 0.6, (count, 1))
    return height * np.exp(-0.5 * ((times - centre) / width) ** 2)


def _hiss(count: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.001, 0.01, (count, 1)) * rng.standard_normal((count, samples))


def _rows(table: Table, rows: slice) -> Table:
    """Return some rows of a dataclass of arrays, and of those within it."""
    cut: dict[str, Any] = {
        name: value[rows] if isinstance(value, np.ndarray) else _rows(value, rows)
        for name, value in vars(table).items()
    }
    return type(table)(**cut)
