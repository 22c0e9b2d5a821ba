"""Causal filters between the converter and the network: what a recipe declares, and their float application.

Everything here a device can compute sample by sample, and its state runs through the whole recording. The steps are
plain JSON values, which a bundle carries and the compiler turns into integer C:

* ``{"step": "biquads", "sections": [[b0, b1, b2, 1, a1, a2], ...]}``, a cascade as SciPy's ``output="sos"``
* ``{"step": "rectify"}``, the magnitude
* ``{"step": "resample", "up": u, "down": d, "taps": [...]}``, a causal polyphase low-pass at u times the rate
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import ConfigError

BITS = (2, 24)
MAX_RATIO = 1024
_ORDERS = (1, 8)
_LOWEST = 1e-4  # of the rate: below, 32-bit coefficients no longer tell a pole from 1
_NOTCH_QUALITY = 30.0
_PERIODS = 10  # of the slower rate, that resampling looks back
_PASSED = 0.9  # of the slower rate's half, that resampling lets pass

Step = dict[str, Any]


@dataclass(frozen=True)
class ChannelFilters:
    """Filters of one channel, in the order in which they run.

    Attributes
    ----------
    highpass, lowpass : float or None
        Cut-off in Hz of Butterworth filters of `order`.
    notch : tuple of float
        Frequencies in Hz that are taken out with a quality of 30.
    envelope : float or None
        The signal is rectified and passes a Butterworth low-pass of `order` at so many Hz.
    order : int
        Of each Butterworth filter, 1 to 8.
    """

    highpass: float | None = None
    lowpass: float | None = None
    notch: tuple[float, ...] = ()
    envelope: float | None = None
    order: int = 2

    def to_table(self) -> dict[str, Any]:
        """Return the settings as JSON values; those that are not given are left out."""
        values = {"highpass": self.highpass, "lowpass": self.lowpass, "notch": list(self.notch) or None,
                  "envelope": self.envelope, "order": self.order}  # fmt: skip
        return {key: value for key, value in values.items() if value is not None}

    def __str__(self) -> str:
        """The filters in words, for notes and reports."""
        words = [f"high-pass {self.highpass:g} Hz"] if self.highpass else []
        words += [f"low-pass {self.lowpass:g} Hz"] if self.lowpass else []
        words += [f"notch {frequency:g} Hz" for frequency in self.notch]
        words += [f"envelope (magnitude, low-pass {self.envelope:g} Hz)"] if self.envelope else []
        return f"{', '.join(words)}, order {self.order}, causal"


@dataclass(frozen=True)
class Converter:
    """The converter of the device.

    Attributes
    ----------
    bits : int
        Resolution with its sign, 2 to 24.
    microvolts_per_count : float or mapping of str to float
        What one count is worth, for all channels or by role or kind.
    rate : float or None
        Samples per second; None: the rate of the epochs. Another rate is resampled behind the filters.
    """

    bits: int = 16
    microvolts_per_count: float | Mapping[str, float] = 0.1
    rate: float | None = None

    def to_table(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        worth = self.microvolts_per_count
        values = {"bits": self.bits, "microvolts_per_count": worth if isinstance(worth, float) else dict(worth),
                  "rate": self.rate}  # fmt: skip
        return {key: value for key, value in values.items() if value is not None}

    def microvolts_of(self, role: str) -> float:
        """What one count of a channel is worth."""
        worth = self.microvolts_per_count
        return worth if isinstance(worth, float) else float(_of_role(worth, role) or 0.0)


def kind_of(role: str) -> str:
    """Kind of a channel: the first word of its role, in capitals ("EEG Fpz-Cz" is an EEG)."""
    return role.split()[0].upper() if role.strip() else ""


def filters_of(filters: Mapping[str, ChannelFilters], role: str) -> ChannelFilters | None:
    """Filters of a channel: those of its role, else of its kind, else none."""
    found: ChannelFilters | None = _of_role(filters, role)
    return found


def _of_role(table: Mapping[str, Any], role: str) -> Any:
    return table.get(role, table.get(kind_of(role)))


# --- design and application ---------------------------------------------------------------------------------


def design_steps(filters: ChannelFilters | None, rate: float, wanted: float) -> list[Step]:
    """Steps of one channel from the converter's rate to that of the epochs.

    Parameters
    ----------
    filters : ChannelFilters or None
        None: nothing but resampling.
    rate, wanted : float
        Samples per second of converter and epochs.

    Returns
    -------
    list of dict
        As the module describes them.
    """
    steps = [] if filters is None else _filter_steps(filters, rate)
    up, down = ratio_of(rate, wanted)
    return steps if up == down else [*steps, {"step": "resample", "up": up, "down": down, "taps": _taps(up, down)}]


def ratio_of(rate: float, wanted: float) -> tuple[int, int]:
    """Epoch samples per converter samples, as a fraction in lowest terms."""
    exact = [Fraction(value).limit_denominator(10_000) for value in (wanted, rate)]
    ratio = exact[0] / exact[1]
    return ratio.numerator, ratio.denominator


def _filter_steps(filters: ChannelFilters, rate: float) -> list[Step]:
    from scipy.signal import butter, iirnotch

    rows: list[Any] = []
    if filters.highpass is not None:
        rows += butter(filters.order, filters.highpass, "highpass", fs=rate, output="sos").tolist()
    if filters.lowpass is not None:
        rows += butter(filters.order, filters.lowpass, "lowpass", fs=rate, output="sos").tolist()
    for frequency in filters.notch:
        b, a = iirnotch(frequency, _NOTCH_QUALITY, fs=rate)
        rows.append([*b.tolist(), *a.tolist()])
    steps: list[Step] = [{"step": "biquads", "sections": rows}] if rows else []
    if filters.envelope is None:
        return steps
    smooth = butter(filters.order, filters.envelope, "lowpass", fs=rate, output="sos").tolist()
    return [*steps, {"step": "rectify"}, {"step": "biquads", "sections": smooth}]


def _taps(up: int, down: int) -> list[float]:
    from scipy.signal import firwin

    longest = max(up, down)
    taps: list[float] = firwin(_PERIODS * longest + 1, _PASSED / longest).tolist()
    return taps


def apply_steps(steps: Sequence[Mapping[str, Any]], signal: np.ndarray) -> np.ndarray:
    """Run steps over a whole signal in double precision, from silence.

    Parameters
    ----------
    steps : sequence of mapping
        As the module describes them.
    signal : numpy.ndarray
        Shape (samples,), in any unit: every step is linear, or a magnitude.

    Returns
    -------
    numpy.ndarray
        float64; ceil(samples * up / down) of them where the rate changes.
    """
    from scipy.signal import sosfilt, upfirdn

    values = np.asarray(signal, np.float64)
    for step in steps:
        if step["step"] == "biquads":
            values = sosfilt(np.asarray(step["sections"], float), values)
        elif step["step"] == "rectify":
            values = np.abs(values)
        else:
            up, down = int(step["up"]), int(step["down"])
            count = -(-len(values) * up // down)
            values = upfirdn(np.asarray(step["taps"], float) * up, values, up, down)[:count]
    return values


# --- reading a recipe ---------------------------------------------------------------------------------------


def read_filters(value: Any, roles: Sequence[str]) -> dict[str, ChannelFilters]:
    """Read ``[signals.filters]``: a table of settings for each role or kind.

    Raises
    ------
    ConfigError
        Names the key, what it allows and what it got.
    """
    if not isinstance(value, Mapping):
        raise ConfigError(f"signals.filters must be a table, got {value!r}")
    for key in value:
        _check_role("filters", key, roles)
    return {key: _read_channel(f"signals.filters.{key}", table) for key, table in value.items()}


def _check_role(table: str, key: str, roles: Sequence[str]) -> None:
    allowed = list(dict.fromkeys([*(kind_of(role) for role in roles), *roles]))
    if key not in allowed:
        raise ConfigError(f"signals.{table}.{key} must be the kind or the role of a channel {allowed}, got {key!r}")


def _read_channel(where: str, table: Any) -> ChannelFilters:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} must be a table, got {table!r}")
    known = [entry.name for entry in fields(ChannelFilters)]
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}.{key} is no setting; the settings are {known}")
    if not set(table) - {"order"}:
        raise ConfigError(f"{where} must have one of ['highpass', 'lowpass', 'notch', 'envelope'], got {dict(table)!r}")
    order = table.get("order", 2)
    if not _is_whole(order) or not _ORDERS[0] <= order <= _ORDERS[1]:
        raise ConfigError(f"{where}.order must be a whole number of {_ORDERS[0]} to {_ORDERS[1]}, got {order!r}")
    notch = table.get("notch", ())
    frequencies = notch if isinstance(notch, list | tuple) else (notch,)
    hertz = {key: table[key] for key in ("highpass", "lowpass", "envelope") if table.get(key) is not None}
    for key, number in (*hertz.items(), *(("notch", frequency) for frequency in frequencies)):
        if not _is_number(number):
            raise ConfigError(f"{where}.{key} must be a positive number of Hz, got {number!r}")
    values = {key: float(number) for key, number in hertz.items()}
    return ChannelFilters(notch=tuple(float(f) for f in frequencies), order=order, **values)


def read_converter(value: Any, roles: Sequence[str]) -> Converter:
    """Read ``[signals.converter]``.

    Raises
    ------
    ConfigError
        Names the key, what it allows and what it got.
    """
    if not isinstance(value, Mapping):
        raise ConfigError(f"signals.converter must be a table, got {value!r}")
    known = [entry.name for entry in fields(Converter)]
    for key in value:
        if key not in known:
            raise ConfigError(f"signals.converter.{key} is no setting; the settings are {known}")
    bits, rate = value.get("bits", Converter.bits), value.get("rate")
    if not _is_whole(bits) or not BITS[0] <= bits <= BITS[1]:
        raise ConfigError(f"signals.converter.bits must be a whole number of {BITS[0]} to {BITS[1]}, got {bits!r}")
    if rate is not None and not _is_number(rate):
        raise ConfigError(f"signals.converter.rate must be a positive number of Hz, got {rate!r}")
    worth = _read_worth(value.get("microvolts_per_count", Converter.microvolts_per_count), roles)
    return Converter(bits, worth, None if rate is None else float(rate))


def _read_worth(value: Any, roles: Sequence[str]) -> float | dict[str, float]:
    where = "signals.converter.microvolts_per_count"
    if not isinstance(value, Mapping):
        if not _is_number(value):
            raise ConfigError(f"{where} must be a positive number or a table of them, got {value!r}")
        return float(value)
    for key, number in value.items():
        _check_role("converter.microvolts_per_count", key, roles)
        if not _is_number(number):
            raise ConfigError(f"{where}.{key} must be a positive number, got {number!r}")
    missing = [role for role in roles if _of_role(value, role) is None]
    if missing:
        raise ConfigError(f"{where} must give every channel a number, got none for {missing}")
    return {key: float(number) for key, number in value.items()}


def check_rates(filters: Mapping[str, ChannelFilters], rate: float, wanted: float) -> None:
    """Check that every frequency is below half the converter's rate, and that the rates have a small ratio.

    Raises
    ------
    ConfigError
        Names the key, what it allows and what it got.
    """
    up, down = ratio_of(rate, wanted)
    if max(up, down) > MAX_RATIO:
        raise ConfigError(
            f"signals.converter.rate must be to signals.rate as whole numbers up to {MAX_RATIO}, got {down} to {up} "
            f"({rate:g} and {wanted:g} Hz)"
        )
    for role, given in filters.items():
        where = f"signals.filters.{role}"
        table = given.to_table()
        for key in ("highpass", "lowpass", "envelope", "notch"):
            for number in np.atleast_1d(table.get(key, [])).tolist():
                if not rate * _LOWEST <= number < rate / 2:
                    raise ConfigError(
                        f"{where}.{key} must be at least {rate * _LOWEST:g} Hz and below {rate / 2:g} Hz, half the "
                        f"converter's rate, got {number:g}"
                    )
        if given.highpass is not None and given.lowpass is not None and given.highpass >= given.lowpass:
            raise ConfigError(f"{where}.highpass must be below lowpass ({given.lowpass:g} Hz), got {given.highpass:g}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
