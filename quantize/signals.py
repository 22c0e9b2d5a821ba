"""What happens between the device's converter and the network, as a bundle declares it (``docs/signals.md``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import BundleError

if TYPE_CHECKING:
    import numpy as np

    from ..training.sleep.config import SignalConfig
    from .scaling import ChannelScaling

STEPS: Mapping[str, tuple[str, ...]] = {
    "biquads": ("sections",),
    "rectify": (),
    "resample": ("up", "down", "taps"),
}
"""Kinds of steps with their keys."""

_NUMBER = (int, float)
_SPAN = 0.75
"""Share of the converter's range that a window between 0 and 1 is given: room above and below, as a sensor has."""


def declare_signals(config: SignalConfig, scaling: ChannelScaling) -> dict[str, Any] | None:
    """Return the declaration of a recipe's filters and converter, ending in the codes of a scaling.

    Parameters
    ----------
    config : SignalConfig
        Filters and converter.
    scaling : ChannelScaling
        Of the same channels.

    Returns
    -------
    dict or None
        JSON values; None where the recipe declares neither filters nor a converter.
    """
    converter = config.device_converter
    if converter is None:
        return None
    return {
        "bits": converter.bits,
        "rate": float(config.converter_rate),
        "channels": [
            {
                "name": role,
                "microvolts_per_count": converter.microvolts_of(role),
                "microvolts_per_code": code,
                "steps": config.device_steps(role),
            }
            for role, code in zip(scaling.channels, scaling.microvolts_per_step, strict=True)
        ],
    }


def declare_window(name: str, bits: int, rate: float, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the declaration of one channel whose windows are normalised by their own range, to -1 ... 1.

    Parameters
    ----------
    name : str
        Of the channel; its unit is arbitrary, so that a count is worth 1 of it.
    bits : int
        Of the converter.
    rate : float
        Of the converter, in Hz.
    steps : sequence of mapping
        Before normalisation.

    Returns
    -------
    dict
        JSON values.
    """
    channel = {"name": name, "microvolts_per_count": 1.0, "microvolts_per_code": 1.0, "steps": list(steps)}
    normalise = {"scale": 1 / 127, "zero_point": 0, "low": -1.0, "high": 1.0}
    return {"bits": bits, "rate": float(rate), "channels": [channel], "normalise": normalise}


def window_counts(declared: Mapping[str, Any], windows: np.ndarray, rate: float) -> np.ndarray:
    """Windows as the declared converter would have given them: three quarters of its range, around 0.

    Parameters
    ----------
    declared : mapping
        From :func:`declare_window`.
    windows : numpy.ndarray
        Shape (N, samples), between 0 and 1.
    rate : float
        Of these samples, in Hz; others in between lie on straight lines.

    Returns
    -------
    numpy.ndarray
        int32, shape (N, samples of the converter, 1).
    """
    import numpy as np

    count = windows.shape[1]
    length = int(np.ceil(count * declared["rate"] / rate - 1e-9))
    places = np.arange(length) * (rate / declared["rate"])
    rows = [row if length == count else np.interp(places, np.arange(count), row) for row in np.asarray(windows, float)]
    half = 2 ** (declared["bits"] - 1)
    return np.rint(_SPAN * (2 * np.stack(rows) - 1) * (half - 1)).astype(np.int32)[..., None]


def to_counts(declared: Mapping[str, Any], microvolts: np.ndarray) -> np.ndarray:
    """What the declared converter gives: counts, rounded and clipped to its bits.

    Parameters
    ----------
    declared : mapping
        From :func:`declare_signals`.
    microvolts : numpy.ndarray
        Shape (channels, samples).

    Returns
    -------
    numpy.ndarray
        int32, the same shape.
    """
    import numpy as np

    worth = np.array([channel["microvolts_per_count"] for channel in declared["channels"]])[:, None]
    half = 2 ** (declared["bits"] - 1)
    return np.clip(np.rint(microvolts / worth), -half, half - 1).astype(np.int32)


def check_signals(signals: Any, channels: Sequence[str], where: str, normalised: bool = False) -> None:
    """Check the declaration that a manifest holds, as far as it must fit the manifest.

    Where windows are `normalised` it must say how.

    Raises
    ------
    BundleError
        Names the key, what it allows and what it got.
    """
    place = f"{where}: signals"
    _check(signals, {"bits": int, "rate": _NUMBER, "channels": list}, place)
    _positive(signals, ("bits", "rate"), place)
    names = [row.get("name") if isinstance(row, Mapping) else row for row in signals["channels"]]
    if names != list(channels):
        raise BundleError(f"{place} must name the channels {list(channels)} in this order, got {names}")
    if normalised or "normalise" in signals:
        normalise = signals.get("normalise")
        _check(normalise, {"scale": _NUMBER, "zero_point": int}, f"{place}: normalise")
        _positive(normalise, ("scale",), f"{place}: normalise")
        ends = {key: _NUMBER for key in ("low", "high") if key in normalise}
        _check(normalise, ends, f"{place}: normalise")
    for row in signals["channels"]:
        inside = f"{place} of channel {row['name']!r}"
        worth = ("microvolts_per_count", "microvolts_per_code")
        _check(row, {**dict.fromkeys(worth, _NUMBER), "steps": list}, inside)
        _positive(row, worth, inside)
        for step in row["steps"]:
            kind = step.get("step") if isinstance(step, Mapping) else step
            if kind not in STEPS:
                raise BundleError(f"{inside}: step must be one of {list(STEPS)}, got {kind!r}")
            _check(step, dict.fromkeys(STEPS[kind], (list, int)), f"{inside}: step '{kind}'")


def _check(table: Any, keys: Mapping[str, Any], where: str) -> None:
    if not isinstance(table, Mapping):
        raise BundleError(f"{where} must be a JSON object, got {table!r}")
    for key, kind in keys.items():
        if not isinstance(table.get(key), kind) or isinstance(table[key], bool):
            names = [item.__name__ for item in (kind if isinstance(kind, tuple) else (kind,))]
            raise BundleError(f"{where}: {key} must be {' or '.join(names)}, got {table.get(key)!r}")


def _positive(table: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    for key in keys:
        if not 0 < table[key] < float("inf"):
            raise BundleError(f"{where}: {key} must be positive, got {table[key]!r}")
