"""One recording through MNE: channels by role, each at its own rate, cut into scored epochs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..epochs import EpochSet
from ..errors import ChannelError, HypnogramError, RecordingError
from .config import UNITS_IN_MICROVOLTS, SignalConfig, is_emg
from .edf_header import ANNOTATIONS_LABEL, EdfHeader, EdfSignal, read_edf_header
from .filters import apply_steps
from .hypnogram import Hypnogram, near_sleep, read_annotated_stages, read_text_stages, stages_from_codes
from .quiet_mne import quiet_mne
from .rates import envelope, hold, resample
from .stages import DROPPED

SLOW_HZ = 10.0
"""A channel sampled slower than this is a trend or an envelope: its samples are held, not interpolated."""

_MNE_SCALED_UNITS = ("uV", "µV", "μV", "\x83\xcaV", "mV")
"""Units that MNE turns into volts; samples of any other unit come as they are in the file."""


@dataclass(frozen=True)
class _Source:
    """Where the samples of one role come from: one channel, or the difference of two."""

    role: str
    plus: EdfSignal
    minus: EdfSignal | None = None

    @property
    def signals(self) -> tuple[EdfSignal, ...]:
        return (self.plus,) if self.minus is None else (self.plus, self.minus)


def read_recording(
    path: Path | str,
    hypnogram: Path | str | None = None,
    config: SignalConfig | None = None,
    *,
    subject: str | None = None,
    recording: str | None = None,
    scored: bool = True,
) -> EpochSet:
    """Read one EDF recording into epochs.

    Channels are read apart at their own rates. Those slower than `SLOW_HZ` are held: each output sample is
    the latest input sample, never a later one. Others pass a polyphase resampling filter of zero phase, which
    a device can only do with a delay of about ten input samples.

    Parameters
    ----------
    path : path
        The polysomnogram (.edf).
    hypnogram : path, optional
        Its hypnogram file (EDF+ annotations), where the stages are apart.
    config : SignalConfig, optional
        What to read; Sleep-EDF's channels and a raw EMG by default.
    subject, recording : str, optional
        The person and the identifier of the recording; the file's stem by default.
    scored : bool
        True: only scored epochs, at most `wake_minutes` away from sleep. False: every whole epoch from the
        start, all labels `DROPPED`, no hypnogram needed.

    Returns
    -------
    EpochSet
        Signals in microvolts; `notes` says what was done to them and how many epochs were left out.

    Raises
    ------
    RecordingError
        The file is missing, truncated or no continuous EDF.
    ChannelError
        A channel is missing, has no rate or no unit, is NaN or flat.
    HypnogramError
        There is no hypnogram, or it does not fit the signal.
    """
    night = read_night(path, hypnogram, config, subject=subject, recording=recording, scored=scored)
    return night.epochs.take(night.kept)


@dataclass(frozen=True)
class Night:
    """One recording: the epochs to learn from, and those in bed, which sleep statistics need without gaps.

    Attributes
    ----------
    epochs : EpochSet
        Both kinds in time order; an epoch in bed may have the label `DROPPED`.
    kept : numpy.ndarray
        bool, shape (N,): the epochs to learn from.
    lights_off, lights_on : float or None
        Seconds from the start of the recording; None where nobody noted them.
    """

    epochs: EpochSet
    kept: np.ndarray
    lights_off: float | None
    lights_on: float | None


def read_night(
    path: Path | str,
    hypnogram: Path | str | None = None,
    config: SignalConfig | None = None,
    *,
    subject: str | None = None,
    recording: str | None = None,
    scored: bool = True,
    lights_off: str | None = None,
) -> Night:
    """Read one EDF recording into epochs, with those between lights off and lights on where both are known.

    Parameters and errors are those of :func:`read_recording`; `lights_off` is a clock time ("23:40:00") that a
    table of the data set gives, used where the recording's annotations say nothing.
    """
    path = Path(path)
    config = config or SignalConfig(emg="raw")
    header = _checked_header(path, config)
    sources = [_find_source(header, role, names) for role, names in config.channels.items()]
    stages = _find_stages(header, hypnogram, config) if scored else _unscored(header, config)
    if stages.lights_off is None and lights_off is not None:
        stages = replace(stages, lights_off=_seconds_to(lights_off, header))
    kept, tally = _choose_epochs(stages, header, config, scored)
    chosen = np.union1d(kept, _in_bed(stages, header)).astype(np.int64)
    samples = _read_samples(path, [signal for source in sources for signal in source.signals])
    onsets = stages.onsets[chosen]
    signals = np.empty((len(chosen), len(sources), config.samples), dtype=np.float32)
    notes = [header.note] if header.note else []
    for row, source in enumerate(sources):
        signal, done = _prepare(source, samples, config, path)
        signals[:, row] = _cut(signal, onsets, config)
        _check_samples(signals[:, row], source, path)
        notes += done
    stem = path.stem
    epochs = EpochSet(
        signals=signals,
        labels=stages.labels[chosen],
        subjects=np.full(len(chosen), subject or stem),
        recordings=np.full(len(chosen), recording or stem),
        onsets=onsets,
        channels=tuple(config.channels),
        rate=float(config.rate),
        notes=(*notes, f"{recording or stem}: {tally}"),
    )
    return Night(epochs, np.isin(chosen, kept), stages.lights_off, stages.lights_on)


def _seconds_to(clock: str, header: EdfHeader) -> float | None:
    """Seconds from the start of a recording to the next time that a clock shows this."""
    if header.start is None:
        return None
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    start = header.start.hour * 3600 + header.start.minute * 60 + header.start.second
    return float((hours * 3600 + minutes * 60 + seconds - start) % 86_400)


def _in_bed(stages: Hypnogram, header: EdfHeader) -> np.ndarray:
    """Indices of the whole epochs between lights off and lights on; none where either is not known."""
    if stages.lights_off is None or stages.lights_on is None:
        return np.zeros(0, np.int64)
    ends = stages.onsets + stages.epoch_seconds
    inside = (stages.onsets >= max(0.0, stages.lights_off) - 1e-6) & (ends <= header.seconds + 1e-6)
    return np.flatnonzero(inside & (ends <= stages.lights_on + 1e-6))


def _checked_header(path: Path, config: SignalConfig) -> EdfHeader:
    header = read_edf_header(path)
    if not header.continuous:
        raise RecordingError(f"{path.name}: must be a continuous recording, got a discontinuous one (EDF+D)")
    if header.record_seconds > 0 and header.seconds < config.epoch_seconds:
        raise RecordingError(f"{path.name}: lasts {header.seconds:g} s, one epoch needs {config.epoch_seconds:g} s")
    return header


def _find_source(header: EdfHeader, role: str, names: tuple[str, ...]) -> _Source:
    for name in names:
        terms = [header.find(name)]
        if terms[0] is None and " - " in name:
            terms = [header.find(term.strip()) for term in name.split(" - ", 1)]
        if None in terms:
            continue
        for signal in terms:
            signal.check_usable(header.path)
        if len({signal.rate for signal in terms}) > 1:
            raise ChannelError(f"{header.path.name}: {name!r} must be of two channels with one sampling rate")
        return _Source(role, *terms)
    raise ChannelError(
        f"{header.path.name}: channel {role!r} must be one of {list(names)}, the file has {list(header.labels)}"
    )


def _find_stages(header: EdfHeader, hypnogram: Path | str | None, config: SignalConfig) -> Hypnogram:
    """Take the stages from the first source that the configuration allows and the recording has."""
    name = header.path.name
    allowed = ("file", "channel", "annotations") if config.hypnogram == "auto" else (config.hypnogram,)
    if "file" in allowed and hypnogram is not None and Path(hypnogram).suffix.lower() != ".edf":
        path = Path(hypnogram)
        return read_text_stages(path, config.hypnogram_codes, config.hypnogram_seconds, config.epoch_seconds)
    if "file" in allowed and hypnogram is not None:
        return read_annotated_stages(Path(hypnogram), header, config.epoch_seconds)
    channel = config.hypnogram_channel
    if "channel" in allowed and channel is not None and header.find(channel) is not None:
        return _read_codes(header, header.find(channel), config)
    if "annotations" in allowed and any(s.label == ANNOTATIONS_LABEL for s in header.signals):
        return read_annotated_stages(header.path, None, config.epoch_seconds)
    sought = {
        "file": "a hypnogram file beside it",
        "channel": f"a channel {channel!r}" if channel else "a channel of codes (signals.hypnogram_channel)",
        "annotations": "annotations of its own",
    }
    raise HypnogramError(f"{name}: no hypnogram, looked for {' and '.join(sought[way] for way in allowed)}")


def _read_codes(header: EdfHeader, signal: EdfSignal, config: SignalConfig) -> Hypnogram:
    signal.check_usable(header.path)
    codes = _read_samples(header.path, [signal], volts=False)[signal.label]
    source = f"{header.path.name}: channel {signal.label!r}"
    return stages_from_codes(codes, signal.rate, config.hypnogram_codes, config.epoch_seconds, source)


def _unscored(header: EdfHeader, config: SignalConfig) -> Hypnogram:
    count = int(header.seconds / config.epoch_seconds + 1e-9)
    return Hypnogram(np.full(count, DROPPED), 0.0, config.epoch_seconds)


def _choose_epochs(stages: Hypnogram, header: EdfHeader, config: SignalConfig, scored: bool) -> tuple[np.ndarray, str]:
    """Return the indices of the epochs to keep, and a sentence on the others."""
    inside = (stages.onsets >= 0) & (stages.onsets + stages.epoch_seconds <= header.seconds + 1e-6)
    if not scored:
        return np.flatnonzero(inside), f"{inside.sum()} epochs, not scored"
    _check_span(stages, header)
    near = near_sleep(stages.labels, round(60 * config.wake_minutes / config.epoch_seconds))
    known = stages.labels != DROPPED
    kept = np.flatnonzero(inside & near & known)
    if not len(kept):
        raise HypnogramError(f"{header.path.name}: no epoch of the hypnogram has a stage and a signal")
    return kept, (
        f"{len(kept)} of {len(stages.labels)} epochs kept; {(known & ~near).sum()} wake far from sleep, "
        f"{(~known).sum()} movement, unknown or two stages, {(known & ~inside).sum()} not whole"
    )


def _check_span(stages: Hypnogram, header: EdfHeader) -> None:
    """Refuse a hypnogram that scores more than one epoch outside the signal: it is another recording's."""
    scored = stages.onsets[stages.labels != DROPPED]
    if not len(scored):
        return
    first, last = scored[0], scored[-1] + stages.epoch_seconds
    if first < -stages.epoch_seconds:
        raise HypnogramError(f"{header.path.name}: the hypnogram begins {-first:g} s before the signal")
    if last > header.seconds + stages.epoch_seconds:
        raise HypnogramError(
            f"{header.path.name}: the hypnogram scores {last - header.seconds:g} s past the end of the "
            f"signal ({header.seconds:g} s)"
        )


def _read_samples(path: Path, signals: list[EdfSignal], volts: bool = True) -> dict[str, np.ndarray]:
    """Read each signal at its own rate; in the file's physical unit, or volts where MNE knows the unit.

    MNE brings all channels of one call to the highest rate among them, so each rate gets a call of its own.
    """
    samples = {}
    for rate in {signal.samples_per_record for signal in signals}:
        labels = list(dict.fromkeys(s.label for s in signals if s.samples_per_record == rate))
        with quiet_mne(path) as mne, _named_edf(path) as readable:
            raw = mne.io.read_raw_edf(readable, include=labels, stim_channel=None, encoding="latin1")
            data = raw.get_data(picks=labels)
        samples.update(zip(labels, data, strict=True))
    return samples


@contextmanager
def _named_edf(path: Path) -> Iterator[Path]:
    """Give a name that ends in .edf, without which MNE refuses an EDF file (ISRUC-Sleep's end in .rec)."""
    if path.suffix.lower() == ".edf":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="thumbnet-") as folder:
        alias = Path(folder) / f"{path.stem}.edf"
        try:
            alias.symlink_to(path.resolve())
        except OSError:
            shutil.copyfile(path, alias)
        yield alias


def _microvolts(samples: np.ndarray, signal: EdfSignal, config: SignalConfig, path: Path) -> np.ndarray:
    if signal.unit in _MNE_SCALED_UNITS:
        return samples * 1e6
    unit = signal.unit if signal.unit in UNITS_IN_MICROVOLTS else config.unit
    if unit is None:
        raise ChannelError(
            f"{path.name}: channel {signal.label!r} must be in one of {list(UNITS_IN_MICROVOLTS)} or have "
            f"signals.unit set, got unit {signal.unit!r}"
        )
    return samples * UNITS_IN_MICROVOLTS[unit]


def _prepare(
    source: _Source, samples: dict[str, np.ndarray], config: SignalConfig, path: Path
) -> tuple[np.ndarray, list[str]]:
    """Return the whole channel in microvolts, filtered, at the rate of the epochs, and notes on what that took."""
    signal, notes = _at_converter(source, samples, config, path)
    steps = config.device_steps(source.role)
    return (apply_steps(steps, signal) if steps else signal), notes + config.device_notes(source.role)


def _at_converter(
    source: _Source, samples: dict[str, np.ndarray], config: SignalConfig, path: Path
) -> tuple[np.ndarray, list[str]]:
    """Return the whole channel in microvolts at the converter's rate, and notes on what that took."""
    terms = [_microvolts(samples[signal.label], signal, config, path) for signal in source.signals]
    signal = terms[0] if source.minus is None else terms[0] - terms[1]
    notes = []
    if source.minus is not None:
        notes.append(f"{source.role}: difference of {source.plus.label} and {source.minus.label}")
    if source.plus.unit not in (*_MNE_SCALED_UNITS, *UNITS_IN_MICROVOLTS):
        notes.append(f"{source.role}: unit {source.plus.unit!r} read as {config.unit}")
    rate = Fraction(source.plus.rate).limit_denominator(10_000)
    if is_emg(source.role):
        signal, rate, done = _as_declared(signal, rate, source, config, path)
        notes += done
    wanted = Fraction(config.converter_rate).limit_denominator(10_000)
    if rate == wanted:
        return signal, notes
    if rate < SLOW_HZ:
        notes.append(f"{source.role}: {float(rate):g} Hz held causally at {float(wanted):g} Hz")
        return hold(signal, rate, wanted), notes
    notes.append(f"{source.role}: resampled from {float(rate):g} to {float(wanted):g} Hz (zero phase)")
    return resample(signal, rate, wanted), notes


def read_converter_signals(path: Path | str, config: SignalConfig) -> np.ndarray:
    """Read what the device's converter would see of a recording, before any filter.

    Returns
    -------
    numpy.ndarray
        float64, shape (channels, samples): microvolts at `config.converter_rate`, from the recording's start.

    Raises
    ------
    RecordingError
        As :func:`read_recording`.
    """
    path = Path(path)
    header = _checked_header(path, config)
    sources = [_find_source(header, role, names) for role, names in config.channels.items()]
    samples = _read_samples(path, [signal for source in sources for signal in source.signals])
    rows = [_at_converter(source, samples, config, path)[0] for source in sources]
    shortest = min(len(row) for row in rows)
    return np.stack([row[:shortest] for row in rows])


def _as_declared(
    signal: np.ndarray, rate: Fraction, source: _Source, config: SignalConfig, path: Path
) -> tuple[np.ndarray, Fraction, list[str]]:
    """Bring an EMG to the declared kind; a raw one can become an envelope, not the reverse."""
    slow = rate < SLOW_HZ
    if config.emg == "raw" and slow:
        raise ChannelError(
            f"{path.name}: channel {source.plus.label!r} must be a raw EMG as signals.emg says, "
            f"got an envelope at {float(rate):g} Hz"
        )
    if config.emg == "raw" or slow:
        return signal, rate, []
    return envelope(signal, float(rate)), Fraction(1), [f"{source.role}: envelope made of a raw signal"]


def _cut(signal: np.ndarray, onsets: np.ndarray, config: SignalConfig) -> np.ndarray:
    starts = np.rint(onsets * config.rate).astype(np.int64)
    short = int(starts.max()) + config.samples - len(signal) if len(starts) else 0
    if short > 0:
        # A last second that an envelope leaves open keeps the last value.
        signal = np.concatenate([signal, np.full(short, signal[-1])])
    return signal[starts[:, None] + np.arange(config.samples)]


def _check_samples(signals: np.ndarray, source: _Source, path: Path) -> None:
    place = f"{path.name}: channel {source.plus.label!r}"
    if not np.isfinite(signals).all():
        raise ChannelError(f"{place} must hold finite samples, got NaN or infinite ones")
    if signals.size and np.ptp(signals) == 0:
        raise ChannelError(f"{place} must vary, it is flat at {signals.flat[0]:g} uV in every epoch")
