"""The embedded default data: synthetic polysomnograms written as Sleep-EDF writes real ones.

They pass through the real reader. Nothing measured on them speaks about people.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from .config import EMG_KINDS
from .hypnogram import runs_of_stages, write_annotated_stages
from .rates import envelope
from .synthetic_night import draw_sleeper, draw_states, score
from .synthetic_signals import CHANNELS, RATE, draw_signals

EPOCH_SECONDS = 30
_START = datetime(1989, 4, 24, 22, 30, 0)
# Microvolts that the recorder of each channel can hold.
_RANGES = dict(zip(CHANNELS, (400.0, 400.0, 800.0, 250.0), strict=True))
_UNSCORED_EPOCHS = 2


def write_synthetic_dataset(
    folder: Path | str,
    subjects: int = 12,
    hours: float = 2.5,
    seed: int = 0,
    *,
    nights: int = 1,
    emg: str = "raw",
    record_seconds: int = 30,
) -> list[Path]:
    """Write one pair of EDF files for each night of each subject.

    Parameters
    ----------
    folder : path
        Made where it does not exist.
    subjects : int
        1 to 100.
    hours : float
        Length of each night, 1 to 12.
    seed : int
        The same seed gives the same bytes; subject s is the same person whatever their number.
    nights : int
        Nights of each subject, 1 to 9.
    emg : str
        "raw" at 100 Hz, or "envelope" at 1 Hz as in the Sleep-EDF cassette files.
    record_seconds : int
        Length of an EDF data record, 1 to 60 (Sleep-EDF has 30 and 60).

    Returns
    -------
    list of pathlib.Path
        The PSG files, `SC4ssNE0-PSG.edf`; beside each lies its `SC4ssNEC-Hypnogram.edf`.

    Raises
    ------
    ConfigError
        When a number is out of range.
    """
    _check("subjects", subjects, 1, 100)
    _check("hours", hours, 1, 12)
    _check("nights", nights, 1, 9)
    _check("record_seconds", record_seconds, 1, 60)
    if emg not in EMG_KINDS:
        raise ConfigError(f"emg must be one of {list(EMG_KINDS)}, got {emg!r}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Whole epochs and whole data records.
    seconds = int(hours * 3600) // np.lcm(EPOCH_SECONDS, record_seconds) * np.lcm(EPOCH_SECONDS, record_seconds)
    paths = []
    for subject in range(subjects):
        sleeper = draw_sleeper(np.random.default_rng((seed, subject)))
        for night in range(1, nights + 1):
            rng = np.random.default_rng((seed, subject, night))
            states = draw_states(rng, sleeper, int(seconds))
            labels = score(rng, states, EPOCH_SECONDS)
            stem = folder / f"SC4{subject:02d}{night}E"
            path = stem.with_name(stem.name + "0-PSG.edf")
            _write_signals(path, draw_signals(rng, sleeper, states), emg, record_seconds)
            _write_stages(stem.with_name(stem.name + "C-Hypnogram.edf"), labels, rng)
            paths.append(path)
    return paths


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} must lie between {low} and {high}, got {value}")


def _write_signals(path: Path, signals: dict[str, np.ndarray], emg: str, record_seconds: int) -> None:
    import edfio

    entries = []
    for name, samples in signals.items():
        rate = RATE
        if name == "EMG submental" and emg == "envelope":
            samples, rate = envelope(samples, RATE), 1
        limit = _RANGES[name]
        entries.append(
            edfio.EdfSignal(
                np.clip(samples, -limit, limit),
                rate,
                label=name,
                physical_dimension="uV",
                physical_range=(-limit, limit),
                digital_range=(-2048, 2047),
                transducer_type="synthetic",
            )
        )
    edfio.Edf(
        entries,
        recording=edfio.Recording(startdate=_START.date(), equipment_code="thumbnet"),
        starttime=_START.time(),
        data_record_duration=record_seconds,
    ).write(path)


def _write_stages(path: Path, labels: np.ndarray, rng: np.random.Generator) -> None:
    """Write the scorer's stages; the last epochs stay unscored, as at the end of real nights."""
    onsets, durations, texts = runs_of_stages(labels[:-_UNSCORED_EPOCHS])
    # A scorer's only reason here to name no stage is movement.
    texts = ["Movement time" if text == "Sleep stage ?" else text for text in texts]
    off, on = _lights(labels[:-_UNSCORED_EPOCHS], rng)
    write_annotated_stages(
        path,
        [off, *onsets, onsets[-1] + durations[-1], on],
        [0.0, *durations, _UNSCORED_EPOCHS * EPOCH_SECONDS, 0.0],
        ["Lights off", *texts, "Sleep stage ?", "Lights on"],
        _START,
    )


def _lights(labels: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Seconds at which the sleeper puts the light out, minutes before sleep, and on again, minutes after it."""
    asleep = np.flatnonzero(labels > 0)
    first, last = (asleep[0], asleep[-1] + 1) if len(asleep) else (0, len(labels))
    off = max(0, first - int(rng.integers(4, 20)))
    on = min(len(labels), last + int(rng.integers(1, 8)))
    return float(off * EPOCH_SECONDS), float(on * EPOCH_SECONDS)
