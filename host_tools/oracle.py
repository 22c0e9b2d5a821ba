"""The oracle: what a model's outputs and inner tensors must be, byte for byte.

The golden one is the TensorFlow Lite Micro interpreter itself, from the `tflite-micro` wheel. Where that
wheel does not exist (anything but x86-64 Linux) the NumPy reference of the compiler stands in; every
report names its oracle.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from thumbnet.codegen.ir import Graph
from thumbnet.codegen.mixture import Mixture, is_mixture, read_mixture
from thumbnet.codegen.mixture.reference import MixtureReference
from thumbnet.codegen.reference import run_graph
from thumbnet.codegen.tflite import read_graph

from .errors import HostToolsError
from .tensors import Array


class Oracle(Protocol):
    """Runs a model on the host, exactly."""

    @property
    def name(self) -> str:
        """Interpreter and version, for reports."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Output tensors for one window of input tensors, in the model's order."""

    def run_all(self, inputs: Sequence[Array]) -> Mapping[int, Array]:
        """Every tensor that an operator writes, by its index in the model."""


def open_oracle(tflite: bytes, engine: str = "auto") -> Oracle:
    """Open the best oracle of this machine.

    Parameters
    ----------
    tflite
        The model; it must be one that the compiler reads (the wheel's own parser trusts its input). Of a composed
        model every part is run by the engine, and what is between them is computed in NumPy.
    engine
        `tflm`, `numpy`, or `auto`: the first of these that is installed.

    Raises
    ------
    CodegenError
        When the model is malformed.
    HostToolsError
        When the engine is not installed or cannot run the model.
    """
    if is_mixture(tflite):
        return MixtureOracle(read_mixture(tflite), engine)
    graph = read_graph(tflite)
    if engine == "numpy":
        return NumpyOracle(graph)
    try:
        return TflmOracle(tflite, graph)
    except ImportError as error:
        if engine == "tflm":
            raise HostToolsError(f"the tflite-micro wheel is not installed ({error})") from error
        return NumpyOracle(graph)


def _arena_limit(tflite: bytes, graph: Graph) -> int:
    """Bytes to offer; ten times the file, the wheel's guess, is too small for long signals."""
    written = sum(graph.output(node, i).bytes for node in graph.nodes for i in range(len(node.outputs)))
    return (2 * written + 4 * len(tflite) + (1 << 20)) // 4096 * 4096


class TflmOracle:
    """The real TensorFlow Lite Micro interpreter, running the model's own bytes."""

    def __init__(self, tflite: bytes, graph: Graph | None = None) -> None:
        import tflite_micro

        self._runtime = tflite_micro.runtime
        self._tflite = tflite
        self._graph = graph or read_graph(tflite)
        self.name = f"tflite-micro {tflite_micro.__version__}"
        configs = self._runtime.InterpreterConfig
        self._interpreter = self._open(configs.kAllocationRecording)
        self._preserving: Any = None

    def _open(self, config: Any) -> Any:
        arena = _arena_limit(self._tflite, self._graph)
        try:
            return self._runtime.Interpreter.from_bytes(self._tflite, arena_size=arena, intrepreter_config=config)
        except (RuntimeError, ValueError) as error:
            raise HostToolsError(f"TensorFlow Lite Micro refuses the model: {error}") from error

    def _invoke(self, interpreter: Any, inputs: Sequence[Array]) -> None:
        # Checked here because the wheel crashes on a wrong number of tensors.
        if len(inputs) != len(self._graph.inputs):
            raise HostToolsError(f"the model has {len(self._graph.inputs)} inputs, got {len(inputs)}")
        try:
            for position, array in enumerate(inputs):
                interpreter.set_input(array, position)
            interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise HostToolsError(f"TensorFlow Lite Micro cannot run the model: {error}") from error

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Output tensors for one window of input tensors."""
        self._invoke(self._interpreter, inputs)
        return [self._interpreter.get_output(position) for position in range(len(self._graph.outputs))]

    def run_all(self, inputs: Sequence[Array]) -> Mapping[int, Array]:
        """Every tensor that an operator writes; a second interpreter that never reuses memory."""
        if self._preserving is None:
            self._preserving = self._open(self._runtime.InterpreterConfig.kPreserveAllTensors)
        self._invoke(self._preserving, inputs)
        written = (index for node in self._graph.nodes for index in node.outputs)
        return {index: self._preserving.GetTensor(index, 0)["tensor_data"] for index in written}


class NumpyOracle:
    """The compiler's plain NumPy interpreter: slower, and the same rounding as TensorFlow Lite Micro."""

    def __init__(self, graph: Graph) -> None:
        from importlib.metadata import version

        self._graph = graph
        self.name = f"thumbnet NumPy reference {version('thumbnet')}"

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Output tensors for one window of input tensors."""
        values = run_graph(self._graph, inputs)
        return [values[index] for index in self._graph.outputs]

    def run_all(self, inputs: Sequence[Array]) -> Mapping[int, Array]:
        """Every tensor that an operator writes."""
        values = run_graph(self._graph, inputs, keep=True)
        return {index: values[index] for node in self._graph.nodes for index in node.outputs}


class MixtureOracle:
    """A mixture of experts: its parts by oracles of their own, put together as docs/compiler.md states."""

    def __init__(self, mixture: Mixture, engine: str) -> None:
        self._engine = engine
        self._reference = MixtureReference(mixture, self._open)
        self._gate = open_oracle(mixture.gate, engine).name

    def _open(self, tflite: bytes, graph: Graph) -> Oracle:
        return open_oracle(tflite, self._engine)

    @property
    def name(self) -> str:
        """Interpreter and version, for reports."""
        return f"{self._gate}, parts composed in NumPy"

    @property
    def chosen(self) -> Array:
        """How often each expert was chosen so far."""
        return self._reference.chosen

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Values of all tasks for one window."""
        return self._reference.run(inputs)

    def run_all(self, inputs: Sequence[Array]) -> Mapping[int, Array]:
        """Every tensor of every part that runs, and what is computed between them."""
        return self._reference.run_all(inputs)


_MEASURE = """
import sys
from tflite_micro import runtime
with open(sys.argv[1], "rb") as file:
    model = file.read()
interpreter = runtime.Interpreter.from_bytes(model, arena_size=int(sys.argv[2]))
interpreter.invoke()
interpreter.print_allocations()
"""


def tflm_arena_bytes(tflite: bytes) -> tuple[int | None, str]:
    """Arena that TensorFlow Lite Micro uses for a model on this 64-bit host.

    The wheel only prints the figure, to the C library's standard error, hence the process of its own.

    Returns
    -------
    bytes or None, and where the figure comes from or why there is none.
    """
    if is_mixture(tflite):
        return None, "TensorFlow Lite Micro does not run composed models"
    limit = _arena_limit(tflite, read_graph(tflite))
    with tempfile.TemporaryDirectory(prefix="thumbnet-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(tflite)
        command = [sys.executable, "-c", _MEASURE, str(path), str(limit)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"Arena allocation total (\d+) bytes", done.stderr)
    if found:
        return int(found.group(1)), "RecordingMicroAllocator of the tflite-micro wheel, 64-bit host"
    last = done.stderr.strip().splitlines()[-1:] or ["nothing was printed"]
    return None, f"the tflite-micro wheel gave no figure: {last[0]}"
