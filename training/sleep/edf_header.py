"""The header of an EDF file, checked against the file's size before anything reads its samples.

MNE infers what a broken header leaves open; here a file that contradicts itself is refused in one sentence.
Format: Kemp et al. 1992, Electroenceph. Clin. Neurophysiol. 82:391-393; EDF+: https://www.edfplus.info/specs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from ..errors import ChannelError, RecordingError

ANNOTATIONS_LABEL = "EDF Annotations"
_FIXED_BYTES = 256
_SIGNAL_FIELDS = (
    ("label", 16),
    ("transducer", 80),
    ("unit", 8),
    ("physical_min", 8),
    ("physical_max", 8),
    ("digital_min", 8),
    ("digital_max", 8),
    ("prefilter", 80),
    ("samples", 8),
    ("reserved", 32),
)


@dataclass(frozen=True)
class EdfSignal:
    """One signal as its header declares it; `rate` in samples per second."""

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[float, float]
    samples_per_record: int
    rate: float

    def check_usable(self, path: Path) -> None:
        """Raise ChannelError when no sample of this signal can have a meaning."""
        place = f"{path.name}: channel {self.label!r}"
        if self.rate <= 0:
            raise ChannelError(f"{place} must have a sampling rate above zero, got {self.rate:g} Hz")
        for kind, (low, high) in (("physical", self.physical), ("digital", self.digital)):
            if not np.isfinite([low, high]).all() or low == high:
                raise ChannelError(
                    f"{place} must have a finite {kind} minimum below its maximum, got {low:g} to {high:g}"
                )


@dataclass(frozen=True)
class EdfHeader:
    """What an EDF file says about itself; `records` is what the file really holds.

    Attributes
    ----------
    start : datetime.datetime or None
        Date and time of the first sample; None where the header has no date or an anonymised one.
    record_seconds : float
        Seconds of each data record; 0 in files that hold annotations only.
    note : str
        A sentence when the declared number of records is not the real one, else "".
    """

    path: Path
    start: datetime | None
    records: int
    record_seconds: float
    signals: tuple[EdfSignal, ...]
    continuous: bool
    note: str

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.records * self.record_seconds

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the signals, annotations left out."""
        return tuple(signal.label for signal in self.signals if signal.label != ANNOTATIONS_LABEL)

    def find(self, label: str) -> EdfSignal | None:
        """Return the signal of that name (upper and lower case alike), or None.

        Raises
        ------
        ChannelError
            When two signals bear the name.
        """
        exact = [signal for signal in self.signals if signal.label == label]
        found = exact or [signal for signal in self.signals if signal.label.lower() == label.lower()]
        if len(found) > 1:
            raise ChannelError(f"{self.path.name}: channel {label!r} must be unique, got {len(found)} of them")
        return found[0] if found else None


def read_edf_header(path: Path) -> EdfHeader:
    """Read and check the header of an EDF or EDF+ file.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    EdfHeader

    Raises
    ------
    RecordingError
        When the file is missing, is no EDF, contradicts itself, or is shorter than its header says.
    """
    if not path.is_file():
        raise RecordingError(f"recording {path} is not a file")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            fixed = file.read(_FIXED_BYTES)
            count = _signal_count(path, fixed, size)
            fields = file.read(_FIXED_BYTES * count)
    except OSError as error:
        raise RecordingError(f"{path.name}: cannot be read ({error.strerror})") from None
    record_seconds = _number(path, fixed[244:252], "seconds per data record")
    if not 0 <= record_seconds < 1e6:
        raise RecordingError(f"{path.name}: seconds per data record must be positive, got {record_seconds:g}")
    signals = _signals(path, fields, count, record_seconds)
    record_bytes = 2 * sum(signal.samples_per_record for signal in signals)
    declared = _whole(path, fixed[236:244], "number of data records")
    records, note = _record_count(path, declared, size - _FIXED_BYTES * (count + 1), record_bytes)
    return EdfHeader(
        path=path,
        start=_start(fixed),
        records=records,
        record_seconds=record_seconds,
        signals=signals,
        continuous=not fixed[192:236].startswith(b"EDF+D"),
        note=note,
    )


def _signal_count(path: Path, fixed: bytes, size: int) -> int:
    if len(fixed) < _FIXED_BYTES:
        raise RecordingError(f"{path.name}: an EDF header has at least 256 bytes, the file has {size}")
    if fixed[:8].strip() != b"0":
        raise RecordingError(f"{path.name}: not an EDF file (version field must be '0', got {fixed[:8]!r})")
    count = _whole(path, fixed[252:256], "number of signals")
    header_bytes = _whole(path, fixed[184:192], "header bytes")
    if count < 1:
        raise RecordingError(f"{path.name}: an EDF file must have at least 1 signal, got {count}")
    if header_bytes != _FIXED_BYTES * (count + 1):
        raise RecordingError(
            f"{path.name}: the header of {count} signals must have {_FIXED_BYTES * (count + 1)} bytes, "
            f"it declares {header_bytes}"
        )
    if size < header_bytes:
        raise RecordingError(
            f"{path.name}: truncated, the header alone needs {header_bytes} bytes and the file has {size}"
        )
    return count


def _number(path: Path, field: bytes, what: str) -> float:
    text = field.decode("latin-1").strip().strip("\0").replace(",", ".")
    try:
        return float(text)
    except ValueError:
        raise RecordingError(f"{path.name}: {what} in the EDF header must be a number, got {text!r}") from None


def _whole(path: Path, field: bytes, what: str) -> int:
    number = _number(path, field, what)
    if not np.isfinite(number) or number != int(number):
        raise RecordingError(f"{path.name}: {what} in the EDF header must be a whole number, got {number:g}")
    return int(number)


def _signals(path: Path, fields: bytes, count: int, record_seconds: float) -> tuple[EdfSignal, ...]:
    columns: dict[str, list[bytes]] = {}
    position = 0
    for name, width in _SIGNAL_FIELDS:
        columns[name] = [fields[position + width * i : position + width * (i + 1)] for i in range(count)]
        position += width * count
    return tuple(
        _signal(path, {name: column[i] for name, column in columns.items()}, record_seconds) for i in range(count)
    )


def _signal(path: Path, row: dict[str, bytes], record_seconds: float) -> EdfSignal:
    label = row["label"].decode("latin-1").strip()
    values = {
        name: _number(path, row[name], f"{name.replace('_', ' ')} of channel {label!r}")
        for name in ("physical_min", "physical_max", "digital_min", "digital_max", "samples")
    }
    samples = values["samples"]
    if not 0 <= samples < 1e8 or samples != int(samples):
        raise RecordingError(
            f"{path.name}: channel {label!r} must have a whole number of samples per record, got {samples:g}"
        )
    return EdfSignal(
        label=label,
        unit=row["unit"].decode("latin-1").strip(),
        physical=(values["physical_min"], values["physical_max"]),
        digital=(values["digital_min"], values["digital_max"]),
        samples_per_record=int(samples),
        rate=samples / record_seconds if record_seconds else 0.0,
    )


def _record_count(path: Path, declared: int, data_bytes: int, record_bytes: int) -> tuple[int, str]:
    found = data_bytes // record_bytes if record_bytes else 0
    if declared > found:
        raise RecordingError(
            f"{path.name}: truncated, the header declares {declared} data records of {record_bytes} bytes "
            f"and the file holds {found}"
        )
    if found < 1:
        raise RecordingError(f"{path.name}: the file holds no data record")
    if declared == found:
        return found, ""
    # A recorder that was not stopped leaves -1; MNE, too, goes by the size.
    return found, f"{path.name}: {found} data records by the file's size, the header declares {declared}"


def _start(fixed: bytes) -> datetime | None:
    text = fixed[168:184].decode("latin-1")
    try:
        start = datetime.strptime(text, "%d.%m.%y%H.%M.%S")
    except ValueError:
        return None
    # 1 January 1985 is what anonymised files carry, whatever the night.
    if (start.year, start.month, start.day) == (1985, 1, 1):
        return None
    # EDF's years run from 1985 to 2084; strptime puts 69 to 99 in the 1900s.
    return start.replace(year=start.year + 100) if start.year < 1985 else start
