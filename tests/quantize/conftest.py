"""A network with short epochs, and its two conversions, made once for all tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support.networks import spread_weights

SAMPLES = 300


@dataclass(frozen=True)
class Converted:
    """ULW-SleepNet over `SAMPLES` samples with random, well-spread weights, folded and converted."""

    network: Any
    folded: Any
    inputs: np.ndarray
    int8: bytes
    floating: bytes


@pytest.fixture(scope="session")
def converted() -> Converted:
    pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
    from thumbnet.quantize.convert import convert_float, convert_int8
    from thumbnet.quantize.fold import fold_shortcuts
    from thumbnet.training.sleep.ulw_sleepnet import build_ulw_sleepnet

    network = build_ulw_sleepnet(samples=SAMPLES)
    spread_weights(network)
    inputs = np.random.default_rng(4).normal(0, 0.3, (24, 4, SAMPLES, 1)).clip(-1, 1).astype(np.float32)
    folded = fold_shortcuts(network)
    return Converted(network, folded, inputs, convert_int8(folded, inputs), convert_float(folded))
