"""Sleep statistics of a hypnogram from lights off to lights on, or "unknown".

Definitions are those of the AASM manual (Berry et al., version 2.6, section II). YASA computes the same from a
cropped hypnogram (`yasa.Hypnogram.sleep_statistics`), to which these functions are compared in the tests; it is not
needed here, because it installs Numba, LLVM, LightGBM and pandas, which nothing else of thumbnet uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .stages import N1, N2, N3, REM, STAGES, W

UNKNOWN = "unknown"
Value = float | str
UNITS: Mapping[str, str] = {
    "time_in_bed": "min",
    "total_sleep_time": "min",
    "sleep_efficiency": "share",
    "sleep_onset_latency": "min",
    "wake_after_sleep_onset": "min",
    "rem_latency": "min",
    **{f"share_{name}": "share of sleep" for name in STAGES if name != "W"},
}
"""Name of each statistic and its unit."""


def sleep_statistics(
    labels: np.ndarray,
    onsets: np.ndarray,
    lights_off: float | None,
    lights_on: float | None,
    epoch_seconds: float = 30.0,
) -> dict[str, Value]:
    """Compute the statistics of one night.

    Parameters
    ----------
    labels : numpy.ndarray
        Stage of each epoch of the uncropped record, int, shape (N,); -1 where nobody scored (movement).
    onsets : numpy.ndarray
        Seconds from the start of the recording, shape (N,), ascending.
    lights_off, lights_on : float or None
        Seconds from the start of the recording.
    epoch_seconds : float
        Length of an epoch.

    Returns
    -------
    dict of str to float or "unknown"
        The keys of `UNITS`. All are unknown unless lights off and lights on are known and epochs cover the time
        between them; latencies are unknown where nobody slept, or slept without REM. Unscored epochs count as neither
        sleep nor wake, but as time in bed.
    """
    unknown: dict[str, Value] = dict.fromkeys(UNITS, UNKNOWN)
    night = in_bed(labels, onsets, lights_off, lights_on, epoch_seconds)
    if night is None:
        return unknown
    minutes = epoch_seconds / 60
    asleep = (night > W) & (night <= REM)
    sleep = int(asleep.sum())
    found: dict[str, Value] = {
        "time_in_bed": len(night) * minutes,
        "total_sleep_time": sleep * minutes,
        "sleep_efficiency": sleep / len(night),
    }
    if sleep:
        first = int(asleep.argmax())
        found["sleep_onset_latency"] = first * minutes
        found["wake_after_sleep_onset"] = int((night[first:] == W).sum()) * minutes
        dreams = np.flatnonzero(night == REM)
        if len(dreams):
            found["rem_latency"] = (int(dreams[0]) - first) * minutes
        for stage in (N1, N2, N3, REM):
            found[f"share_{STAGES[stage]}"] = int((night == stage).sum()) / sleep
    return {**unknown, **found}


def in_bed(
    labels: np.ndarray,
    onsets: np.ndarray,
    lights_off: float | None,
    lights_on: float | None,
    epoch_seconds: float = 30.0,
) -> np.ndarray | None:
    """Return the stages between lights off and lights on; None unless both are known and epochs cover the time.

    An epoch that lights off or on falls into does not count.
    """
    if lights_off is None or lights_on is None or lights_on - lights_off < epoch_seconds:
        return None
    chosen = (onsets >= lights_off - 1e-6) & (onsets + epoch_seconds <= lights_on + 1e-6)
    places = onsets[chosen]
    if not len(places) or np.abs(np.diff(places) - epoch_seconds).max(initial=0) > 1e-3:
        return None
    if places[0] - lights_off > epoch_seconds or lights_on - (places[-1] + epoch_seconds) > epoch_seconds:
        return None
    return np.asarray(labels)[chosen]


def compare_statistics(pairs: Sequence[tuple[Mapping[str, Value], Mapping[str, Value]]]) -> dict[str, dict[str, float]]:
    """Summarise scored against predicted statistics over nights.

    Parameters
    ----------
    pairs : sequence of (scored, predicted)
        Of one night each, as :func:`sleep_statistics` returns them.

    Returns
    -------
    dict
        For each statistic known in at least one pair: `nights`, mean of the `scored` and of the `predicted`, mean
        difference (`bias`, predicted minus scored), its standard deviation (`sd`) and mean magnitude (`mae`).
    """
    summary = {}
    for name in UNITS:
        known = [(true[name], found[name]) for true, found in pairs if UNKNOWN not in (true[name], found[name])]
        if not known:
            continue
        values = np.asarray(known, float)
        difference = values[:, 1] - values[:, 0]
        summary[name] = {
            "nights": len(known),
            "scored": float(values[:, 0].mean()),
            "predicted": float(values[:, 1].mean()),
            "bias": float(difference.mean()),
            "sd": float(difference.std(ddof=1)) if len(known) > 1 else 0.0,
            "mae": float(np.abs(difference).mean()),
        }
    return summary
