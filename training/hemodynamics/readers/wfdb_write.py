"""Write signals as a WFDB record of 16-bit samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

_LARGEST = 32_000
_NOTHING = -32_768  # what WFDB has for a sample that is not there


def write_record(
    path: Path | str, signals: Mapping[str, tuple[np.ndarray, str]], rate: float, comment: str = ""
) -> tuple[Path, Path]:
    """Write a header and a sample file; both appear whole or not at all.

    Parameters
    ----------
    path : path
        Without suffix; its name is that of the record.
    signals : mapping
        Name to samples, shape (n,), and unit; NaN where there is none. Each gets the gain that uses 16 bits well.
    rate : float
        Samples per second.
    comment : str
        One line at the end of the header, such as "Age: 63  Sex: F".

    Returns
    -------
    tuple of pathlib.Path
        Header and sample file.
    """
    path = Path(path)
    lines, columns = [], []
    for name, (samples, unit) in signals.items():
        known = samples[np.isfinite(samples)]
        middle = float(np.round((known.max() + known.min()) / 2)) if len(known) else 0.0
        reach = float(np.abs(known - middle).max()) if len(known) else 0.0
        gain = float(f"{_LARGEST / reach:.6g}") if reach > 0 else 1.0
        baseline = round(-middle * gain)
        counts = np.round(samples * gain + baseline)
        columns.append(np.where(np.isfinite(counts), counts, _NOTHING).astype("<i2"))
        lines.append(f"{path.name}.dat 16 {gain!r}({baseline})/{unit} 16 0 0 0 0 {name}")
    count = len(columns[0])
    text = "\n".join([f"{path.name} {len(columns)} {rate:g} {count}", *lines, *([f"# {comment}"] if comment else [])])
    header, data = path.with_suffix(".hea"), path.with_suffix(".dat")
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(data, np.stack(columns, axis=1).tobytes())
    _write(header, (text + "\n").encode())
    return header, data


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(content)
    beside.replace(path)
