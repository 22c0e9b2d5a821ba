"""One recording through MNE: channels by role, each at its own rate, cut into scored epochs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..epochs import EpochSet
from ..errors import ChannelError, HypnogramError, RecordingError
from .config import UNITS_IN_MICROVOLTS, SignalConfig, is_emg
from .edf_header import ANNOTATIONS_LABEL, EdfHeader, EdfSignal, read_edf_header
from .hypnogram import Hypnogram, near_sleep, read_annotated_stages, stages_from_codes
from .quiet_mne import quiet_mne
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
    path = Path(path)
    config = config or SignalConfig(emg="raw")
    header = _checked_header(path, config)
    sources = [_find_source(header, role, names) for role, names in config.channels.items()]
    stages = _find_stages(header, hypnogram, config) if scored else _unscored(header, config)
    kept, tally = _choose_epochs(stages, header, config, scored)
    samples = _read_samples(path, [signal for source in sources for signal in source.signals])
    onsets = stages.onsets[kept]
    signals = np.empty((len(kept), len(sources), config.samples), dtype=np.float32)
    notes = [header.note] if header.note else []
    for row, source in enumerate(sources):
        signal, done = _prepare(source, samples, config, path)
        signals[:, row] = _cut(signal, onsets, config)
        _check_samples(signals[:, row], source, path)
        notes += done
    stem = path.stem
    return EpochSet(
        signals=signals,
        labels=stages.labels[kept],
        subjects=np.full(len(kept), subject or stem),
        recordings=np.full(len(kept), recording or stem),
        onsets=onsets,
        channels=tuple(config.channels),
        rate=float(config.rate),
        notes=(*notes, f"{recording or stem}: {tally}"),
    )


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
        with quiet_mne(path) as mne:
            raw = mne.io.read_raw_edf(path, include=labels, stim_channel=None, encoding="latin1")
            data = raw.get_data(picks=labels)
        samples.update(zip(labels, data, strict=True))
    return samples


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
    """Return the whole channel in microvolts at the wanted rate, and notes on what that took."""
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
    wanted = Fraction(config.rate).limit_denominator(10_000)
    if rate == wanted:
        return signal, notes
    if rate < SLOW_HZ:
        notes.append(f"{source.role}: {float(rate):g} Hz held causally at {config.rate:g} Hz")
        return hold(signal, rate, wanted), notes
    notes.append(f"{source.role}: resampled from {float(rate):g} to {config.rate:g} Hz (zero phase)")
    return _resample(signal, rate, wanted), notes


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


def hold(signal: np.ndarray, rate: Fraction, wanted: Fraction) -> np.ndarray:
    """Repeat each sample until the next one comes (zero-order hold): no output looks ahead.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,) at `rate`.
    rate, wanted : fractions.Fraction
        Samples per second, exact, so that hours of a night do not drift.

    Returns
    -------
    numpy.ndarray
        At `wanted`; sample n is `signal[floor(n * rate / wanted)]`.
    """
    step = rate / wanted
    count = len(signal) * step.denominator // step.numerator
    return signal[np.arange(count, dtype=np.int64) * step.numerator // step.denominator]


def envelope(signal: np.ndarray, rate: float) -> np.ndarray:
    """Return the RMS of an EMG about its mean over each past second, at 1 Hz.

    Sample k speaks of the second before it, so that it is known when it is held; the first, before which
    there is nothing, of its own second.
    """
    seconds = int(len(signal) / rate)
    edges = np.rint(np.arange(seconds + 1) * rate).astype(np.int64)
    sizes = np.diff(edges)
    mean = np.add.reduceat(signal, edges[:-1])[:seconds]
    power = np.add.reduceat(signal**2, edges[:-1])[:seconds]
    if edges[-1] < len(signal):
        mean[-1] -= signal[edges[-1] :].sum()
        power[-1] -= (signal[edges[-1] :] ** 2).sum()
    rms = np.sqrt(np.maximum(power / sizes - (mean / sizes) ** 2, 0))
    return np.concatenate([rms[:1], rms[:-1]])


def _resample(signal: np.ndarray, rate: Fraction, wanted: Fraction) -> np.ndarray:
    from scipy.signal import resample_poly

    ratio = (wanted / rate).limit_denominator(10_000)
    return resample_poly(signal, ratio.numerator, ratio.denominator)


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
