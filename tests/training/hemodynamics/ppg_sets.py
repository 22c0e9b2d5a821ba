"""Small sets of windows and recordings for the tests of hemodynamics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from thumbnet.training.hemodynamics.circulation import Waves, simulate
from thumbnet.training.hemodynamics.population import draw_people, draw_states
from thumbnet.training.hemodynamics.windowset import PpgWindows


def small_set(
    subjects: list[str], onsets: list[float], labels: np.ndarray | None = None, tasks=("SBP", "DBP"), people=None,
    records: list[str] | None = None,
) -> PpgWindows:  # fmt: skip
    """Windows whose signals are only numbered."""
    count = len(subjects)
    return PpgWindows(
        signals=np.tile(np.arange(count, dtype=np.float32)[:, None], (1, 1250)),
        labels=np.zeros((count, len(tasks))) if labels is None else np.asarray(labels, float),
        tasks=tuple(tasks),
        subjects=np.array(subjects),
        records=np.array(records or subjects),
        onsets=np.array(onsets, float),
        people=np.full((count, 4), np.nan) if people is None else np.asarray(people, float),
        name="small",
    )


def circulation_waves(count: int, seconds: float, rate: float, seed: int = 0) -> Waves:
    """Pressure and finger volume of some persons at rest."""
    rng = np.random.default_rng(seed)
    states = draw_states(draw_people(count, rng), 1, rng)
    return simulate(states.heart, states.arteries, seconds, rate, rng)


def write_wfdb(
    path: Path, signals: dict[str, np.ndarray], rate: float, fmt: str = "16", comments: str = "", gain: float = 50.0
) -> None:
    """Write one segment, all signals interleaved in one file."""
    names = list(signals)
    counts = np.stack([np.round(np.asarray(signals[name]) * gain) for name in names], axis=1)
    limit = {"16": 32767, "212": 2047, "80": 127}[fmt]
    whole = np.where(np.isfinite(counts), np.clip(counts, -limit, limit), -limit - 1).astype(np.int64)
    flat = whole.reshape(-1)
    if fmt == "16":
        raw = flat.astype("<i2").tobytes()
    elif fmt == "80":
        raw = (flat + 128).astype(np.uint8).tobytes()
    else:
        flat = np.append(flat, 0) if len(flat) % 2 else flat
        first, second = flat[::2] & 0xFFF, flat[1::2] & 0xFFF
        raw = np.stack([first & 0xFF, first >> 8 | second >> 8 << 4, second & 0xFF], axis=1).astype(np.uint8).tobytes()
    path.with_suffix(".dat").write_bytes(raw)
    units = {"PLETH": "NU"}
    lines = [f"{path.stem} {len(names)} {rate:g} {len(counts)}"]
    lines += [f"{path.stem}.dat {fmt} {gain:g}(0)/{units.get(name, 'mmHg')} 16 0 0 0 0 {name}" for name in names]
    path.with_suffix(".hea").write_text("\n".join(lines + ([f"# {comments}"] if comments else [])) + "\n")
