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


def check_signals(signals: Any, channels: Sequence[str], where: str) -> None:
    """Check the declaration that a manifest holds, as far as it must fit the manifest.

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
