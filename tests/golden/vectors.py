"""What writing and checking golden vectors share; needs NumPy alone."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from thumbnet.codegen.ir import Graph

Array = npt.NDArray[Any]
FOLDER = Path(__file__).parent


def window(graph: Graph, number: int) -> list[Array]:
    """Random codes for every input of a model; the stream is frozen across NumPy versions."""
    state = np.random.RandomState(number)
    return [state.randint(-128, 128, size=graph.tensors[index].shape).astype(np.int8) for index in graph.inputs]


def checksum(value: Array) -> int:
    """CRC-32 of a tensor's bytes."""
    return zlib.crc32(np.ascontiguousarray(value).tobytes())
