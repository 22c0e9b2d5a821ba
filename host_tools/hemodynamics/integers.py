"""What a bundle's integers estimate, on the host: bytes that every board gives too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ..oracle import MixtureOracle, open_oracle


def integer_estimates(
    tflite: bytes, signals: np.ndarray[Any, Any], advance: Callable[[int], Any] = lambda _: None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Compute windows as a device does.

    Parameters
    ----------
    tflite : bytes
        The composed model of a bundle.
    signals : numpy.ndarray
        Windows (N, samples) between 0 and 1.
    advance : callable
        Told of each window.

    Returns
    -------
    estimates : numpy.ndarray
        float (N, tasks), in the units of the tasks.
    chosen : numpy.ndarray
        bool (N, experts): which experts ran.
    """
    from thumbnet.codegen.mixture.arithmetic import VALUE_BITS

    oracle = cast(MixtureOracle, open_oracle(tflite))
    values, chosen = [], []
    for codes in window_codes(signals):
        before = oracle.chosen.copy()
        values.append(np.asarray(oracle.run([codes])[0], float).reshape(-1))
        chosen.append(oracle.chosen > before)
        advance(1)
    return np.stack(values) / 2**VALUE_BITS, np.stack(chosen)


def window_codes(signals: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Windows (N, samples) between 0 and 1 as the int8 codes that the networks read, (N, 1, 1, samples, 1)."""
    codes: np.ndarray[Any, Any] = np.round(127 * (2 * signals - 1)).astype(np.int8)[:, None, None, :, None]
    return codes
