"""The six excerpts of the DREAMS sleep spindles database as EDF files, so that the product's own reader reads them.

Signals are text in microvolts with a heading, at 50, 100 or 200 Hz; hypnograms are text of one code per 5 s. Licence:
CC BY-NC-ND 3.0 (only figures leave this machine). https://zenodo.org/records/2650142
"""

from __future__ import annotations

from pathlib import Path

import edfio
import numpy as np

RATES = {1: 100, 2: 200, 3: 50, 5: 200, 6: 200, 7: 200}
SECONDS_PER_CODE = 5
RECORD_SECONDS = 30


def read_excerpt(folder: Path, number: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Return the channel's name, its samples in microvolts and the codes of the hypnogram."""
    lines = (folder / f"excerpt{number}.txt").read_text().split()
    codes = (folder / f"Hypnogram_excerpt{number}.txt").read_text().split()
    return lines[0].strip("[]"), np.array(lines[1:], float), np.array(codes[1:], float)


def write_as_edf(folder: Path, output: Path, numbers=tuple(RATES)) -> Path:
    """Write the excerpts as EDF files with a channel of codes; returns the folder."""
    output.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        name, samples, codes = read_excerpt(folder, number)
        rate = RATES[number]
        seconds = min(len(samples) // rate, len(codes) * SECONDS_PER_CODE) // RECORD_SECONDS * RECORD_SECONDS
        signals = [
            edfio.EdfSignal(samples[: seconds * rate], rate, label=name, physical_dimension="uV"),
            edfio.EdfSignal(
                codes[: seconds // SECONDS_PER_CODE],
                1 / SECONDS_PER_CODE,
                label="hypnogram",
                physical_range=(0, 5),
                digital_range=(0, 5),
            ),
        ]
        edfio.Edf(signals, data_record_duration=RECORD_SECONDS).write(output / f"excerpt{number}.edf")
    return output
