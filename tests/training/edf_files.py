"""Small EDF files for tests, sound ones and spoilt ones."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import edfio
import numpy as np
from thumbnet.training.sleep.hypnogram import runs_of_stages, write_annotated_stages

START = datetime(1989, 4, 24, 22, 30)
_FIELDS = {"label": (0, 16), "unit": (96, 8), "physical_min": (104, 8), "physical_max": (112, 8)}
_FIELDS |= {"digital_min": (120, 8), "digital_max": (128, 8), "samples": (216, 8)}


def write_edf(path: Path, channels: dict[str, tuple[np.ndarray, float, str]], record_seconds=30, start=START) -> Path:
    """Write {name: (samples, rate, unit)}; the range of each channel is that of its samples."""
    signals = [
        edfio.EdfSignal(
            data,
            rate,
            label=name,
            physical_dimension=unit,
            physical_range=(float(data.min()) - 1, float(data.max()) + 1),
        )
        for name, (data, rate, unit) in channels.items()
    ]
    edfio.Edf(
        signals,
        recording=edfio.Recording(startdate=start.date()),
        starttime=start.time(),
        data_record_duration=record_seconds,
    ).write(path)
    return path


def noise(seconds: int, rate: float = 100, scale: float = 20.0, seed: int = 0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal(int(seconds * rate))


def four_channels(seconds: int, emg_rate: float = 100) -> dict[str, tuple[np.ndarray, float, str]]:
    names = ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal", "EMG submental")
    rates = (100, 100, 100, emg_rate)
    return {
        name: (noise(seconds, rate, seed=i), rate, "uV")
        for i, (name, rate) in enumerate(zip(names, rates, strict=True))
    }


def write_pair(folder: Path, labels, stem="SC4001E", record_seconds=30, emg_rate=100) -> tuple[Path, Path]:
    """Write a Sleep-EDF pair whose hypnogram has these labels."""
    labels = np.asarray(labels)
    psg = write_edf(folder / f"{stem}0-PSG.edf", four_channels(30 * len(labels), emg_rate), record_seconds)
    hypnogram = folder / f"{stem}C-Hypnogram.edf"
    write_annotated_stages(hypnogram, *runs_of_stages(labels))
    return psg, hypnogram


def spoil_field(path: Path, channel: int, field: str, text: str) -> None:
    """Overwrite a header field of one channel."""
    data = bytearray(path.read_bytes())
    count = int(data[252:256])
    offset, width = _FIELDS[field]
    at = 256 + offset * count + width * channel
    data[at : at + width] = text.encode().ljust(width)
    path.write_bytes(bytes(data))


def spoil_header(path: Path, at: int, width: int, text: str) -> None:
    """Overwrite bytes of the fixed header."""
    data = bytearray(path.read_bytes())
    data[at : at + width] = text.encode().ljust(width)
    path.write_bytes(bytes(data))
