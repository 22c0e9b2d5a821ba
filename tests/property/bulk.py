"""Thousands of random problems in one go: generated C under sanitizers against the TFLM interpreter.

    cd tests && python -m property.bulk --problems 100000

A problem is named by seed and number alone, so that a run can be cut into pieces (``--first``) and a failure drawn
again. Kernels are built once; what is left per build is one file with a few hundred problems side by side. Failures
are cut down to single problems and printed, ready for `cases.py`; the exit code is 1 when there are any.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Self

from support.tflite_builder import ModelBuilder

from .catalogue import PROBLEMS
from .problem import Array, Ports, Problem
from .runtimes import SANITIZERS, WARNINGS, Host, HostStream, check

#: Kernels are built once and run by every problem.
_OPTIMIZED = tuple("-O1" if flag == "-O0" else flag for flag in SANITIZERS)


class BulkHost(HostStream):
    """The host runtime with kernels built once, by any compiler, for any schedule and tier."""

    def __init__(self, compiler: str = "cc", schedule: str = "whole", target: str = "host") -> None:
        self.name = f"{target} with {compiler}, schedule {schedule}"
        self.schedule = schedule
        self.target = target
        self.tools = (compiler,)
        self._compiler = compiler
        self._kernels = tempfile.TemporaryDirectory()

    def leaves_out(self, problem: Problem) -> str | None:
        return Host.leaves_out(self, problem) if self.schedule == "whole" else super().leaves_out(problem)

    def compiler(self) -> list[str]:
        return [self._compiler, *WARNINGS]

    def build(self, folder: Path) -> None:
        program = super().compiler()[-1]  # the file with `main`
        source = folder / "src"
        kernels = [self._kernel(path) for path in sorted(source.glob("tn_*.c"))]
        models = [str(path) for path in source.glob("*.c") if not path.name.startswith("tn_")]
        command = [*self.compiler(), *SANITIZERS, f"-I{source}", program, *models, *kernels]
        self.call([*command, "-o", str(folder / "program")], folder)

    def _kernel(self, source: Path) -> str:
        """Object file of a kernel; its source is the same for every model."""
        target = Path(self._kernels.name, source.stem + ".o")
        if not target.exists():
            command = [*self.compiler(), *_OPTIMIZED, f"-I{source.parent}", "-c", str(source), "-o", str(target)]
            self.call(command, source.parent)
        return str(target)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flattened(Problem):
    """A problem whose outputs leave as flat lists: layers that write a model's output are never streamed."""

    inner: Problem

    @classmethod
    def random(cls, random: Random) -> Self:
        raise NotImplementedError

    def inputs(self) -> list[Array]:
        return self.inner.inputs()

    def add_to(self, builder: ModelBuilder) -> Ports:
        ports = self.inner.add_to(builder)
        return Ports(ports.inputs, [self._flat(builder, index) for index in ports.outputs])

    def _flat(self, builder: ModelBuilder, index: int) -> int:
        shape = [math.prod(builder.shape(index))]
        flat = builder.tensor_like(index, shape)
        builder.operator("RESHAPE", [index, builder.constant(shape)], [flat])
        return flat


def draw(kinds: Sequence[type[Problem]], seed: str, number: int) -> Problem:
    """Problem of a number: kinds take turns."""
    kind = kinds[number % len(kinds)]
    return kind.random(Random(f"{kind.__name__} {seed} {number}"))


def failures(runtime: Host, problems: Sequence[Problem]) -> list[tuple[Problem, str]]:
    """Problems that fail, found by halving; each with its first sentence."""
    try:
        check(runtime, *problems)
    except (AssertionError, RuntimeError) as error:
        if len(problems) == 1:
            return [(problems[0], str(error))]
        half = len(problems) // 2
        return failures(runtime, problems[:half]) + failures(runtime, problems[half:])
    return []


def run(
    runtime: Host, kinds: Sequence[type[Problem]], seed: str, numbers: range, together: int
) -> tuple[Counter[str], list[tuple[Problem, str]]]:
    """Check problems `together` at a time; counts per kind, and failures."""
    counts: Counter[str] = Counter()
    failed: list[tuple[Problem, str]] = []
    for first in range(numbers.start, numbers.stop, together):
        drawn = [draw(kinds, seed, number) for number in range(first, min(first + together, numbers.stop))]
        if runtime.schedule != "whole":
            drawn = [Flattened(seed=problem.seed, inner=problem) for problem in drawn]
        taken = [problem for problem in drawn if runtime.leaves_out(problem) is None]
        if taken:
            failed += failures(runtime, taken)
            counts.update(type(getattr(problem, "inner", problem)).__name__ for problem in taken)
    return counts, failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for and print a summary."""
    parser = argparse.ArgumentParser(prog="property.bulk", description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default 0)")
    parser.add_argument("--seed", default="0", help="draws other problems (default 0)")
    parser.add_argument("--together", type=int, default=200, help="problems in one build (default 200)")
    parser.add_argument("--compiler", default="cc", help="cc, gcc or clang (default cc)")
    parser.add_argument("--schedule", default="whole", help="whole, stream-h or stream-w; a stream is built alone")
    parser.add_argument("--target", default="host", help="host, or host-dsp for emulated DSP instructions")
    parser.add_argument("--kinds", nargs="+", metavar="NAME", help="only these kinds of problems")
    options = parser.parse_args(arguments)
    kinds = [kind for kind in PROBLEMS if not options.kinds or kind.__name__ in options.kinds]
    runtime = BulkHost(options.compiler, options.schedule, options.target)
    together = options.together if options.schedule == "whole" else 1
    started = time.monotonic()
    numbers = range(options.first, options.first + options.problems)
    counts, failed = run(runtime, kinds, options.seed, numbers, together)
    for problem, sentence in failed:
        print(f"{problem}\n    {sentence}\n")
    for name in sorted(counts):
        print(f"{name:20} {counts[name]:7}")
    seconds = time.monotonic() - started
    print(f"{counts.total()} problems in {seconds:.0f} s with {runtime.name}, {len(failed)} mismatches")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
