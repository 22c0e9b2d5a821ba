"""The oracle: the real TensorFlow Lite Micro interpreter of the `tflite-micro` wheel.

It runs the portable reference kernels of TFLM on the host, with double-rounding requantization. What it does
not do: check the model. Parameters that a kernel forbids may abort the whole process, so the problems of the
property suite stay inside what each kernel documents.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

try:
    from tflite_micro import runtime
except ImportError:
    runtime = None

# The interpreter allocates the arena lazily: only the pages in use cost memory.
_ARENA_BYTES = 64 << 20


def available() -> bool:
    """Whether the wheel is installed (x86-64 Linux only)."""
    return runtime is not None


def version() -> str:
    """Version of the wheel, as recorded beside golden vectors."""
    return importlib.metadata.version("tflite-micro")


class Oracle:
    """One model in the TFLM interpreter, with every tensor kept after a run.

    Parameters
    ----------
    model : bytes
        A .tflite file.
    """

    def __init__(self, model: bytes) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # the wheel prints on construction
            self._interpreter = runtime.Interpreter.from_bytes(
                model,
                arena_size=_ARENA_BYTES,
                intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
            )

    def run(self, *inputs: Array, outputs: int = 1) -> list[Array]:
        """Run once on the model's inputs, in order, and return its first `outputs` outputs."""
        for index, value in enumerate(inputs):
            self._interpreter.set_input(np.ascontiguousarray(value), index)
        self._interpreter.invoke()
        return [self._interpreter.get_output(index) for index in range(outputs)]

    def tensor(self, index: int) -> Array:
        """Value of a tensor after the last run, by its index in the file."""
        value: Array = self._interpreter.GetTensor(index, 0)["tensor_data"]
        return value

    def tensors(self, indices: Sequence[int]) -> Mapping[int, Array]:
        """Values of several tensors after the last run."""
        return {index: self.tensor(index) for index in indices}


def run_model(model: bytes, inputs: Sequence[Array], outputs: int = 1) -> list[Array]:
    """Run a model once in a fresh interpreter."""
    return Oracle(model).run(*inputs, outputs=outputs)
