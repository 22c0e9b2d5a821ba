"""Measure the coefficients of the compiler's cost model anew: ``python -m thumbnet.host_tools.fit_cost MODEL ...``.

Profiles every model on emulated boards by whole tensors and as a stream, and writes ``codegen/cost.json``. Per core and
kernel the coefficients minimise the squared error over all layers, each in proportion to its size; none is negative.
A layer of two kernels has coefficients of its own; kernels of no model here keep theirs. Prints how far estimates are
off. Sizes of code are those of the sections that the compiler for Arm gives, at -O2 for a Cortex-M4.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from thumbnet.codegen import CodegenError, Limits, compile_model, passes
from thumbnet.codegen.choose import choose
from thumbnet.codegen.cost import DATA, Work, features, layer_cost, together_name, works_of
from thumbnet.codegen.schedule import Schedule
from thumbnet.codegen.targets import find_target
from thumbnet.codegen.tflite import read_graph

from .boards import get_board
from .modelfile import ModelFile, read_model
from .profile import Profile, profile_model

BOARDS = ("qemu_m3", "qemu_m4", "qemu_m55")
SCHEDULES = ("whole", "stream")
#: Cores that run the same kernels as a measured one.
ALIKE = {
    **{"cortex-m0": "cortex-m3", "cortex-m7": "cortex-m4", "cortex-m33": "cortex-m4", "host": "cortex-m3"},
    **{"host-dsp": "cortex-m4", "host-mve": "cortex-m55", "cortex-m55": "cortex-m4"},
}
_OTHER = "other"


@dataclass(frozen=True)
class Run:
    """One profile, with the schedule behind it."""

    name: str
    schedule: Schedule
    profile: Profile

    @property
    def works(self) -> list[list[Work]]:
        """Work of every layer, kernel by kernel."""
        return [works_of(self.schedule.program.graph, step) for step in self.schedule.steps]

    @property
    def glue(self) -> tuple[int, int]:
        """Passes over the layers, and layers that fired."""
        segments = [s for s in self.schedule.program.segments if s is not None]
        return sum(s.length for s in segments), sum(len(f) for s in segments for f in s.timing.fires)


def measure(models: Sequence[ModelFile], board_name: str) -> list[Run]:
    """Profiles of all models on a board; a model that does not stream is measured by whole tensors only."""
    board, runs = get_board(board_name), []
    target = find_target(board.target)
    for model in models:
        graph = passes.run(read_graph(model.tflite), target)
        for name in SCHEDULES:
            with tempfile.TemporaryDirectory(prefix="thumbnet-fit-") as folder:
                try:
                    schedule = choose(graph, name, target, Limits()).schedule
                    profile = profile_model(model, board, Path(folder), schedule=name)
                except CodegenError as error:
                    print(f"{model.path.name}, {name}: {error}")
                    continue
            runs.append(Run(f"{model.path.name}, {name}", schedule, profile))
    return runs


def fit(rows: Iterable[tuple[Sequence[float], float, float]]) -> list[float]:
    """Coefficients, none negative, with the least error: the best over all sets of features.

    Rows are features, what they should come to, and a third: an error counts in inverse proportion to its root.
    """
    features, wanted, sizes = (np.array(part, float) for part in zip(*rows, strict=True))
    weights = 1 / np.sqrt(np.maximum(sizes, 1))
    best, least = np.zeros(features.shape[1]), np.inf
    for size in range(1, features.shape[1] + 1):
        for chosen in combinations(range(features.shape[1]), size):
            found, *_ = np.linalg.lstsq(features[:, chosen] * weights[:, None], wanted * weights, rcond=None)
            error = float((((features[:, chosen] @ found - wanted) * weights) ** 2).sum())
            if (found >= 0).all() and error < least * 0.98:
                best, least = np.zeros(features.shape[1]), error
                best[list(chosen)] = found
    return [round(float(value), 3) for value in best]


def fit_core(runs: Sequence[Run]) -> dict[str, Any]:
    """Coefficients of one core."""
    rows: dict[str, list[tuple[Sequence[float], float, float]]] = defaultdict(list)
    for run in runs:
        for works, layer in zip(run.works, run.profile.layers, strict=True):
            if layer.cost:
                row = features(works), layer.cost, layer.cost
                rows[together_name(works)].append(row)
                if len(works) == 1:
                    rows[_OTHER].append(row)
    core = {"pass": 0, "try": 0, "kernels": {name: fit(rows[name]) for name in sorted(rows)}}
    # What streams take beyond their layers goes into passing and trying. Reading the clock makes layers a little larger
    # than they are, so that it may be less than nothing for one model: all count, in proportion to the whole.
    rest = [(run.glue, run.profile.cost - _told(core, run), run.profile.cost**2) for run in runs if run.glue[0]]
    passing, trying = fit(rest or [((1, 1), 0, 1)])
    return {**core, "pass": passing, "try": trying}


def code_bytes(runs: Sequence[Run], models: Sequence[ModelFile]) -> dict[str, int]:
    """Bytes of code: of each shared kernel, of an inline kernel's function, of what calls them."""
    sizes: dict[str, list[int]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="thumbnet-fit-") as folder:
        for number, model in enumerate(models):
            root = Path(folder, str(number))
            compile_model(model.tflite, schedule="auto").write(root)
            kernels = _kernel_of_function((root / "src" / "model.c").read_text())
            glue = 0
            for source in sorted((root / "src").glob("*.c")):
                for name, size in _functions(source):
                    if source.name != "model.c":
                        sizes[f"+{source.stem}"].append(size)
                    elif name in kernels:
                        sizes[kernels[name]].append(size)
                    else:
                        glue += size
                if source.name != "model.c":
                    sizes[source.stem] = [sum(sizes.pop(f"+{source.stem}"))]
            layers = len(compile_model(model.tflite, schedule="auto").layers)
            sizes["stage"].append((glue - 300) // layers)
    found = {name: round(float(np.mean(values))) for name, values in sorted(sizes.items())}
    inline = [size for name, values in sizes.items() if name.endswith(("_dsp", "_mve")) for size in values]
    return {**found, "other": 600, "inline": round(float(np.mean(inline or [700]))), "step": 40, "model": 300}


def _kernel_of_function(source: str) -> dict[str, str]:
    """Inline kernel behind every function that a layer has of its own."""
    found = re.findall(r"TN_OUTLINE void (\w+)\([^)]*\)\n\{.*?\n    (tn_\w+?)_(?:run|row)\(", source, re.DOTALL)
    return dict(found)


def _functions(source: Path) -> list[tuple[str, int]]:
    target = source.with_suffix(".o")
    flags = ["-mcpu=cortex-m4", "-mthumb", "-O2", "-ffunction-sections", "-I", str(source.parent)]
    subprocess.run(["arm-none-eabi-gcc", *flags, "-c", str(source), "-o", str(target)], check=True, timeout=120)
    command = ["arm-none-eabi-nm", "-S", str(target)]
    listing = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    found = re.findall(r"^\w+ (\w+) [tT] (\w+)$", listing, re.MULTILINE)
    return [(name, int(size, 16)) for size, name in found]


def _told(core: dict[str, Any], run: Run) -> float:
    count, fired = run.glue
    layers = sum(layer_cost(core["kernels"], works) for works in run.works)
    return layers + float(core["pass"] * count + core["try"] * fired)


def main() -> None:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--boards", nargs="+", default=BOARDS)
    options = parser.parse_args()
    models = [read_model(path) for path in options.models]
    old = json.loads(DATA.read_text())
    cores: dict[str, Any] = dict(old["cores"])
    runs: list[Run] = []
    for board in options.boards:
        runs = measure(models, board)
        core = fit_core(runs)
        for run in runs:
            total = run.profile.cost
            print(f"{board}, {run.name}: {total:,} instructions, estimate {_told(core, run) / total - 1:+.0%}")
        known = cores.get(get_board(board).target, {}).get("kernels", {})
        cores[get_board(board).target] = {**core, "kernels": dict(sorted((known | core["kernels"]).items()))}
    alike = {name: core for name, core in ALIKE.items() if name not in cores}
    data = {"cores": cores, "alike": alike, "code_bytes": old["code_bytes"] | code_bytes(runs, models)}
    DATA.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
