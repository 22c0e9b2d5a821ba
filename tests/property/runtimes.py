"""What runs a problem. Each runtime says what it leaves out, and why.

Building C costs a quarter of a second however small the model, so that a runtime takes several problems side
by side in one model (`joint_model`).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from support import oracle
from thumbnet.codegen import OptionError, analyze_model, compile_model
from thumbnet.codegen.model import TensorInfo
from thumbnet.codegen.reference import run_model

from .problem import Array, Problem, joint_model

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
#: Not optimized: each program runs once, and emulated instructions take GCC up to thirty times as long otherwise.
SANITIZERS = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
MACHINE = Path(__file__).parent / "machine"


class Runtime(Protocol):
    """Runs models and gives their outputs back."""

    name: str

    def missing(self) -> str | None:
        """What this machine lacks to run it; None when nothing."""

    def leaves_out(self, problem: Problem) -> str | None:
        """Reason why this runtime does not run the problem; None when it does."""

    def run(self, model: bytes, inputs: Sequence[Array]) -> list[Array]:
        """Outputs of the model, in order."""


class Reference:
    """The NumPy reference, through the reader of the compiler."""

    name = "reference"

    def missing(self) -> str | None:
        return None

    def leaves_out(self, problem: Problem) -> str | None:
        return None

    def run(self, model: bytes, inputs: Sequence[Array]) -> list[Array]:
        return run_model(model, inputs)


class Generated:
    """What all runtimes of generated C share: build, feed two equal windows, compare them."""

    name = ""
    target = ""
    schedule = "whole"
    disable: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    def missing(self) -> str | None:
        absent = [tool for tool in self.tools if shutil.which(tool) is None]
        return f"{absent[0]} is not installed" if absent else None

    def leaves_out(self, problem: Problem) -> str | None:
        return unsupported(problem)

    def run(self, model: bytes, inputs: Sequence[Array]) -> list[Array]:
        compiled = compile_model(model, target=self.target, schedule=self.schedule, app=True, disable=self.disable)
        # The second run starts from other garbage in the state.
        block = pack(inputs, compiled.inputs) * 2
        with tempfile.TemporaryDirectory() as folder:
            compiled.write(folder)
            self.build(Path(folder))
            result = self.execute(Path(folder), block)
        half = len(result) // 2
        first, second = (unpack(part, compiled.outputs) for part in (result[:half], result[half:]))
        for left, right in zip(first, second, strict=True):
            assert not difference(left, right), f"{self.name}: two runs of one window differ"
        return first

    def build(self, folder: Path) -> None:
        """Make `folder`/program from the sources in `folder`/src."""
        sources = [str(path) for path in sorted((folder / "src").glob("*.c"))]
        self.call([*self.compiler(), f"-I{folder}/src", *sources, "-o", f"{folder}/program"], folder)

    def compiler(self) -> list[str]:
        """Command up to the generated sources."""
        raise NotImplementedError

    def execute(self, folder: Path, block: bytes) -> bytes:
        """Run the program on windows and return what it wrote."""
        raise NotImplementedError

    def call(self, command: list[str], folder: str | Path, given: bytes = b"") -> bytes:
        """Run a command in a folder; its diagnostics become the failure."""
        done = subprocess.run(command, cwd=folder, input=given, capture_output=True, check=False, timeout=300)
        text = done.stderr.decode(errors="replace")[:2000]
        assert done.returncode == 0, f"{self.name}: {Path(command[0]).name} gave {done.returncode}: {text}"
        return done.stdout


class Host(Generated):
    """Generated C under the host's address and undefined-behaviour sanitizers."""

    name = "host"
    target = "host"
    tools = ("cc",)

    def compiler(self) -> list[str]:
        return ["cc", *WARNINGS, *SANITIZERS, str(MACHINE / "host_main.c")]

    def execute(self, folder: Path, block: bytes) -> bytes:
        return self.call([str(folder / "program")], folder, block)


class HostDsp(Host):
    """Kernels of the DSP tier, its instructions emulated in plain C."""

    name = "host_dsp"
    target = "host-dsp"


class HostMve(Host):
    """Kernels of the MVE tier, its instructions emulated in plain C."""

    name = "host_mve"
    target = "host-mve"


class HostStream(Host):
    """The same, executed slice by slice along one of the spatial axes."""

    def __init__(self, axis: str) -> None:
        self.name = f"host_stream_{axis}"
        self.schedule = f"stream-{axis}"

    def leaves_out(self, problem: Problem) -> str | None:
        refused = super().leaves_out(problem)
        if refused:
            return refused
        try:
            compile_model(problem.model(), target=self.target, schedule=self.schedule)
        except OptionError as error:
            return str(error)
        return None


class Qemu(Generated):
    """Generated C on a bare Cortex-M of QEMU, with semihosting in place of the device link."""

    tools = ("arm-none-eabi-gcc", "qemu-system-arm")

    def __init__(self, name: str, target: str, machine: str, code: int, ram: int, flags: Sequence[str]) -> None:
        self.name = name
        self.target = target
        self.machine = machine
        self.flags = (f"-mcpu={target}", "-mthumb", *flags)
        self.origins = (f"-Wl,--defsym=code_origin={code}", f"-Wl,--defsym=ram_origin={ram}")

    def compiler(self) -> list[str]:
        link = ["-nostartfiles", "--specs=nano.specs", "-T", str(MACHINE / "machine.ld"), *self.origins]
        flags = [*WARNINGS, "-O2", *self.flags]
        return ["arm-none-eabi-gcc", *flags, *link, str(MACHINE / "qemu_main.c")]

    def execute(self, folder: Path, block: bytes) -> bytes:
        (folder / "in.bin").write_bytes(block)
        quiet = ["-display", "none", "-monitor", "none", "-serial", "none"]
        host = ["-semihosting-config", "enable=on,target=native"]
        self.call(["qemu-system-arm", "-M", self.machine, *quiet, *host, "-kernel", "program"], folder)
        return (folder / "out.bin").read_bytes()


_VECTORS = "-DMACHINE_HAS_COPROCESSORS"
QEMU = (
    Qemu("qemu_m3", "cortex-m3", "mps2-an385", 0x0, 0x20000000, ("-mfloat-abi=soft",)),
    Qemu(
        "qemu_m4",
        "cortex-m4",
        "mps2-an386",
        0x0,
        0x20000000,
        ("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", _VECTORS),
    ),
    Qemu("qemu_m55", "cortex-m55", "mps3-an547", 0x10000000, 0x30000000, ("-mfloat-abi=hard", _VECTORS)),
)


@cache
def unsupported(problem: Problem) -> str | None:
    """First layer that the compiler refuses, with its reason."""
    layers = analyze_model(problem.model()).unsupported
    return f"{layers[0].op}: {layers[0].reason}" if layers else None


def pack(values: Sequence[Array], tensors: Sequence[TensorInfo]) -> bytes:
    """Lay tensors back to back, each padded to 4 bytes."""
    parts = []
    for value, tensor in zip(values, tensors, strict=True):
        raw = np.ascontiguousarray(value, dtype=tensor.dtype).tobytes()
        parts.append(raw + bytes(-len(raw) % 4))
    return b"".join(parts)


def unpack(block: bytes, tensors: Sequence[TensorInfo]) -> list[Array]:
    """Take a block of tensors apart."""
    return [
        np.frombuffer(block[tensor.offset : tensor.offset + tensor.bytes], dtype=tensor.dtype).reshape(tensor.shape)
        for tensor in tensors
    ]


def check(runtime: Runtime, *problems: Problem) -> None:
    """Run problems side by side in one model and compare every output byte with the oracle."""
    model = joint_model(problems)
    inputs = [value for problem in problems for value in problem.inputs()]
    got = runtime.run(model, inputs)
    wanted = oracle.run_model(model, inputs, len(got))
    for index, (left, right) in enumerate(zip(got, wanted, strict=True)):
        report = difference(left, right)
        assert not report, f"{runtime.name}, output {index}: {report} in {problems}"


def difference(got: Array, wanted: Array) -> str:
    """First mismatch, with its position and how many there are; empty when there is none."""
    if got.dtype != wanted.dtype or got.size != wanted.size:
        return f"{got.dtype}{got.shape} where the oracle has {wanted.dtype}{wanted.shape}"
    wrong = np.flatnonzero(got.reshape(-1).view(np.uint8) != wanted.reshape(-1).view(np.uint8))
    if wrong.size == 0:
        return ""
    first = int(wrong[0]) // got.itemsize
    return (
        f"{wrong.size} bytes of {got.nbytes} differ, first at element {first}: "
        f"got {got.reshape(-1)[first]}, expected {wanted.reshape(-1)[first]}"
    )
