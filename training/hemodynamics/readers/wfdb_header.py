"""Headers and sample files of WFDB records (Moody, WFDB Applications Guide, header(5) and signal(5)).

Single-segment and multi-segment records, signals in the formats 16, 24, 32, 61, 80 and 212: what MIMIC's waveform
databases and most others use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import RecordingError

FORMATS = {"16": "<i2", "61": ">i2", "32": "<i4", "80": "u1", "24": "u1", "212": "u1"}
_BITS = {"16": 16, "61": 16, "32": 32, "80": 8, "24": 24, "212": 12}
_FORMAT = re.compile(r"^(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?$")
_GAIN = re.compile(r"^([-+0-9.eE]+)(?:\((-?\d+)\))?(?:/(\S+))?$")
_DEFAULT_GAIN = 200.0


@dataclass(frozen=True)
class Signal:
    """One line of a header: where its samples are and what they mean.

    Attributes
    ----------
    file : str
        Name of the sample file.
    format : str
        One of `FORMATS`.
    offset : int
        Bytes before the first sample.
    gain, baseline : float
        Counts per unit, and the count of 0 units.
    units, name : str
        "mmHg", "ABP".
    """

    file: str
    format: str
    offset: int
    gain: float
    baseline: float
    units: str
    name: str


@dataclass(frozen=True)
class Header:
    """A header file.

    Attributes
    ----------
    name : str
        Of the record.
    rate : float
        Frames per second.
    samples : int
        Of each signal; 0 where the header does not say.
    signals : tuple of Signal
        Empty in a multi-segment record.
    segments : tuple of (str, int)
        Names and lengths of the segments of a multi-segment record, gaps as "~".
    comments : tuple of str
        Without the #.
    """

    name: str
    rate: float
    samples: int
    signals: tuple[Signal, ...]
    segments: tuple[tuple[str, int], ...]
    comments: tuple[str, ...]


def read_header(path: Path) -> Header:
    """Read a `.hea` file.

    Raises
    ------
    RecordingError
        When it is missing, no header, or of a kind that is not read.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from None
    comments = tuple(line.lstrip("# ").rstrip() for line in lines if line.startswith("#"))
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    try:
        name, _, segments = rows[0][0].partition("/")
        count = int(rows[0][1])
        rate = float(rows[0][2].split("/")[0].split("(")[0]) if len(rows[0]) > 2 else 250.0
        samples = int(rows[0][3]) if len(rows[0]) > 3 else 0
        if segments:
            parts = tuple((row[0], int(row[1])) for row in rows[1 : 1 + int(segments)])
            return Header(name, rate, samples, (), parts, comments)
        signals = tuple(_signal(row, path) for row in rows[1 : 1 + count])
        if len(signals) != count or rate <= 0:
            raise ValueError(f"{count} signals announced, {len(signals)} described")
    except (IndexError, ValueError) as error:
        raise RecordingError(f"{path} is no WFDB header ({error})") from None
    return Header(name, rate, samples, signals, (), comments)


def _signal(row: list[str], path: Path) -> Signal:
    match = _FORMAT.match(row[1])
    if match is None or match.group(1) not in FORMATS or int(match.group(2) or 1) != 1:
        raise RecordingError(
            f"{path}: signals must have one sample a frame in a format of {sorted(FORMATS, key=int)}, got {row[1]!r}"
        )
    gain = _GAIN.match(row[2]) if len(row) > 2 else None
    zero = float(row[4]) if len(row) > 4 else 0.0
    worth = float(gain.group(1)) if gain else 0.0
    return Signal(
        file=row[0],
        format=match.group(1),
        offset=int(match.group(4) or 0),
        gain=worth or _DEFAULT_GAIN,
        baseline=float(gain.group(2)) if gain and gain.group(2) else zero,
        units=(gain.group(3) or "") if gain else "",
        name=" ".join(row[8:]) if len(row) > 8 else "",
    )


def read_signals(header: Header, folder: Path, wanted: list[int]) -> np.ndarray:
    """Read signals of a single-segment record in their units.

    Parameters
    ----------
    header : Header
        Of one segment.
    folder : pathlib.Path
        Where its sample files are.
    wanted : list of int
        Which signals.

    Returns
    -------
    numpy.ndarray
        float64, shape (len(wanted), samples); NaN where the recorder had no sample.

    Raises
    ------
    RecordingError
        When a sample file is missing or too short.
    """
    rows = []
    for index in wanted:
        signal = header.signals[index]
        together = [i for i, other in enumerate(header.signals) if other.file == signal.file]
        counts = _counts(folder / signal.file, signal)
        whole = len(counts) // len(together)
        if whole < max(header.samples, 1):
            wanted_count = header.samples or "some"
            raise RecordingError(f"{folder / signal.file} must hold {wanted_count} samples a signal, got {whole}")
        counts = counts[: whole * len(together)]
        column = counts.reshape(-1, len(together))[:, together.index(index)]
        column = column[: header.samples or None]
        invalid = column == -(1 << (_BITS[signal.format] - 1))
        rows.append(np.where(invalid, np.nan, (column - signal.baseline) / signal.gain))
    # Files may differ in length where the header does not say it.
    return np.stack([row[: min(map(len, rows))] for row in rows])


def _counts(path: Path, signal: Signal) -> np.ndarray:
    try:
        raw = path.read_bytes()[signal.offset :]
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from None
    if signal.format == "212":
        return _unpack_212(np.frombuffer(raw[: len(raw) // 3 * 3], np.uint8).reshape(-1, 3).astype(np.int64))
    if signal.format == "24":
        parts = np.frombuffer(raw[: len(raw) // 3 * 3], np.uint8).reshape(-1, 3).astype(np.int64)
        value = parts[:, 0] | parts[:, 1] << 8 | parts[:, 2] << 16
        return np.where(value >= 1 << 23, value - (1 << 24), value)
    width = np.dtype(FORMATS[signal.format]).itemsize
    values = np.frombuffer(raw[: len(raw) // width * width], FORMATS[signal.format]).astype(np.int64)
    return values - 128 if signal.format == "80" else values


def _unpack_212(triples: np.ndarray) -> np.ndarray:
    """Two samples of 12 bits in each three bytes."""
    first = triples[:, 0] | (triples[:, 1] & 0x0F) << 8
    second = triples[:, 2] | (triples[:, 1] & 0xF0) << 4
    values = np.stack([first, second], axis=1).reshape(-1)
    return np.where(values >= 1 << 11, values - (1 << 12), values)
