"""People and the states in which they are met: what a synthetic data set draws before any wave is computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .circulation import (
    BLOOD_DENSITY,
    MMHG_PER_DYN,
    Arteries,
    Heart,
    Wall,
    aortic_wall,
    ejection_seconds,
)
from .tasks import body_surface_area

FINGER_P0, FINGER_P1 = 45.0, 35.0
"""Wall of a finger's artery under a clip, mmHg: where it gives way most, and over what width."""

_GAP_SECONDS = (30.0, 600.0)
_MEMORY_SECONDS = 900.0  # over which a state is forgotten


@dataclass(frozen=True)
class People:
    """Persons; each field has shape (N,).

    Attributes
    ----------
    age, male, height, weight : numpy.ndarray
        Years, 1 or 0, cm, kg.
    pressure, rate, stroke_index : numpy.ndarray
        Usual mean arterial pressure (mmHg), heart rate (bpm) and stroke index (mL/m2).
    cvp : numpy.ndarray
        Central venous pressure, mmHg.
    wall : Wall
        Of the aorta.
    reflection : numpy.ndarray
        Share of the pulse that returns.
    """

    age: np.ndarray
    male: np.ndarray
    height: np.ndarray
    weight: np.ndarray
    pressure: np.ndarray
    rate: np.ndarray
    stroke_index: np.ndarray
    cvp: np.ndarray
    wall: Wall
    reflection: np.ndarray

    @property
    def table(self) -> np.ndarray:
        """Age, sex, height and weight, shape (N, 4), as `windowset.PEOPLE`."""
        return np.stack([self.age, self.male, self.height, self.weight], axis=1)


def draw_people(count: int, rng: np.random.Generator) -> People:
    """Draw adults as hospitals meet them: 18 to 90 years, both sexes, many of them hypertensive.

    Parameters
    ----------
    count : int
        Persons.
    rng : numpy.random.Generator
        Source of all chance.

    Returns
    -------
    People
    """
    age = rng.uniform(18, 90, count)
    male = (rng.random(count) < 0.5).astype(float)
    height = np.where(male > 0.5, 176.0, 163.0) + 7.0 * rng.standard_normal(count)
    weight = 26.0 * np.exp(0.16 * rng.standard_normal(count)) * (height / 100) ** 2
    pressure = 92 + 0.12 * (age - 54) + 15 * rng.standard_normal(count)
    wall = aortic_wall(age, male, np.exp(0.15 * rng.standard_normal(count)))
    reflection = 0.10 + 0.25 * (age - 18) / 72 + 0.03 * rng.standard_normal(count)
    return People(
        age=age,
        male=male,
        height=height,
        weight=weight,
        pressure=np.clip(pressure, 60, 135),
        rate=np.clip(78 + 16 * rng.standard_normal(count), 48, 130),
        stroke_index=np.clip(41 - 0.10 * (age - 54) + 6 * rng.standard_normal(count), 20, 65),
        cvp=np.clip(6 + 2 * rng.standard_normal(count), 1, 12),
        wall=Wall(
            wall.area_max,
            wall.p0 + 4.0 * rng.standard_normal(count),
            wall.p1 * np.exp(0.06 * rng.standard_normal(count)),
        ),
        reflection=np.clip(reflection, 0.05, 0.45),
    )


@dataclass(frozen=True)
class States:
    """What persons are like at each of several times.

    Attributes
    ----------
    person : numpy.ndarray
        Row of :class:`People`, shape (M,), each person's times together and ascending.
    onset : numpy.ndarray
        Seconds from the person's first window.
    heart : Heart
        M hearts.
    arteries : Arteries
        M circulations.
    """

    person: np.ndarray
    onset: np.ndarray
    heart: Heart
    arteries: Arteries


def draw_states(people: People, each: int, rng: np.random.Generator) -> States:
    """Draw `each` states of every person, minutes apart, each remembering the one before.

    Parameters
    ----------
    people : People
        N persons.
    each : int
        States of a person.
    rng : numpy.random.Generator
        Source of all chance.

    Returns
    -------
    States
        N * each of them.
    """
    count = len(people.age)
    gaps = rng.uniform(*_GAP_SECONDS, (count, each))
    gaps[:, 0] = 0
    person = np.repeat(np.arange(count), each)
    pressure, rate, stroke_index, tone = (_wander(gaps, rng) for _ in range(4))
    at = _rows(people, person)
    pressure = np.clip(at["pressure"] + 9.0 * pressure, 50, 150)
    # A quickened heart has less time to fill.
    stroke_index = np.clip(at["stroke_index"] + 4.0 * stroke_index - 2.0 * rate, 15, 75)
    rate = np.clip(at["rate"] + 9.0 * rate, 42, 150)
    heart = _heart(rate, stroke_index, at, rng)
    return States(person, np.cumsum(gaps, axis=1).ravel(), heart, _arteries(heart, pressure, tone, at, rng))


def _rows(people: People, person: np.ndarray) -> dict[str, np.ndarray]:
    fields = ("age", "male", "height", "weight", "pressure", "rate", "stroke_index", "cvp", "reflection")
    rows = {name: getattr(people, name)[person] for name in fields}
    return {**rows, **{name: getattr(people.wall, name)[person] for name in ("area_max", "p0", "p1")}}


def _wander(gaps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a stationary process of unit variance at the given gaps, flattened by person."""
    keep = np.exp(-gaps / _MEMORY_SECONDS)
    fresh = rng.standard_normal(gaps.shape)
    values = np.empty_like(fresh)
    state = fresh[:, 0]
    for column in range(gaps.shape[1]):
        # The first gap is 0: the state is then the first draw itself.
        if column:
            state = keep[:, column] * state + np.sqrt(1 - keep[:, column] ** 2) * fresh[:, column]
        values[:, column] = state
    return values.ravel()


def _heart(rate: np.ndarray, stroke_index: np.ndarray, at: dict[str, np.ndarray], rng: np.random.Generator) -> Heart:
    count = len(rate)
    stroke = stroke_index * body_surface_area(at["height"], at["weight"])
    ejection = ejection_seconds(rate, at["male"], stroke_index) + 0.008 * rng.standard_normal(count)
    return Heart(
        rate=rate,
        stroke=stroke,
        ejection=np.clip(ejection, 0.15, 0.55 * 60 / rate),
        breathing=rng.uniform(0.15, 0.40, count),
        breathing_phase=rng.uniform(0, 2 * np.pi, count),
        # Breathing sways the young heart most.
        sway=rng.uniform(0.005, 0.05, count) * np.clip(1.5 - at["age"] / 75, 0.3, 1.3),
        jitter=rng.uniform(0.003, 0.015, count),
        stroke_sway=rng.uniform(0.0, 0.05, count),
    )


def _arteries(
    heart: Heart, pressure: np.ndarray, tone: np.ndarray, at: dict[str, np.ndarray], rng: np.random.Generator
) -> Arteries:
    count = len(pressure)
    wall = Wall(at["area_max"], at["p0"], at["p1"])
    velocity = wall.wave_velocity(pressure)
    resistance = (pressure - at["cvp"]) / (heart.stroke * heart.rate / 60)
    length = 0.75 * at["height"]  # cm of aorta that one compliance stands for
    return Arteries(
        resistance=resistance,
        # At its root the aorta is wider and softer than the wall describes it.
        impedance=0.4 * velocity * 100 * BLOOD_DENSITY * MMHG_PER_DYN / wall.area(pressure),
        compliance=wall.area_compliance(pressure) * length + 0.4,
        cvp=at["cvp"],
        # A tightened periphery sends more back.
        reflection=np.clip(at["reflection"] + 0.12 * np.log(resistance) + 0.02 * tone, 0.03, 0.6),
        # The way down the body and back, about its height (Millasseau et al. 2002, Clin Sci 103:371-377).
        delay=0.01 * at["height"] / velocity,
        # Muscular arteries hardly age; a clip presses on them, more or less.
        finger=Wall(
            np.ones(count),
            FINGER_P0 + 2.0 * rng.standard_normal(count),
            FINGER_P1 * np.exp(0.03 * rng.standard_normal(count)),
        ),
        smoothing=0.08 * np.exp(0.1 * rng.standard_normal(count)),
    )
