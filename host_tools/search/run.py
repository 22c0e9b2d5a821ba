"""Stage `search`: trials, the best of them trained in full beside the recipe's own network, the front, the choice."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pipeline.compress import make_bundle
from ..pipeline.context import Run
from ..pipeline.engines import FoldError, Work
from ..pipeline.folder import RunError, write_json, write_text
from ..pipeline.hashing import code_hash, content_hash, versions
from ..pipeline.quiet import quiet_libraries
from .front import Record, finalists, nearest_miss, pareto_front
from .network import Workshop
from .proof import measure_on_board
from .space import Candidate, own_network
from .study import TRIALS, SearchError, prepare, quiet, records
from .text import recipe_lines, trial_line
from .work import MODEL, TFLITE, Task, finished

if TYPE_CHECKING:
    from ..recipe_search import SearchTable

FOLDER, RESULTS, BEST = "search", "search.json", "best.toml"
SCHEMA = "thumbnet.search/1"
_WORK = Work(f"{__package__}.work", "process", "trials")
_KEY = "key.json"
_CODE = (
    *(
        f"training/{name}.py"
        for name in ("cache", "mapped", "epochs", "loop", "steps", "augment", "checkpoint", "splits")
    ),
    *(f"training/sleep/{name}.py" for name in ("stages", "ulw_sleepnet")),
    "quantize",
    "codegen",
    "firmware/kernels",
    "host_tools/search",
)
_PACKAGES = ("tensorflow", "tf-keras", "tflite-micro", "ai-edge-litert", "numpy", "optuna")


def search(run: Run) -> dict[str, Any]:
    """Run the stage; its facts are those of `search.json`."""
    with quiet():
        return run.stage("search", _depends(run), _CODE, lambda folder: _work(run, folder))


def _depends(run: Run) -> dict[str, Any]:
    """What decides the result; where and how many at once do not."""
    recipe = run.recipe
    return {
        "epochs": run.folder.facts("signals")["epochs_sha256"],
        "model": recipe.model.model_dump(),
        "training": recipe.training.model_dump(),
        "quantize": recipe.quantize.model_dump(),
        "search": recipe.search.model_dump(),
        "boards": list(recipe.boards.names),
        "versions": versions(_PACKAGES),
    }


@quiet_libraries()
def _work(run: Run, folder: Path) -> dict[str, Any]:
    place = (run.folder.path / FOLDER).resolve()
    key = _open(run, place)
    _trials(run, place, key)
    table = run.recipe.search
    found = [record for record in records(place) if record["trial"] < table.trials]
    best = finalists(found, table.finalists)
    if not best:
        raise SearchError(_nothing(found, table))
    full, *trained = _in_full(run, place, key, [own_network(run.recipe), *map(_network, best)])
    within = [(row, record) for row, record in zip(trained, best, strict=True) if not row["over"]]
    if not within:
        raise SearchError(
            f"trained in full, none of the {len(best)} best networks keeps within the budgets any more "
            f"({trained[0]['over']}); a larger search.finalists tries more of them"
        )
    chosen, record = max(within, key=lambda pair: (pair[0]["accuracy"]["validation"]["int8"], -pair[1]["trial"]))
    front = pareto_front(found)
    facts = _facts(run, found, front, [full, *trained], chosen, record["trial"])
    _write(run, folder, facts, chosen)
    return facts


def _network(record: Record) -> Candidate:
    return Candidate.from_dict(record["network"])


def _open(run: Run, place: Path) -> str:
    """Clear what a search of something else left; more trials, finalists or boards go on with what is there."""
    depends = _depends(run)
    for free in ("trials", "finalists"):
        del depends["search"][free]
    del depends["boards"]
    key = content_hash({"depends": depends, "code": code_hash(*_CODE)})
    try:
        before = json.loads((place / _KEY).read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError):
        before = ""
    if before != key:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        write_json(place / _KEY, {"key": key})
    return key


def _trials(run: Run, place: Path, key: str) -> None:
    """Do the trials that are not done. A process that crashes costs its trial's time, as long as others succeed."""
    table, own = run.recipe.search, own_network(run.recipe)
    waiting = prepare(place, table, own)
    if waiting < table.trials:
        run.say(f"  {table.trials - waiting} of {table.trials} trials are done")
    while waiting:
        tasks = [
            _task(run, place, place / "workers" / f"{number + 1:02d}", number, None, key).write()
            for number in range(min(run.engine.jobs, waiting))
        ]
        crash: FoldError | None = None
        with _Watch(run, place, waiting):
            try:
                run.engine.run(tasks, table.threads, lambda _task: None, _WORK)
            except FoldError as error:
                crash = error
        left = prepare(place, table, own)
        if left >= waiting:
            raise crash or RunError(f"no trial of the search in {place} was finished; run again")
        if crash is not None:
            run.say(f"  {crash}")
        waiting = left


def _in_full(run: Run, place: Path, key: str, networks: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Train networks with all of the recipe's passes; those that were are not trained again."""
    run.say(f"  training {len(networks)} networks in full: the recipe's own and the best")
    tasks = []
    for number, network in enumerate(networks):
        own = content_hash({"search": key, "network": network.to_dict()})
        tasks.append(_task(run, place, place / "full" / own[:12], number, network, own))
    waiting = {task.folder: task for task in tasks if finished(task.folder, task.key) is None}
    advance = run.new_task("training in full", len(waiting))
    files = [task.write() for task in waiting.values()]
    run.engine.run(files, run.recipe.search.threads, lambda _task: advance(1), _WORK)
    rows = []
    for task in tasks:
        row = finished(task.folder, task.key)
        if row is None:
            raise RunError(f"{task.folder} lacks its result although its process ended well; run again")
        tflite = (task.folder / TFLITE).read_bytes()
        measured = measure_on_board(run.boards, tflite, run.recipe.search.target, row["cost"]["schedule"])
        rows.append({**row, "folder": str(task.folder), "measured": measured})
    return rows


def _task(run: Run, place: Path, folder: Path, number: int, candidate: Candidate | None, key: str) -> Task:
    return Task(folder, place, run.cached.manifest.resolve(), run.recipe, number, candidate, key)


def _nothing(found: Sequence[Record], table: SearchTable) -> str:
    budgets = table.budgets
    allowed = ", ".join(f"search.{key} = {limit}" for key, limit in budgets.items())
    nearest = nearest_miss(found, budgets) if budgets else None
    if nearest is None:
        reasons = next((record["reason"] for record in found if record["reason"]), "no trial was made")
        return f"none of {len(found)} trials was trained to the end: {reasons}"
    if nearest["outcome"] != "over budget":
        return f"none of {len(found)} trials was trained to the end although some keep the budgets: {nearest['reason']}"
    cost = ", ".join(f"{key} {nearest['cost'][key]:,}" for key in budgets)
    return (
        f"none of {len(found)} networks keeps within {allowed}; the nearest, {_network(nearest).title}, has {cost}: "
        "allow more, or let the search try smaller ones (search.blocks, search.filters, search.hidden_units)"
    )


def _facts(
    run: Run, found: Sequence[Record], front: Sequence[int], rows: Sequence[dict[str, Any]], chosen: dict[str, Any],
    trial: int,
) -> dict[str, Any]:  # fmt: skip
    signals, table = run.folder.facts("signals"), run.recipe.search
    outcomes = [record["outcome"] for record in found]
    told = [{k: v for k, v in row.items() if k not in ("key", "folder")} for row in rows]
    return {
        "data": signals["source"],
        "protocol": signals["protocol"],
        "generalises": signals["generalises"],
        "windows": signals["windows"],
        "target": table.target,
        "budgets": table.budgets,
        "outcomes": {name: outcomes.count(name) for name in sorted(set(outcomes))},
        "trials": list(found),
        "front": list(front),
        "full": told[0],
        "finalists": told[1:],
        "chosen": {"trial": trial, **{k: v for k, v in chosen.items() if k not in ("key", "folder")}},
    }


def _write(run: Run, folder: Path, facts: dict[str, Any], chosen: dict[str, Any]) -> None:
    """Results, picture, and the chosen network as files."""
    from thumbnet.training.plots import save_figure

    from .figure import front_figure

    write_json(folder / RESULTS, {"schema": SCHEMA, **facts})
    figure = front_figure(facts["trials"], facts["front"], facts["chosen"]["trial"], facts["budgets"])
    save_figure(figure, folder / "plots" / "search_front")
    place, source = folder / FOLDER, Path(chosen["folder"])
    place.mkdir()
    for name in (MODEL, TFLITE):
        shutil.copyfile(source / name, place / name)
    candidate = Candidate.from_dict(chosen["network"])
    shop = Workshop(run.cached.manifest.resolve(), run.recipe)
    make_bundle(
        run,
        (source / TFLITE).read_bytes(),
        shop.scaling(candidate.clip_percentile),
        shop.calibration_windows(run.recipe.quantize.calibration_windows),
        candidate.clip_percentile,
        chosen["accuracy"]["test"]["float"],
    ).write(place / "model.bundle")
    write_text(place / BEST, recipe_lines(chosen))


class _Watch:
    """Says what trials come to while processes work on them."""

    def __init__(self, run: Run, place: Path, waiting: int) -> None:
        self._run, self._place = run, place / TRIALS
        self._seen = set(self._files())
        self._advance = run.new_task("trials", waiting)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self._look()

    def _files(self) -> list[Path]:
        return sorted(self._place.glob("[0-9]*.json"))

    def _look(self) -> None:
        for path in self._files():
            if path not in self._seen:
                self._seen.add(path)
                self._run.say(f"  {trial_line(json.loads(path.read_text(encoding='utf-8')))}")
                self._advance(1)
