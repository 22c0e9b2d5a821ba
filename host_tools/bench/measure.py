"""Measure models on boards under several schedules, as rows of one table beside the baseline.

Every figure is that of :mod:`.profile`: the plain firmware of a product, one inference, counted by QEMU.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from thumbnet.codegen import OptionError, analyze_model

from ..boards import Board, firmware_dir
from ..build import COMPILER
from ..errors import BoardError, BuildError, HostToolsError, ToolchainMissing
from ..modelfile import ModelFile, read_model
from ..profile import profile_model
from .baseline import Reference, find_model, find_reference

SCHEDULES = ("whole", "stream")
BOARDS = ("qemu_m4", "qemu_m55")
EMULATOR = "qemu-system-arm"

#: Figures of a row, in the order of the tables: key, heading.
FIGURES = {
    "instructions": "instructions",
    "push_mean": "push mean",
    "push_max": "push max",
    "finish": "finish",
    "state_bytes": "state",
    "stack_bytes": "stack",
    "ram_bytes": "RAM",
    "flash_bytes": "flash",
}


@dataclass(frozen=True)
class Case:
    """One row to measure."""

    model: ModelFile
    board: Board
    schedule: str
    optimize: str = "speed"


@dataclass(frozen=True)
class Row:
    """One model on one board under one schedule.

    Attributes
    ----------
    macs : int
        Of the model as it is; the compiler may need fewer.
    known_as : str or None
        Name in the baseline.
    figures : dict
        Every key of :data:`FIGURES`; None what this schedule does not have, as pushes of whole tensors.
    layers : list of dict
        As `thumbnet profile --json` gives them.
    refused : str
        Why there are no figures: the model cannot be streamed, or does not fit the board.
    optimize : str
        What the code leans to.
    """

    model: ModelFile
    board: Board
    schedule: str
    macs: int
    known_as: str | None
    figures: dict[str, int | None]
    layers: list[dict[str, Any]]
    reference: Reference | None
    refused: str = ""
    optimize: str = "speed"

    @property
    def name(self) -> str:
        """Name in the baseline, else of the file."""
        return self.known_as or self.model.path.name

    @property
    def title(self) -> str:
        """The row in words."""
        return f"{self.name} on {self.board.name}, {self.variant}"

    @property
    def variant(self) -> str:
        """Schedule, and `size` where the code leans to it."""
        return self.schedule if self.optimize == "speed" else f"{self.schedule}, {self.optimize}"

    @property
    def ratio(self) -> float | None:
        """Instructions as a share of the baseline's."""
        count = self.figures["instructions"]
        return None if count is None or self.reference is None else count / self.reference.instructions

    def to_dict(self) -> dict[str, Any]:
        """JSON form, see docs/json-schemas.md."""
        count = self.figures["instructions"]
        return {
            "model": self.model.to_dict(),
            "known_as": self.known_as,
            "board": self.board.name,
            "target": self.board.target,
            "schedule": self.schedule,
            "optimize": self.optimize,
            "macs": self.macs,
            **self.figures,
            "instructions_per_mac": round(count / self.macs, 3) if count is not None and self.macs else None,
            "baseline": None if self.reference is None else self.reference.to_dict(),
            "of_baseline": None if self.ratio is None else round(self.ratio, 4),
            "refused": self.refused or None,
            "layers": self.layers,
        }


def example_model() -> Path:
    """The ULW-SleepNet that travels with the package."""
    return firmware_dir() / "example_model" / "model.tflite"


def find_models(given: Sequence[Path], folder: Path | None) -> list[ModelFile]:
    """Models to measure: those given, else the built-in example and every .tflite file of a folder.

    Raises
    ------
    HostToolsError
        When a file is missing or no model, or the folder is none.
    """
    if given:
        return [read_model(path) for path in given]
    if folder is not None and not folder.is_dir():
        raise HostToolsError(f"--models {folder} is not a folder; give one that holds .tflite files")
    return [read_model(path) for path in (example_model(), *sorted(folder.glob("*.tflite") if folder else ()))]


def cases(
    models: Sequence[ModelFile], boards: Sequence[Board], schedules: Sequence[str], leanings: Sequence[str] = ("speed",)
) -> list[Case]:
    """Every model on every board under every schedule, leaning to speed or size or both.

    Raises
    ------
    BoardError
        When instructions cannot be counted on a board.
    """
    for board in boards:
        if board.machine is None:
            raise BoardError(f"board: {board.name} is not emulated, and only an emulator counts instructions.")
    return [Case(*choice) for choice in product(models, boards, schedules, leanings)]


def measure(wanted: Sequence[Case], folder: Path, *, seed: int = 1, jobs: int = 2) -> Iterator[Row]:
    """Rows in the order of the cases, each as soon as it is there.

    Parameters
    ----------
    wanted
        What to measure.
    folder
        Working folder.
    seed
        Of the window that is run.
    jobs
        Rows measured at the same time.

    Raises
    ------
    HostToolsError, CodegenError
        When a model does not compile or a device fails. A schedule that a model cannot have, and a board that
        it does not fit, are rows of their own (`refused`).
    """
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_row, case, folder / str(number), seed) for number, case in enumerate(wanted)]
        try:
            for future in waiting:
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def _row(case: Case, folder: Path, seed: int) -> Row:
    macs, known_as = analyze_model(case.model.tflite).macs, find_model(case.model)
    reference = find_reference(known_as, case.board.target)
    nothing: dict[str, int | None] = dict.fromkeys(FIGURES)
    row = Row(case.model, case.board, case.schedule, macs, known_as, nothing, [], reference, optimize=case.optimize)
    try:
        profile = profile_model(
            case.model, case.board, folder, seed=seed, schedule=case.schedule, optimize=case.optimize
        )
    except ToolchainMissing:
        raise
    except (OptionError, BuildError) as error:
        return replace(row, refused=str(error))
    told = profile.to_dict()
    figures = {key: None if told[key] is None else round(told[key]) for key in FIGURES}
    return replace(row, figures=figures, layers=told["layers"])


def tools() -> dict[str, str]:
    """Versions that the figures depend on, by tool."""
    return {name: _version(name) for name in (COMPILER, EMULATOR)}


def _version(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        return "not installed"
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0]
