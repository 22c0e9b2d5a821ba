"""A run about hemodynamic parameters: its folder, its first stage, and the order of all."""

from __future__ import annotations

import datetime
import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HostToolsError
from ..options import choose_board
from ..pipeline.context import Say
from ..pipeline.engines import Engine
from ..pipeline.folder import RunFolder, write_json
from ..pipeline.hashing import content_hash, versions
from .context import HemoRun
from .costs import write_table
from .networks import PACKAGES
from .recipe import HemoRecipe

if TYPE_CHECKING:
    from ..progress import NewTask

PARTS = {"data": ("data",), "train": ("data", "train"), "compress": ("data", "train", "prune", "compress")}
"""Stages that need no board, and what each needs before it."""


def open_hemo_run(recipe: HemoRecipe, output: Path, say: Say, new_task: NewTask) -> HemoRun:
    """Open the folder of a run for work.

    Raises
    ------
    HostToolsError
        An unknown board, or a folder that holds something else.
    """
    boards = [choose_board(name) for name in recipe.boards.names]
    folder = RunFolder.create(output, recipe.name)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    table = recipe.model_dump(mode="json")
    folder.info |= {
        "created": folder.info.get("created", now),
        "updated": now,
        "recipe": table,
        "recipe_sha256": content_hash(table),
        "seeds": {"data": recipe.source.seed, "training": recipe.training.seed},
        "versions": {"python": platform.python_version(), **versions(("thumbnet", *PACKAGES, "tflite-micro"))},
    }
    folder.save()
    return HemoRun(recipe, folder, boards, say, new_task, Engine())


def run_hemo_part(recipe: HemoRecipe, output: Path, last: str, say: Say, new_task: NewTask) -> HemoRun:
    """Run a stage of `PARTS` and those that it needs.

    Raises
    ------
    HostToolsError, TrainingError, QuantizeError
        When a stage cannot be done; what was finished before stays.
    """
    run = open_hemo_run(recipe, output, say, new_task)
    for name in PARTS[last]:
        stages()[name](run)
    if last == "compress":
        write_table(run.folder)
    run.folder.save()
    return run


def stages() -> dict[str, Callable[[HemoRun], Any]]:
    """Stages that need no board, in order."""
    # Imported here so that a mistake in the recipe is told before TensorFlow is loaded.
    from .compress import compress
    from .prune import prune
    from .train import train

    return {"data": data, "train": train, "prune": prune, "compress": compress}


def data(run: HemoRun) -> dict[str, Any]:
    """Read or draw the windows and divide them; the facts hold counts, protocol and a fingerprint."""
    source = run.recipe.source
    depends = {"data": source.to_dict(), "files": _stamps(run.recipe), "versions": versions(("numpy", "scipy"))}
    return run.stage("data", depends, ("training/hemodynamics",), lambda folder: _data_work(run, folder))


def _data_work(run: HemoRun, folder: Path) -> dict[str, Any]:
    windows, division = run.loaded.windows, run.loaded.division
    write_json(folder / "data.json", {"schema": "thumbnet.hemodynamics-data/1", "data": run.recipe.source.to_dict()})
    digest = hashlib.sha256(np.ascontiguousarray(windows.signals).tobytes() + windows.labels.tobytes())
    parts = ("train", "validation", "test", "known")
    for part in parts:
        digest.update(getattr(division, part).tobytes())
    return {
        "name": windows.name,
        "tasks": list(windows.tasks),
        "samples": int(windows.signals.shape[1]),
        "protocol": division.protocol,
        "label": division.label,
        "leaks": list(division.leaks),
        "windows": {part: len(getattr(division, part)) for part in parts},
        "notes": list(windows.notes),
        "sha256": digest.hexdigest(),
    }


def _stamps(recipe: HemoRecipe) -> dict[str, Any]:
    """Size and date of the files that data are read from."""
    source = recipe.source
    files = [Path(name) for name in (source.ppg_file, source.labels_file) if name]
    if source.folder:
        files += sorted(path for path in Path(source.folder).rglob("*") if path.is_file())
    try:
        return {str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in files}
    except OSError as error:
        raise HostToolsError(f"{error.filename} cannot be read: {error.strerror}") from None
