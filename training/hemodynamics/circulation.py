"""A small model of the arteries: from a heart that beats to the pressure in an arm and the light at a finger.

Flow out of the heart charges a three-element Windkessel (Westerhof et al. 2009, Med Biol Eng Comput 47:131-141); the
wave returns from the periphery and adds to itself. How stiff the wall is follows from age, sex and pressure by the
arctangent law of the human aorta (Langewouters et al. 1984, J Biomech 17:425-435), from which come compliance, pulse
wave velocity (Bramwell and Hill 1922) and the volume that a finger shows. The duration of ejection is that of Weissler
et al. (1968, Circulation 37:149-159).

All functions work on rows, one circulation each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MMHG_PER_DYN = 1 / 1333.22
BLOOD_DENSITY = 1.05  # g/cm3
_WARM_UP_SECONDS = 8.0
_LEAST_BEAT_SECONDS = 0.3
_BACKFLOW = 0.03  # of a stroke, closing the valve
_BACKFLOW_SECONDS = 0.04


@dataclass(frozen=True)
class Wall:
    """The arctangent law of an artery's wall; each field has shape (N,).

    Attributes
    ----------
    area_max : numpy.ndarray
        Cross-section at infinite pressure, cm2.
    p0, p1 : numpy.ndarray
        Pressure of steepest growth and half width of that growth, mmHg.
    """

    area_max: np.ndarray
    p0: np.ndarray
    p1: np.ndarray

    def area(self, pressure: np.ndarray) -> np.ndarray:
        """Cross-section in cm2 at a pressure in mmHg, both of shape (N,)."""
        return self.area_max * (0.5 + np.arctan((pressure - self.p0) / self.p1) / np.pi)

    def area_compliance(self, pressure: np.ndarray) -> np.ndarray:
        """Growth of the cross-section with pressure, cm2/mmHg."""
        return self.area_max / (np.pi * self.p1 * (1 + ((pressure - self.p0) / self.p1) ** 2))

    def wave_velocity(self, pressure: np.ndarray) -> np.ndarray:
        """Velocity of the pulse wave in m/s."""
        squared = self.area(pressure) / (BLOOD_DENSITY * self.area_compliance(pressure) * MMHG_PER_DYN)
        return np.sqrt(squared) / 100.0


def aortic_wall(age: np.ndarray, male: np.ndarray, area_scale: np.ndarray) -> Wall:
    """Return the mean wall of people of an age in years and a sex (1 male), its area scaled."""
    area_max = np.where(male > 0.5, 5.62, 4.12) * area_scale
    return Wall(area_max, np.where(male > 0.5, 72.0, 76.0) - 0.89 * age, 57.0 - 0.44 * age)


@dataclass(frozen=True)
class Heart:
    """How hearts beat; each field has shape (N,).

    Attributes
    ----------
    rate : numpy.ndarray
        Beats per minute.
    stroke : numpy.ndarray
        Stroke volume in mL.
    ejection : numpy.ndarray
        Duration of ejection in seconds.
    breathing, breathing_phase : numpy.ndarray
        Breaths per second, and where breathing starts in radians.
    sway, jitter : numpy.ndarray
        Share of a beat by which breathing lengthens it, and standard deviation of its random rest.
    stroke_sway : numpy.ndarray
        Share of a stroke by which breathing changes it.
    """

    rate: np.ndarray
    stroke: np.ndarray
    ejection: np.ndarray
    breathing: np.ndarray
    breathing_phase: np.ndarray
    sway: np.ndarray
    jitter: np.ndarray
    stroke_sway: np.ndarray


@dataclass(frozen=True)
class Arteries:
    """What the heart beats against; each field has shape (N,).

    Attributes
    ----------
    resistance : numpy.ndarray
        Of the periphery, mmHg s/mL, characteristic impedance included.
    impedance : numpy.ndarray
        Characteristic impedance, mmHg s/mL.
    compliance : numpy.ndarray
        mL/mmHg.
    cvp : numpy.ndarray
        Central venous pressure, mmHg.
    reflection : numpy.ndarray
        Share of the pulsatile pressure that comes back.
    delay : numpy.ndarray
        Seconds after which it does.
    finger : Wall
        The wall whose volume the light sees.
    smoothing : numpy.ndarray
        Time constant of the finger where its wall gives way most, seconds.
    """

    resistance: np.ndarray
    impedance: np.ndarray
    compliance: np.ndarray
    cvp: np.ndarray
    reflection: np.ndarray
    delay: np.ndarray
    finger: Wall
    smoothing: np.ndarray


@dataclass(frozen=True)
class Waves:
    """What the model gives; rows are circulations, columns samples.

    Attributes
    ----------
    pressure : numpy.ndarray
        In the arm, mmHg.
    volume : numpy.ndarray
        At the finger, share of the largest, without noise.
    rate, stroke : numpy.ndarray
        Shape (N,): mean beats per minute and mL of the beats that end within.
    systolic, diastolic : numpy.ndarray
        Shape (N,): means over those beats of the largest and the smallest pressure, mmHg.
    """

    pressure: np.ndarray
    volume: np.ndarray
    rate: np.ndarray
    stroke: np.ndarray
    systolic: np.ndarray
    diastolic: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean pressure, mmHg, shape (N,)."""
        return self.pressure.mean(axis=1)


def ejection_seconds(rate: np.ndarray, male: np.ndarray, stroke_index: np.ndarray) -> np.ndarray:
    """Duration of ejection from beats per minute and sex; 1.5 ms longer for each mL/m2 above 40."""
    weissler = np.where(male > 0.5, 413 - 1.7 * rate, 418 - 1.6 * rate)
    return (weissler + 1.5 * (stroke_index - 40)) / 1000.0


def simulate(heart: Heart, arteries: Arteries, seconds: float, rate: float, rng: np.random.Generator) -> Waves:
    """Let circulations run for a while from their steady state.

    Parameters
    ----------
    heart, arteries
        Of N circulations.
    seconds, rate : float
        Length and samples per second of the waves.
    rng : numpy.random.Generator
        Draws the beats.

    Returns
    -------
    Waves
        `pressure` and `volume` have shape (N, round(seconds * rate)).
    """
    samples, warm_up = round(seconds * rate), round(_WARM_UP_SECONDS * rate)
    times = np.arange(samples + warm_up) / rate
    onsets, strokes = _beats(heart, times[-1], rng)
    beat = _beat_of(onsets, len(times), rate)
    since = times - np.take_along_axis(onsets, beat, axis=1)
    flow = _flow(since, np.take_along_axis(strokes, beat, axis=1), heart.ejection[:, None])
    pressure = _pressure(flow, arteries, rate)
    volume = _volume(pressure, arteries, rate)
    kept = slice(warm_up, None)
    return _summarise(pressure[:, kept], volume[:, kept], beat[:, kept], onsets, strokes)


def _beats(heart: Heart, last: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return onset and stroke volume of beats that cover 0 to `last` seconds, shape (N, beats)."""
    count = int(np.ceil(last * heart.rate.max() / 60 * 1.25)) + 3
    mean = 60.0 / heart.rate[:, None]
    nominal = np.arange(count) * mean
    breath = np.sin(2 * np.pi * heart.breathing[:, None] * nominal + heart.breathing_phase[:, None])
    jitter = rng.standard_normal(nominal.shape)
    lengths = mean * (1 + heart.sway[:, None] * breath + heart.jitter[:, None] * jitter)
    lengths = np.maximum(lengths, _LEAST_BEAT_SECONDS)
    # The first beat starts anywhere within itself before the first sample.
    start = -rng.random((len(mean), 1)) * mean
    onsets = start + np.concatenate([np.zeros_like(mean), np.cumsum(lengths, axis=1)[:, :-1]], axis=1)
    # Breathing in draws blood away from the left heart while it quickens the beat.
    return onsets, heart.stroke[:, None] * (1 + heart.stroke_sway[:, None] * breath)


def _beat_of(onsets: np.ndarray, count: int, rate: float) -> np.ndarray:
    """Return the beat that each sample belongs to, shape (N, count)."""
    first = np.maximum(np.ceil(onsets * rate - 1e-9).astype(np.int64), 0)
    rows, beats = np.nonzero(first < count)
    starts = np.zeros((len(onsets), count), np.int64)
    starts[:, 0] = -1  # beats are counted from 0
    np.add.at(starts, (rows, first[rows, beats]), 1)
    return np.cumsum(starts, axis=1)


def _flow(since: np.ndarray, stroke: np.ndarray, ejection: np.ndarray) -> np.ndarray:
    """Flow in mL/s at so many seconds since the beat began; its integral over a beat is the stroke."""
    share = np.clip(since / ejection, 0, 1)
    out = share * (1 - share) ** 1.5 * (8.75 / ejection)
    back = np.clip((since - ejection) / _BACKFLOW_SECONDS, 0, 1)
    closing = np.sin(np.pi * back) * (np.pi / 2 / _BACKFLOW_SECONDS)
    return stroke * ((1 + _BACKFLOW) * out - _BACKFLOW * closing)


def _pressure(flow: np.ndarray, arteries: Arteries, rate: float) -> np.ndarray:
    """Pressure in the arm: Windkessel, and the wave that returns."""
    peripheral = arteries.resistance - arteries.impedance
    keep = np.exp(-1 / (rate * peripheral * arteries.compliance))
    gain = peripheral * (1 - keep)
    inflow = np.ascontiguousarray(flow.T)
    state = peripheral * inflow.mean(axis=0)
    stored = np.empty_like(inflow)
    for sample, arriving in enumerate(inflow):
        state = keep * state + gain * arriving
        stored[sample] = state
    forward = stored.T + arteries.impedance[:, None] * flow
    mean = arteries.resistance * flow.mean(axis=1)
    pulse = forward - mean[:, None]
    echo = arteries.reflection[:, None] * _delayed(pulse, arteries.delay * rate)
    return forward + echo + arteries.cvp[:, None]


def _delayed(waves: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return rows `shift` samples later, between samples by a straight line; the start repeats the first sample."""
    places = np.maximum(np.arange(waves.shape[1]) - shift[:, None], 0)
    low = places.astype(np.int64)
    part = places - low
    high = np.minimum(low + 1, waves.shape[1] - 1)
    return np.take_along_axis(waves, low, 1) * (1 - part) + np.take_along_axis(waves, high, 1) * part


def _volume(pressure: np.ndarray, arteries: Arteries, rate: float) -> np.ndarray:
    """Volume of a finger's artery behind a resistance; the fuller it is, the less it gives way and the faster it is."""
    wall, slowest = arteries.finger, rate * arteries.smoothing
    inside = np.empty((pressure.shape[1], len(pressure)))
    state = pressure[:, 0]
    for sample, outside in enumerate(np.ascontiguousarray(pressure.T)):
        softness = 1 / (1 + ((state - wall.p0) / wall.p1) ** 2)
        state = outside + (state - outside) * np.exp(-1 / (slowest * softness))
        inside[sample] = state
    return 0.5 + np.arctan((inside.T - wall.p0[:, None]) / wall.p1[:, None]) / np.pi


def _summarise(
    pressure: np.ndarray, volume: np.ndarray, beat: np.ndarray, onsets: np.ndarray, strokes: np.ndarray
) -> Waves:
    """Rate, stroke, systole and diastole of the whole beats within the samples."""
    first, last = beat[:, 0] + 1, beat[:, -1]
    count = onsets.shape[1]
    order = np.arange(count)
    whole = (order >= first[:, None]) & (order < last[:, None])
    number = whole.sum(axis=1)
    length = np.take_along_axis(onsets, last[:, None], 1) - np.take_along_axis(onsets, first[:, None], 1)
    high, low = (_extreme(pressure, beat, count, ufunc, start) for ufunc, start in
                 ((np.maximum, -np.inf), (np.minimum, np.inf)))  # fmt: skip
    return Waves(
        pressure=pressure,
        volume=volume,
        rate=60.0 * number / length[:, 0],
        stroke=np.where(whole, strokes, 0).sum(axis=1) / number,
        systolic=np.where(whole, high, 0).sum(axis=1) / number,
        diastolic=np.where(whole, low, 0).sum(axis=1) / number,
    )


def _extreme(pressure: np.ndarray, beat: np.ndarray, count: int, ufunc: np.ufunc, start: float) -> np.ndarray:
    """Largest or smallest pressure of each beat, shape (N, count)."""
    found = np.full((len(beat), count), start)
    breaks = np.diff(beat, axis=1, prepend=-1) != 0
    flat = np.flatnonzero(breaks)
    values = ufunc.reduceat(pressure.ravel(), flat)
    rows, columns = np.nonzero(breaks)
    found[rows, beat[rows, columns]] = values
    return found
