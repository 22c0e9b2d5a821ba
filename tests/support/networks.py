"""Keras networks whose weights hide nothing."""

from __future__ import annotations

from typing import Any

import numpy as np


def spread_weights(network: Any, seed: int = 3) -> None:
    """Give every weight a random value, batch statistics and biases too, so that no term hides as 0 or 1."""
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        if "kernel" in variable.name:
            taps = variable.shape[:2] if "depthwise" in variable.name else variable.shape[:-1]
            variable.assign(rng.normal(0, np.sqrt(2 / np.prod(taps)), variable.shape))
        else:
            low, high = (0.5, 1.5) if "variance" in variable.name or "gamma" in variable.name else (-0.3, 0.3)
            variable.assign(rng.uniform(low, high, variable.shape))
