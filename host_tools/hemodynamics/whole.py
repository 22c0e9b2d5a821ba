"""`thumbnet run` of a recipe about hemodynamic parameters: all stages, budgets, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pipeline.context import Say
from ..pipeline.folder import write_json
from ..pipeline.runner import check_machine
from .compress import BUNDLE, TABLE
from .recipe import HemoBudgetsTable, HemoRecipe
from .run import HemoRun, open_hemo_run, stages

if TYPE_CHECKING:
    from ..progress import NewTask

REPORT = "report.json"
_PROFILED = ("ram_bytes", "flash_bytes", "instructions")


def run_hemo_recipe(
    recipe: HemoRecipe, output: Path, say: Say, new_task: NewTask
) -> tuple[HemoRun, Mapping[str, Any], list[str]]:
    """Run every stage that is not up to date, and write `report.json`.

    Returns
    -------
    run : HemoRun
    report : mapping
        Content of the report.
    complaints : list of str
        A sentence for each budget that was exceeded.

    Raises
    ------
    HostToolsError, TrainingError, QuantizeError, CodegenError
        When a stage cannot be done; what was finished before stays.
    """
    from ..pipeline import firmware

    run = open_hemo_run(recipe, output, say, new_task)
    check_machine(run.boards)
    for stage in stages().values():
        stage(run)
    if run.folder.facts("compress")["why_no_bundle"] is None:
        firmware.generate(run)
        firmware.boards(run)
    report = make_report(run)
    write_json(run.folder.path / REPORT, {"schema": "thumbnet.hemodynamics-report/1", **report})
    run.folder.save()
    return run, report, complaints(recipe.budgets, report)


def make_report(run: HemoRun) -> dict[str, Any]:
    """Put together what the stages found."""
    boards = []
    for board in run.boards:
        if f"profile:{board.name}" in run.folder.stages:
            facts = {kind: run.folder.facts(f"{kind}:{board.name}") for kind in ("build", "parity", "profile")}
            boards.append({"name": board.name, **facts})
    stages_done = {name: run.folder.facts(name) for name in ("data", "train", "compress")}
    return {"run": run.folder.path.name, **stages_done, "boards": boards,
            "files": [name for name in (BUNDLE, TABLE) if (run.folder.path / name).is_file()]}  # fmt: skip


def complaints(budgets: HemoBudgetsTable, report: Mapping[str, Any]) -> list[str]:
    """Say which budgets were exceeded; a figure that a board does not have is not checked there."""
    found = []
    for board in report["boards"]:
        for key in _PROFILED:
            limit, value = getattr(budgets, key), board["profile"].get(key)
            if limit is not None and value is not None and value > limit:
                found.append(f"budgets.{key} allows at most {limit:g}, {board['name']} has {value:g}")
        mismatches = board["parity"]["mismatches"]
        allowed = budgets.parity_mismatches
        if mismatches > allowed:
            found.append(f"budgets.parity_mismatches allows at most {allowed}, {board['name']} has {mismatches}")
    kept = report["compress"]["rows"][-1]["gain_kept"] or {}
    for task, share in kept.items():
        if budgets.gain_kept is not None and share is not None and share < budgets.gain_kept:
            found.append(f"budgets.gain_kept allows at least {budgets.gain_kept:g}, {task} has {share:.3g}")
    return found
