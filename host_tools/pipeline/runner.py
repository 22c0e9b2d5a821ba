"""Run a recipe from signals to report."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..doctor import examine, missing, program_version
from ..errors import ToolchainMissing
from ..options import choose_board
from ..progress import NewTask
from ..recipes import Recipe
from ..report.write import write_report
from .budgets import check_budgets
from .context import Run, Say
from .engines import Engine
from .folder import RunFolder, write_json
from .hashing import content_hash, versions

if TYPE_CHECKING:
    from ..boards import Board

_PACKAGES = ("thumbnet", "tensorflow", "tf-keras", "numpy", "mne", "scikit-learn", "tflite-micro", "platformio")

Stage = Callable[[Run], object]

PARTS = {
    "signals": ("signals",),
    "folds": ("signals", "folds"),
    "train": ("signals", "train"),
    "compress": ("signals", "train", "compress"),
    "compression": ("signals", "train", "compress", "compression"),
    "search": ("signals", "search"),
}
"""Stages that need no board, and what each needs before it."""


def run_recipe(
    recipe: Recipe, output: Path, say: Say, new_task: NewTask, engine: Engine | None = None
) -> tuple[Mapping[str, Any], list[str]]:
    """Run every stage of a recipe that is not up to date, and write the report.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    output : pathlib.Path
        Folder of the run; made when missing.
    say : callable
        Takes one line of progress.
    new_task : callable
        Opens a progress bar.
    engine : Engine, optional
        Where folds are computed; default: one after the other on this computer.

    Returns
    -------
    report : mapping
        The content of `report.json`.
    complaints : list of str
        A sentence for each budget that was exceeded.

    Raises
    ------
    HostToolsError, TrainingError, QuantizeError, CodegenError
        When a stage cannot be done; what was finished before stays.
    """
    run = open_run(recipe, output, say, new_task, engine)
    check_machine(run.boards)
    for stage in _stages().values():
        stage(run)
    run.folder.forget(keep=_names(run.boards) | _optional_names(recipe))
    report = _finish(run)
    exceeded = check_budgets(recipe.budgets, report["metrics"], report["agreement"]["share"], report["boards"])
    return report, [budget.sentence for budget in exceeded if not budget.ok]


def run_part(
    recipe: Recipe, output: Path, last: str, say: Say, new_task: NewTask, engine: Engine | None = None
) -> RunFolder:
    """Run a stage of `PARTS` and those that it needs, and leave others as they are.

    Raises
    ------
    HostToolsError, TrainingError, QuantizeError
        When a stage cannot be done.
    """
    run = open_run(recipe, output, say, new_task, engine)
    check_machine(())
    stages = _stages() | _asked_for_alone()
    for name in PARTS[last]:
        stages[name](run)
    run.folder.save()
    return run.folder


def open_run(recipe: Recipe, output: Path, say: Say, new_task: NewTask, engine: Engine | None = None) -> Run:
    """Open the folder of a run for work.

    Raises
    ------
    HostToolsError
        An unknown board, or a folder that holds something else.
    """
    boards = [choose_board(name) for name in recipe.boards.names]
    recipe = with_boards(recipe, [board.name for board in boards])
    folder = RunFolder.create(output, recipe.name)
    folder.info = {**folder.info, **_about(recipe, folder.info)}
    # From now on the folder is known as a run, whatever interrupts the first stage.
    folder.save()
    return Run(recipe, folder, boards, say, new_task, engine or Engine())


def check_machine(boards: Sequence[Board]) -> None:
    """Refuse a run that this machine cannot finish, before minutes are spent on training.

    The cross compiler is not asked for: where it is missing, PlatformIO may fetch it.

    Raises
    ------
    ToolchainMissing
        Names the first thing missing, how to get it, and the way around it.
    """
    purposes = ["train"]
    purposes += ["host"] if any(board.is_host for board in boards) else []
    purposes += ["boards"] if any(not board.is_host for board in boards) else []
    for lack in missing(examine(tuple(purposes))):
        if lack.name != "arm-none-eabi-gcc":
            around = (
                "; --board host needs no emulator" if "boards" in lack.purposes and "train" not in lack.purposes else ""
            )
            raise ToolchainMissing(f"{lack.name} is needed and missing ({lack.detail}): {lack.remedy}{around}")


def with_boards(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """Return the recipe for other boards."""
    return recipe.model_copy(update={"boards": recipe.boards.model_copy(update={"names": tuple(names)})})


def with_data(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe for the recordings of a folder."""
    return recipe.model_copy(update={"signals": recipe.signals.model_copy(update={"folder": str(folder.resolve())})})


def _stages() -> dict[str, Stage]:
    # Imported here so that a mistake in the recipe is told before TensorFlow is loaded.
    from . import compress, compression, firmware, folds, plots, signals, train

    return {
        "signals": signals.signals,
        "folds": folds.folds,
        "train": train.train,
        "compress": compress.compress,
        "compression": compression.compression,
        "plots": plots.plots,
        "generate": firmware.generate,
        "boards": firmware.boards,
    }


def _asked_for_alone() -> dict[str, Stage]:
    """Stages that have a command of their own and are no part of `thumbnet run`."""
    from ..search.run import search

    return {"search": search}


def _names(boards: Sequence[Board]) -> set[str]:
    """Names of every stage that a run on these boards has."""
    per_board = {f"{stage}:{board.name}" for stage in ("build", "parity", "profile") for board in boards}
    return {*PARTS["compress"], "plots"} | {f"generate:{board.target}" for board in boards} | per_board


def _optional_names(recipe: Recipe) -> set[str]:
    """Names of the stages that a recipe may do without."""
    from .compression import stage_names

    return {"search"} | ({"folds"} if recipe.folds.count else set()) | stage_names(recipe.compression)


def _about(recipe: Recipe, before: Mapping[str, Any]) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    table = recipe.model_dump(mode="json")
    return {
        "created": before.get("created", now),
        "updated": now,
        "recipe": table,
        "recipe_sha256": content_hash(table),
        "seeds": {
            "signals": recipe.signals.synthetic.seed if not recipe.signals.folder else "none, recordings",
            "training": recipe.training.seed,
            "quantize": recipe.quantize.seed,
        },
        "versions": {"python": platform.python_version(), **versions(_PACKAGES), **_tool_versions(recipe)},
    }


def _tool_versions(recipe: Recipe) -> dict[str, str]:
    """Versions of the compilers and of the emulator that the recipe's boards use."""
    names = set(recipe.boards.names)
    tools = ["cc"] if "host" in names else []
    tools += ["arm-none-eabi-gcc", "qemu-system-arm"] if names - {"host"} else []
    found = {tool: program_version(tool) for tool in tools}
    return {tool: text.split(" ")[0] for tool, (works, text) in found.items() if works}


def _finish(run: Run) -> Mapping[str, Any]:
    """Write the report, and the results of all boards and all models in one file each."""
    report = write_report(run.folder)
    path = run.folder.path
    for kind in ("parity", "profile"):
        results = {board["name"]: board[kind] for board in report["boards"]}
        write_json(path / f"{kind}.json", {"schema": f"thumbnet.{kind}-run/1", "boards": results})
    metrics = {key: report[key] for key in ("metrics", "agreement", "quantization")}
    write_json(
        path / "metrics.json", {"schema": "thumbnet.metrics/1", "protocol": report["run"]["protocol"], **metrics}
    )
    run.folder.info["metrics"] = report["metrics"]
    run.folder.info["budgets"] = report["budgets"]
    run.folder.save()
    return report
