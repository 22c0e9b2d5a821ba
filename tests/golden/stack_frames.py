"""Rewrite firmware/kernels/stack.json: the stack frames on which the bound of generated headers rests.

    cd tests && python -m golden.stack_frames

Kernels that are compiled on their own are measured as they are: the sum over a file's functions bounds every chain of
calls inside it. Inline kernels become part of a layer's function, so that their frames depend on the layer: they are
measured in random layers of the property suite, for every core that has the kernel, and get `MARGIN` on top.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from property import movement, products, windows
from property.problem import Q, joint_model
from property.runtimes import unsupported
from thumbnet.codegen import compile_model
from thumbnet.codegen.library import KERNELS
from thumbnet.codegen.targets import TARGETS

CORES = json.loads((KERNELS.parent / "platform" / "cores.json").read_text())
EXAMPLE = KERNELS.parent / "example_model" / "model.tflite"
MARGIN = 32
_TIERS = ("mve",)  # tiers that have such kernels of their own
#: Functions that call the two kernels of a layer.
CHAIN = "chain"
LAYERS = 40  # random layers of each kind
#: Random shapes seldom suit the kernel for fours.
GLOBAL_MEAN = products.Mean(
    seed=1, shape=(1, 7, 6, 12), axes=(1, 2), keep_dims=True, q_in=Q(0.05, 3), q_out=Q(0.04, -5)
)

_FUNCTION = re.compile(r"TN_OUTLINE void (\w+)\([^{]*\{\n(.*?)\n\}", re.DOTALL)
_LOCAL = re.compile(r"^\s*((?:const )?\w+ \*?)\s*\w+\[(\d+)\]", re.MULTILINE)
_BYTES = {"int8_t": 1, "int16_t": 2, "int32_t": 4, "uint32_t": 4, "const int8_t *": 4}


def compile_frames(source: Path, flags: list[str], include: Path, folder: Path) -> dict[str, int]:
    """Frame of every function of a file."""
    target = folder / "kernel.o"
    command = ["arm-none-eabi-gcc", *flags, "-std=c99", "-O2", "-fstack-usage", "-I", str(include)]
    subprocess.run([*command, "-c", str(source), "-o", str(target)], check=True, timeout=120)
    rows = (line.split("\t") for line in target.with_suffix(".su").read_text().splitlines())
    return {place.rpartition(":")[2]: int(size) for place, size, *_ in rows}


def kernel_files() -> Iterator[tuple[str, Path, list[str]]]:
    """Kernels that are compiled on their own: tier, file, and the cores that build it, or may."""
    for tier in ("portable", *_TIERS):
        cores = [core for core in CORES if tier in TARGETS[core].tiers]
        yield from ((tier, path, cores) for path in sorted((KERNELS / tier).glob("*.c")))


def file_frame(source: Path, core: str, folder: Path) -> int:
    """Sum of the frames of a kernel's file."""
    return sum(compile_frames(source, CORES[core], KERNELS / "include", folder).values())


def inline_frames(model: bytes, core: str, schedule: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Inline kernels of a model, each with its frame less the local arrays that the generator counts."""
    compiled = compile_model(model, target=core, schedule=schedule)
    compiled.write(folder)
    measured = compile_frames(folder / "src" / "model.c", CORES[core], folder / "src", folder)
    for name, body in _FUNCTION.findall(compiled.files["src/model.c"]):
        kernel = re.search(r"(tn_\w+?_(?:dsp|mve))(?:_\w+)?\(", body)
        assert kernel is not None or "made[" in body, body
        if name in measured:  # not where the compiler inlined the only call
            yield kernel.group(1) if kernel else CHAIN, measured[name] - local_bytes(body)


def local_bytes(body: str) -> int:
    """Bytes of local arrays, each rounded up to its alignment."""
    return sum(-(-int(count) * _BYTES[ctype.strip()] // 8) * 8 for ctype, count in _LOCAL.findall(body))


def sample_models(seed: int, layers: int = LAYERS) -> Iterator[bytes]:
    """Random layers of the kinds that have inline kernels, several in a model, and the example."""
    random = Random(seed)
    kinds = (windows.Conv2D, windows.DepthwiseConv2D, products.FullyConnected, products.Add, products.Sub)
    pools = (windows.MaxPool2D, windows.AveragePool2D, products.Mean)
    others = (products.Mul, products.SquaredDifference, movement.StridedSlice)
    for kind in (*kinds, *pools, *others):
        drawn = (kind.random(random) for _ in range(3 * layers))
        always = (GLOBAL_MEAN,) if kind is products.Mean else ()
        yield joint_model([*always, *(problem for problem in drawn if unsupported(problem) is None)][:layers])
    yield EXAMPLE.read_bytes()


def measure() -> dict[str, Any]:
    """Everything that stack.json holds."""
    alone: dict[str, dict[str, int]] = {tier: {} for tier in ("portable", *_TIERS)}
    inline: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for tier, source, cores in kernel_files():
            alone[tier][source.stem] = max(file_frame(source, core, folder) for core in cores)
        for core in (core for core in CORES if len(TARGETS[core].tiers) > 1):
            for model in sample_models(seed=1):
                for schedule in ("whole", "stream") if model == EXAMPLE.read_bytes() else ("whole",):
                    for kernel, frame in inline_frames(model, core, schedule, folder):
                        inline[kernel] = max(inline.get(kernel, 0), frame + MARGIN)
    # Copies of a few bytes have no frame of their own: the kernel keeps what is recorded.
    known = json.loads((KERNELS / "stack.json").read_text())["inline"]
    inline = {kernel: frame for kernel, frame in known.items() if kernel not in inline} | inline
    return {
        "compiler": "GCC 12.2, -O2, the largest over all supported cores",
        "bytes": alone.pop("portable"),
        "tiers": alone,
        "inline": dict(sorted(inline.items())),
    }


if __name__ == "__main__":
    (KERNELS / "stack.json").write_text(json.dumps(measure(), indent=2) + "\n")
