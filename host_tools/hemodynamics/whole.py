"""`thumbnet run` of a recipe about hemodynamic parameters: all stages, budgets, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pipeline.context import Say
from ..pipeline.runner import check_machine
from ..report.write import write_report
from .budgets import check_hemo_budgets
from .context import HemoRun
from .costs import costs, write_table
from .evaluation import evaluate
from .recipe import HemoRecipe
from .run import open_hemo_run, stages

if TYPE_CHECKING:
    from ..progress import NewTask


def run_hemo_recipe(
    recipe: HemoRecipe, output: Path, say: Say, new_task: NewTask
) -> tuple[Mapping[str, Any], list[str]]:
    """Run every stage that is not up to date, and write the report.

    Returns
    -------
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
        costs(run)
    evaluate(run)
    run.folder.forget(keep=_names(run))
    write_table(run.folder)
    report = write_report(run.folder)
    run.folder.info["budgets"] = report["budgets"]
    run.folder.save()
    exceeded = check_hemo_budgets(recipe.budgets, report["compress"]["rows"], report["boards"])
    return report, [budget.sentence for budget in exceeded if not budget.ok]


def _names(run: HemoRun) -> set[str]:
    """Names of every stage that a run of this recipe has."""
    facts = run.folder.facts("compress")
    if facts["why_no_bundle"] is not None:
        return {*stages(), "evaluate"}
    per_board = {f"{stage}:{board.name}" for stage in ("build", "parity", "profile") for board in run.boards}
    cores = {f"generate:{board.target}" for board in run.boards}
    return {*stages(), "evaluate"} | per_board | cores | {f"cost:{name}" for name in facts["bundles"]}
