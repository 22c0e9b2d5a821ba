"""A process of a search: ``python -m thumbnet.host_tools.search.work TASK.json``.

It either takes trials until none waits, or trains one network in full.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import HostToolsError
from ..pipeline.fold_work import claim_patiently, end_with_parent
from ..pipeline.folder import write_json
from ..recipes import Recipe, parse_recipe
from .cost import Cost, measure
from .network import Trained, Workshop, cpu_seconds
from .space import Candidate
from .study import FAILED, OVER, STOPPED, TRAINED, LaggingError, Report, Verdict, quiet, run_trials

TASK, DONE, MODEL, TFLITE = "task.json", "network.json", "model.keras", "model.tflite"


@dataclass(frozen=True)
class Task:
    """What a process needs to know.

    Attributes
    ----------
    folder : pathlib.Path
        Its own.
    search : pathlib.Path
        Of the search.
    manifest : pathlib.Path
        The data set in the cache.
    recipe : Recipe
        Of the run.
    number : int
        Of the worker.
    candidate : Candidate or None
        What to train in full; None to take trials.
    key : str
        Hash of all that decides the result.
    """

    folder: Path
    search: Path
    manifest: Path
    recipe: Recipe
    number: int
    candidate: Candidate | None
    key: str

    def write(self) -> Path:
        """Write the task into its folder; returns the file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / TASK, {
            "search": str(self.search),
            "manifest": str(self.manifest),
            "recipe": self.recipe.model_dump(mode="json"),
            "number": self.number,
            "candidate": self.candidate.to_dict() if self.candidate else None,
            "key": self.key,
        })  # fmt: skip
        return self.folder / TASK

    @classmethod
    def read(cls, path: Path) -> Task:
        """Read what :meth:`write` wrote.

        Raises
        ------
        HostToolsError
            When this machine does not see the file, or it is damaged.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            candidate = content["candidate"] and Candidate.from_dict(content["candidate"])
            recipe = parse_recipe(content["recipe"], "of the run")
            return cls(path.parent, Path(content["search"]), Path(content["manifest"]), recipe, content["number"],
                       candidate, content["key"])  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HostToolsError(f"the task of a search {path} cannot be read: {error}") from None


def finished(folder: Path, key: str) -> dict[str, Any] | None:
    """What was noted about a network trained in full; None where it is not done, or was for something else."""
    try:
        content: dict[str, Any] = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if content.get("key") == key else None


class Bench:
    """Puts candidates through their trials."""

    def __init__(self, task: Task, workshop: Workshop) -> None:
        self._task, self._shop, self._table = task, workshop, task.recipe.search

    def judge(self, candidate: Candidate, report: Report, place: int) -> Verdict:
        """Compile first; train what keeps within the budgets; compile again, because weights decide about code."""
        from ..cli import is_user_error

        started = cpu_seconds()
        try:
            cost = self.cost(self._shop.untrained(candidate))
            over = cost.over(self._table.budgets)
            if over:
                return self._verdict(OVER, cost, f"{over}, not trained", started)
            settings = self._shop.settings(self._table.window_passes)
            try:
                trained = self._shop.train(
                    candidate, settings, on_pass=lambda number, row: report(number, row["val_accuracy"])
                )
            except LaggingError as error:
                return self._verdict(STOPPED, cost, str(error), started)
            cost = self.cost(trained.tflite)
            over = cost.over(self._table.budgets)
            if over:
                return self._verdict(OVER, cost, f"{over}, after training", started)
            return self._trained(candidate, trained, cost, place, started)
        except Exception as error:
            if not is_user_error(error):
                raise
            return Verdict(FAILED, " ".join(str(error).split()))

    def cost(self, tflite: bytes) -> Cost:
        """What a network takes on the search's core."""
        return measure(tflite, self._table.target, self._table.schedule, self._table.budgets)

    def _trained(self, candidate: Candidate, trained: Trained, cost: Cost, place: int, started: float) -> Verdict:
        accuracy = self._shop.accuracy(trained.tflite, candidate, "validation")
        (self._task.search / "trials").mkdir(exist_ok=True)
        (self._task.search / "trials" / f"{place:04d}.tflite").write_bytes(trained.tflite)
        facts = {"parameters": trained.parameters, "passes": trained.passes}
        return self._verdict(TRAINED, cost, "", started, accuracy, facts)

    def _verdict(
        self, outcome: str, cost: Cost, reason: str, started: float, accuracy: float | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Verdict:  # fmt: skip
        told = {**(facts or {}), "cpu_seconds": cpu_seconds(started)}
        return Verdict(outcome, reason, cost.to_dict(), cost.excess(self._table.budgets), accuracy, told)


def train_in_full(task: Task, candidate: Candidate) -> None:
    """Train one network with all of the recipe's passes; it is judged on validation and test windows."""
    started = cpu_seconds()
    shop = Workshop(task.manifest, task.recipe)
    trained = shop.train(candidate, shop.settings(), checkpoints=task.folder)
    trained.model.save(task.folder / MODEL)
    (task.folder / TFLITE).write_bytes(trained.tflite)
    cost = Bench(task, shop).cost(trained.tflite)
    write_json(task.folder / DONE, {
        "key": task.key,
        "network": candidate.to_dict(),
        "widths": widths(trained.model),
        "parameters": trained.parameters,
        "passes": trained.passes,
        "cost": cost.to_dict(),
        "over": cost.over(task.recipe.search.budgets),
        "accuracy": {part: {"float": shop.float_accuracy(trained.model, candidate, part),
                            "int8": shop.accuracy(trained.tflite, candidate, part)} for part in ("validation", "test")},
        "clip_uv": list(trained.scaling.clip_uv),
        "cpu_seconds": cpu_seconds(started),
    })  # fmt: skip


def widths(model: Any) -> dict[str, Any]:
    """Filters of each block and hidden units, as they are after pruning."""
    shapes = {layer.name: layer.output_shape for layer in model.layers}
    filters = [shape[-1] for name, shape in shapes.items() if name.startswith("block") and name.endswith("_add")]
    return {"filters": filters, "hidden_units": shapes["hidden"][-1] if "hidden" in shapes else 0}


def main(arguments: list[str]) -> int:
    """Do the task of a file; the last line printed says what went wrong. Exit codes are those of `thumbnet`."""
    from ..cli import is_user_error

    end_with_parent()
    try:
        task = Task.read(Path(arguments[0]))
        with claim_patiently(task.folder), quiet():
            if task.candidate is None:
                bench = Bench(task, Workshop(task.manifest, task.recipe))
                run_trials(task.search, task.recipe.search, task.number, bench.judge)
            elif finished(task.folder, task.key) is None:
                train_in_full(task, task.candidate)
    except Exception as error:
        if not is_user_error(error):
            raise
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
