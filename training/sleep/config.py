"""What to read from a recording and how, as a recipe's [signals] table says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import ConfigError
from .filters import (
    ChannelFilters,
    Converter,
    Step,
    check_rates,
    design_steps,
    filters_of,
    kind_of,
    ratio_of,
    read_converter,
    read_filters,
)
from .stages import code_map

SLEEP_EDF_CHANNELS: Mapping[str, tuple[str, ...]] = {
    "EEG Fpz-Cz": ("EEG Fpz-Cz",),
    "EEG Pz-Oz": ("EEG Pz-Oz",),
    "EOG": ("EOG horizontal",),
    "EMG": ("EMG submental",),
}
"""The four channels of ULW-SleepNet, by role, with their names in Sleep-EDF."""

EMG_KINDS = ("raw", "envelope")
SUBJECT_RULES = ("name", "folder")
HYPNOGRAM_SOURCES = ("auto", "file", "annotations", "channel")
UNITS_IN_MICROVOLTS = {"nV": 1e-3, "uV": 1.0, "µV": 1.0, "μV": 1.0, "mV": 1e3, "V": 1e6}


@dataclass(frozen=True)
class SignalConfig:
    """What to read from a recording and how.

    Attributes
    ----------
    channels : mapping of str to tuple of str
        Role of each channel, in the order the network takes them, to its names: the first that the file has
        is read. A name "A - B" that no channel bears is the difference of the channels A and B. A role that
        begins with "EMG" is an electromyogram.
    rate : float
        Samples per second of the epochs; other rates are resampled.
    emg : str or None
        "raw" or "envelope"; must be declared when a role is an EMG. A raw channel becomes an envelope where
        that is declared; an envelope can never become raw.
    unit : str or None
        Unit of channels whose header names no voltage ("uV", "mV", "V", "nV"); None refuses such channels.
    hypnogram : str
        Where the stages come from: "file" (a paired hypnogram file), "annotations" (in the recording itself),
        "channel" (a signal of codes), or "auto": the first of these that is there.
    hypnogram_channel : str or None
        Name of the signal of codes.
    hypnogram_codes : mapping of int to int
        Label of each code of that signal; -1 drops it.
    wake_minutes : float
        Minutes of wake kept before and after sleep.
    epoch_seconds : float
        Length of an epoch.
    recordings : str
        Pattern of the names of recordings, `*` and `?` as in a shell: "*.rec" in ISRUC-Sleep.
    hypnogram_file : str or None
        Name of the hypnogram beside a recording, `{stem}` standing for the recording's name: "{stem}_1.txt" in
        ISRUC-Sleep. A file that is no EDF holds one code per line. None: the pairs of Sleep-EDF.
    hypnogram_seconds : float
        Seconds that each code of a text file speaks of.
    subjects : str
        Who a recording is of: "name" (its file name; in Sleep-EDF the first letters) or "folder" (the folder it
        lies in, one per person).
    filters : mapping of str to ChannelFilters
        Causal filters by role or kind of channel (EEG, EOG, EMG), run over the whole recording at the rate of
        the converter.
    converter : Converter or None
        Of the device. Recordings are brought to its rate first; what comes after is what the device computes.
        None where nothing is declared: with `filters`, 16 bits of 0.1 uV at `rate`.
    """

    channels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(SLEEP_EDF_CHANNELS))
    rate: float = 100.0
    emg: str | None = None
    unit: str | None = None
    hypnogram: str = "auto"
    hypnogram_channel: str | None = None
    hypnogram_codes: Mapping[int, int] = field(default_factory=dict)
    wake_minutes: float = 30.0
    epoch_seconds: float = 30.0
    recordings: str = "*.edf"
    hypnogram_file: str | None = None
    hypnogram_seconds: float = 30.0
    subjects: str = "name"
    filters: Mapping[str, ChannelFilters] = field(default_factory=dict)
    converter: Converter | None = None

    def __post_init__(self):
        if not self.channels:
            raise ConfigError("signals.channels must name at least one channel, got none")
        _check_positive("rate", self.rate, zero_allowed=False)
        _check_positive("epoch_seconds", self.epoch_seconds, zero_allowed=False)
        _check_positive("wake_minutes", self.wake_minutes, zero_allowed=True)
        _check_positive("hypnogram_seconds", self.hypnogram_seconds, zero_allowed=False)
        if abs(self.samples - self.rate * self.epoch_seconds) > 1e-9:
            raise ConfigError(
                f"signals.rate times signals.epoch_seconds must be a whole number of samples, "
                f"got {self.rate:g} x {self.epoch_seconds:g}"
            )
        if any(is_emg(role) for role in self.channels) or self.emg is not None:
            _check_option("emg", self.emg, EMG_KINDS)
        if self.unit is not None:
            _check_option("unit", self.unit, tuple(UNITS_IN_MICROVOLTS))
        _check_option("hypnogram", self.hypnogram, HYPNOGRAM_SOURCES)
        if self.hypnogram == "channel" and self.hypnogram_channel is None:
            raise ConfigError("signals.hypnogram_channel must name the signal of codes, got none")
        _check_option("subjects", self.subjects, SUBJECT_RULES)
        if not self.recordings or "/" in self.recordings:
            raise ConfigError(f"signals.recordings must be a pattern of file names, got {self.recordings!r}")
        if self.hypnogram_file is not None and "{stem}" not in self.hypnogram_file:
            raise ConfigError(f"signals.hypnogram_file must contain {{stem}}, got {self.hypnogram_file!r}")
        if self.hypnogram_channel is not None and not self.hypnogram_codes:
            raise ConfigError('signals.hypnogram_codes must map codes to stages (5 = "W", ...), got none')
        check_rates(self.filters, self.converter_rate, self.rate)

    @property
    def samples(self) -> int:
        """Samples of one epoch."""
        return round(self.rate * self.epoch_seconds)

    @property
    def device_converter(self) -> Converter | None:
        """The converter in front of declared preprocessing; None where the recipe declares none."""
        return self.converter or (Converter() if self.filters else None)

    @property
    def converter_rate(self) -> float:
        """Samples per second at which filters run."""
        return self.rate if self.converter is None else self.converter.rate or self.rate

    def device_steps(self, role: str) -> list[Step]:
        """Causal steps of a channel from the converter's samples to the epochs', see :mod:`.filters`."""
        return design_steps(filters_of(self.filters, role), self.converter_rate, self.rate)

    def device_notes(self, role: str) -> list[str]:
        """What the steps of a channel do, in words."""
        rate, given = self.converter_rate, filters_of(self.filters, role)
        notes = [] if given is None else [f"{role}: {given}, at {rate:g} Hz"]
        up, down = ratio_of(rate, self.rate)
        return notes if up == down else [*notes, f"{role}: resampled from {rate:g} to {self.rate:g} Hz (causal)"]

    def steps(self) -> list[dict[str, Any]]:
        """Return every step from the file to an epoch in microvolts, in order, as JSON values.

        They travel in the bundle; the first, "read", holds all that the reader needs to do the same again.
        """
        channels = {role: list(names) for role, names in self.channels.items()}
        read = {"channels": channels, "rate": self.rate, "emg": self.emg, "unit": self.unit,
                "epoch_seconds": self.epoch_seconds}  # fmt: skip
        if self.filters:
            read["filters"] = {key: given.to_table() for key, given in self.filters.items()}
        if self.converter is not None:
            read["converter"] = self.converter.to_table()
        steps = [{"step": "read", **{key: value for key, value in read.items() if value is not None}}]
        if self.emg == "envelope":
            method = "RMS about the mean of each past second"
            steps.append({"step": "envelope", "channels": [r for r in channels if is_emg(r)], "method": method,
                          "rate": 1.0, "where": "channels that are no envelope yet"})  # fmt: skip
        rate = self.converter_rate
        return [
            *steps,
            {"step": "hold", "rate": rate, "method": "latest sample, causal", "where": "below 10 Hz"},
            {"step": "resample", "rate": rate, "method": "polyphase FIR, zero phase", "where": "other rates"},
            *self._filter_steps(),
            {"step": "epoch", "seconds": self.epoch_seconds, "wake_minutes": self.wake_minutes},
        ]

    def _filter_steps(self) -> list[dict[str, Any]]:
        """What the device computes in front of the network, in words and figures."""
        found: list[dict[str, Any]] = []
        for role in self.channels:
            given = filters_of(self.filters, role)
            if given is not None:
                found.append({"step": "filter", "channel": role, "kind": kind_of(role), **given.to_table(),
                              "rate": self.converter_rate, "method": str(given)})  # fmt: skip
        up, down = ratio_of(self.converter_rate, self.rate)
        if up != down:
            found.append({"step": "resample", "rate": self.rate, "up": up, "down": down,
                          "method": "polyphase FIR, causal", "where": "on the device"})  # fmt: skip
        return found

    def to_table(self) -> dict[str, Any]:
        """Return all settings, defaults spelled out, as JSON values: what decides the content of an epoch."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values["channels"] = {role: list(names) for role, names in self.channels.items()}
        values["hypnogram_codes"] = {str(code): label for code, label in self.hypnogram_codes.items()}
        values["filters"] = {key: given.to_table() for key, given in self.filters.items()}
        values["converter"] = None if self.converter is None else self.converter.to_table()
        return values

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> SignalConfig:
        """Return the configuration that a recipe's [signals] table describes.

        Parameters
        ----------
        table : mapping
            Keys are the attributes above; a channel's names are one string or a list of them, codes map to
            names of stages (W, N1, N2, N3, REM, S1 to S4, R, drop).

        Raises
        ------
        ConfigError
            Names the key, what it allows and what it got.
        """
        known = {entry.name for entry in fields(cls)}
        for key in table:
            if key not in known:
                raise ConfigError(f"signals.{key} is no setting; the settings are {sorted(known)}")
        values = dict(table)
        if "channels" in values:
            values["channels"] = _channel_table(values["channels"])
        if "hypnogram_codes" in values:
            values["hypnogram_codes"] = code_map(_as_table("hypnogram_codes", values["hypnogram_codes"]))
        for key in ("emg", "unit", "hypnogram", "hypnogram_channel", "recordings", "hypnogram_file", "subjects"):
            if key in values and not isinstance(values[key], str):
                raise ConfigError(f"signals.{key} must be a string, got {values[key]!r}")
        roles = list(values.get("channels", SLEEP_EDF_CHANNELS))
        if "filters" in values:
            values["filters"] = read_filters(values["filters"], roles)
        if "converter" in values:
            values["converter"] = read_converter(values["converter"], roles)
        return cls(**values)


def is_emg(role: str) -> bool:
    """Whether a channel's role is an electromyogram."""
    return role.upper().startswith("EMG")


def _as_table(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"signals.{key} must be a table, got {value!r}")
    return value


def _channel_table(value: Any) -> dict[str, tuple[str, ...]]:
    channels = {}
    for role, names in _as_table("channels", value).items():
        listed = (names,) if isinstance(names, str) else names
        if not isinstance(listed, list | tuple) or not listed or not all(isinstance(n, str) for n in listed):
            raise ConfigError(f"signals.channels.{role!r} must be a name or a list of names, got {names!r}")
        channels[role] = tuple(listed)
    return channels


def _check_positive(key: str, value: Any, zero_allowed: bool) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (0 <= value < float("inf")) or (value == 0 and not zero_allowed):
        raise ConfigError(f"signals.{key} must be a {'' if zero_allowed else 'positive '}number, got {value!r}")


def _check_option(key: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"signals.{key} must be one of {list(allowed)}, got {value!r}")
