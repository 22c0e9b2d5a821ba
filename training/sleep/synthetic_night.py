"""Synthetic nights: who sleeps, which stage holds at each second, and what a scorer writes down.

The course of a night follows textbook sleep architecture (Carskadon and Dement, Normal Human Sleep): wake, a
short N1, cycles of N2, N3, N2, REM, with N3 fading and REM growing from cycle to cycle, and brief arousals.
Cycles are shorter than the human 90 minutes, so that a demonstration night of two or three hours holds several.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .stages import DROPPED, N1, N2, N3, REM, W

MOVEMENT = 5
"""State of the seconds in which the sleeper turns over; scored as movement time when it fills an epoch."""


@dataclass(frozen=True)
class Sleeper:
    """What differs between people; gains multiply microvolts, densities are events per minute.

    Attributes
    ----------
    eeg_gain, delta_gain, alpha_gain, eog_gain, emg_gain : float
        Amplitudes relative to the average sleeper.
    alpha_hz, spindle_hz : float
        Frequency of the alpha rhythm and of the spindles.
    spindle_density, complex_density, saccade_density : float
        Spindles and K-complexes of N2, rapid eye movements of REM.
    atonia : float
        EMG of REM relative to that of N2; near 1 in people whose chin says little.
    arousal_minutes : float
        Mean time between arousals.
    """

    eeg_gain: float
    delta_gain: float
    alpha_gain: float
    alpha_hz: float
    spindle_hz: float
    spindle_density: float
    complex_density: float
    saccade_density: float
    eog_gain: float
    emg_gain: float
    atonia: float
    arousal_minutes: float


def draw_sleeper(rng: np.random.Generator) -> Sleeper:
    """Draw a person."""

    def around(centre: float, spread: float) -> float:
        return float(centre * np.exp(spread * rng.standard_normal()))

    return Sleeper(
        eeg_gain=around(1.0, 0.1),
        delta_gain=around(1.0, 0.12),
        # One person in ten shows next to no alpha, whose W and N1 look alike.
        alpha_gain=around(0.35, 0.2) if rng.random() < 0.1 else around(1.0, 0.2),
        alpha_hz=float(rng.normal(9.8, 0.7)),
        spindle_hz=float(rng.normal(13.2, 0.5)),
        spindle_density=around(3.2, 0.35),
        complex_density=around(1.4, 0.35),
        saccade_density=around(9.0, 0.4),
        eog_gain=around(1.0, 0.12),
        emg_gain=around(1.0, 0.15),
        atonia=float(np.clip(rng.normal(0.5, 0.1), 0.3, 0.8)),
        arousal_minutes=around(9.0, 0.3),
    )


def draw_states(rng: np.random.Generator, sleeper: Sleeper, seconds: int) -> np.ndarray:
    """Return the true state of each second: 0 to 4, or `MOVEMENT`.

    Parameters
    ----------
    rng : numpy.random.Generator
    sleeper : Sleeper
    seconds : int
        Length of the night.

    Returns
    -------
    numpy.ndarray
        int64, shape (seconds,).
    """
    evening, morning = 60 * rng.uniform(9, 16), 60 * rng.uniform(5, 9)
    plan: list[tuple[int, float]] = [(W, evening)]
    elapsed, cycle = evening, 0
    while elapsed < seconds - morning:
        stretch = _draw_cycle(rng, cycle)
        plan += stretch
        elapsed += sum(length for _, length in stretch)
        cycle += 1
    # The last cycle may end before the night does.
    plan.append((W, morning + 60))
    states = np.concatenate([np.full(max(1, round(length)), stage) for stage, length in plan])[:seconds]
    _add_flicker(rng, states)
    _add_arousals(rng, states, sleeper, int(evening))
    states[seconds - int(morning) :] = W
    return states


def _draw_cycle(rng: np.random.Generator, cycle: int) -> list[tuple[int, float]]:
    """Return (stage, seconds) of one cycle of about 65 minutes."""

    def minutes(centre: float) -> float:
        return 60 * centre * float(np.exp(0.25 * rng.standard_normal()))

    deep = max(4.0, 16.0 - 5.0 * cycle)
    dreaming = min(22.0, 10.0 + 5.0 * cycle)
    plan = [(N1, minutes(3.5)), (N2, minutes(9))]
    for part in rng.dirichlet([6, 6]):
        plan += [(N3, minutes(deep * part)), (N2, minutes(3))]
    plan += [
        (N2, minutes(8)),
        (REM, minutes(dreaming * 0.6)),
        (N1, minutes(0.7)),
        (REM, minutes(dreaming * 0.4)),
    ]
    if rng.random() < 0.6:
        plan.append((W, minutes(1.5)))
    return plan


def _add_flicker(rng: np.random.Generator, states: np.ndarray) -> None:
    """Let N1 waver, in place: seconds of wake and of N2 within it."""
    for begin in np.flatnonzero((states == N1) & (rng.random(len(states)) < 0.045)):
        part = states[begin : begin + int(rng.uniform(3, 15))]
        part[part == N1] = W if rng.random() < 0.6 else N2


def _add_arousals(rng: np.random.Generator, states: np.ndarray, sleeper: Sleeper, onset: int) -> None:
    """Break sleep up, in place: a movement or a moment of wake, then N1 on the way back."""
    at = onset + 60 * rng.exponential(sleeper.arousal_minutes)
    while at < len(states):
        begin = int(at)
        if states[begin] in (N1, N2, REM) or rng.random() < 0.3:
            kind = MOVEMENT if rng.random() < 0.3 else W
            turned = begin + int(rng.uniform(8, 35))
            states[begin:turned] = kind
            if kind == W:
                states[turned : turned + int(rng.uniform(15, 90))] = N1
        at += 60 * rng.exponential(sleeper.arousal_minutes)


def score(rng: np.random.Generator, states: np.ndarray, epoch_seconds: int = 30) -> np.ndarray:
    """Return the stage that a scorer gives to each epoch.

    The state that holds longest names the epoch, as the rules say; but two scorers of the same night agree on
    four epochs in five, and least on N1 and at changes of stage (Rosenberg and Van Hout 2013, J Clin Sleep
    Med 9:81-87), so that some epochs take a neighbour's stage here.

    Parameters
    ----------
    rng : numpy.random.Generator
    states : numpy.ndarray
        State of each second.
    epoch_seconds : int
        Length of an epoch.

    Returns
    -------
    numpy.ndarray
        int64: 0 to 4, or `DROPPED` for movement time.
    """
    count = len(states) // epoch_seconds
    blocks = states[: count * epoch_seconds].reshape(count, epoch_seconds)
    tally = np.stack([(blocks == state).sum(axis=1) for state in range(6)], axis=1)
    labels = tally.argmax(axis=1)
    neighbour = np.where(rng.random(count) < 0.5, np.roll(labels, 1), np.roll(labels, -1))
    doubt = np.where(labels == N1, 0.3, 0.15) * (neighbour != labels) * (neighbour != MOVEMENT)
    doubtful = (rng.random(count) < doubt) & (labels != MOVEMENT)
    labels[doubtful] = neighbour[doubtful]
    labels[labels == MOVEMENT] = DROPPED
    return labels.astype(np.int64)
