"""Stage `folds`: k-fold runs under each protocol of the recipe; what is finished is never done again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .context import Run
from .fold_work import DONE, RESULT, Task, describe, finished, plan_of
from .folder import RunError, write_json
from .hashing import code_hash, content_hash, versions
from .quiet import quiet_libraries

if TYPE_CHECKING:
    from thumbnet.training.protocols import FoldPlan

FOLDER = "folds"
RESULTS = "folds.json"
SCHEMA = "thumbnet.folds/1"
_CODE = (
    *(
        f"training/{name}.py"
        for name in ("cache", "mapped", "epochs", "loop", "steps", "augment", "checkpoint", "protocols")
    ),
    *(f"training/sleep/{name}.py" for name in ("baseline", "results", "stages", "ulw_sleepnet")),
    *(f"quantize/{name}.py" for name in ("convert", "fold", "inference", "scaling")),
    "host_tools/convert.py",
    "host_tools/pipeline/fold_work.py",
)
_SUMMARY_CODE = (
    *_CODE,
    "training/metrics.py",
    "training/plots.py",
    "training/sleep/statistics.py",
    "host_tools/pipeline/folds.py",
)
_PACKAGES = ("tensorflow", "tf-keras", "ai-edge-litert", "tflite-micro", "numpy", "scikit-learn", "scipy")


def folds(run: Run) -> dict[str, Any] | None:
    """Run the stage; its facts hold the summary of each protocol. None where the recipe asks for no folds."""
    if not run.recipe.folds.count:
        return None
    return run.stage("folds", _depends(run), _SUMMARY_CODE, lambda folder: _work(run, folder))


def _depends(run: Run) -> dict[str, Any]:
    """What decides the result of every fold; where and how many at once do not."""
    recipe = run.recipe
    return {
        "epochs": run.folder.facts("signals")["epochs_sha256"],
        "model": recipe.model.model_dump(),
        "training": recipe.training.model_dump(exclude={"fractions"}),
        "folds": recipe.folds.model_dump(),
        "quantize": recipe.quantize.model_dump(),
        "versions": versions(_PACKAGES),
    }


def _work(run: Run, folder: Path) -> dict[str, Any]:
    plans = {protocol: plan_of(run.epochs, run.recipe, protocol) for protocol in run.recipe.folds.protocols}
    tasks = [task for plan in plans.values() for task in _tasks(run, plan)]
    _compute(run, tasks)
    protocols: dict[str, Any] = {protocol: _summary(run, plan, tasks) for protocol, plan in plans.items()}
    write_json(folder / RESULTS, {"schema": SCHEMA, "protocols": protocols})
    _plots(run, protocols, tasks, folder / "plots")
    return {"protocols": protocols}


def _tasks(run: Run, plan: FoldPlan) -> list[Task]:
    # The division is the same for any number of protocols, so that adding one keeps the folds of the other.
    depends = _depends(run)
    depends["folds"] = {key: value for key, value in depends["folds"].items() if key != "protocols"}
    key = {"depends": depends, "code": code_hash(*_CODE), "protocol": plan.protocol}
    return [
        Task(
            folder=(run.folder.path / FOLDER / plan.protocol / f"{fold.number + 1:02d}").resolve(),
            manifest=run.cached.manifest.resolve(),
            recipe=run.recipe,
            protocol=plan.protocol,
            number=fold.number,
            key=content_hash({**key, "number": fold.number}),
        )
        for fold in plan.folds
    ]


def _compute(run: Run, tasks: list[Task]) -> None:
    """Do the folds that are not done; a folder of something else is cleared, a half-done one is taken up."""
    waiting = [task for task in tasks if finished(task.folder, task.key) is None]
    if len(waiting) < len(tasks):
        run.say(f"  {len(tasks) - len(waiting)} of {len(tasks)} folds are done")
    files = {}
    for task in waiting:
        if _key_of(task.folder) != task.key:
            shutil.rmtree(task.folder, ignore_errors=True)
        files[task.write()] = task
    advance = run.new_task("folds", len(waiting))

    def on_done(path: Path) -> None:
        done = finished(files[path].folder, files[path].key)
        if done is None:
            raise RunError(f"{path.parent} lacks {DONE} or {RESULT} although its fold ended well; run again")
        run.say(f"  {describe(done)}")
        advance(1)

    run.engine.run(list(files), run.recipe.folds.threads, on_done)


def _key_of(folder: Path) -> str:
    from ..errors import HostToolsError
    from .fold_work import TASK

    try:
        return Task.read(folder / TASK).key
    except HostToolsError:
        return ""


def _summary(run: Run, plan: FoldPlan, tasks: list[Task]) -> dict[str, Any]:
    from thumbnet.training.sleep.results import FoldResult, summarise
    from thumbnet.training.sleep.stages import STAGES

    own = [task for task in tasks if task.protocol == plan.protocol]
    results = [FoldResult.read(task.folder / RESULT) for task in own]
    lights = {night.recording: (night.lights_off, night.lights_on) for night in run.cached.nights}
    found = summarise(results, STAGES, lights, epoch_seconds=run.config.epoch_seconds, seed=run.recipe.training.seed)
    rows = [finished(task.folder, task.key) or {} for task in own]
    kept = ("number", "windows", "subjects", "recordings", "passes", "best_pass", "seconds")
    return {
        "protocol": plan.protocol,
        "label": plan.label,
        "leaks": list(plan.leaks),
        "generalises": plan.generalises,
        "data": run.folder.facts("signals")["source"],
        **found,
        "fold_list": [{key: row[key] for key in kept} for row in rows],
    }


@quiet_libraries()
def _plots(run: Run, protocols: dict[str, Any], tasks: list[Task], folder: Path) -> None:
    """Pooled confusion matrix of each protocol and model, and the hypnogram of the worst, middle and best night."""
    from thumbnet.training.metrics import staging_metrics
    from thumbnet.training.plots import confusion_figure, hypnogram_figure, save_figure
    from thumbnet.training.sleep.results import FoldResult
    from thumbnet.training.sleep.stages import STAGES

    for protocol, summary in protocols.items():
        results = [FoldResult.read(task.folder / RESULT) for task in tasks if task.protocol == protocol]
        labels = np.concatenate([result.labels[result.kept] for result in results])
        models = [name for name in ("float", "int8") if name in results[0].predicted]
        for name in models:
            predicted = np.concatenate([result.predicted[name][result.kept] for result in results])
            figure = confusion_figure(staging_metrics(labels, predicted, STAGES), f"{name}, {protocol}, all folds")
            save_figure(figure, folder / f"folds_{protocol}_confusion_{name}")
        for word, recording in _chosen_nights(summary["nights"], models[-1]).items():
            result = next(r for r in results if recording in r.recordings)
            here = result.kept & (result.recordings == recording)
            figure = hypnogram_figure(
                result.onsets[here],
                result.labels[here],
                result.predicted[models[-1]][here],
                STAGES,
                epoch_seconds=run.config.epoch_seconds,
                title=f"{recording}, {models[-1]}, {protocol}: {word} kappa",
            )
            save_figure(figure, folder / f"folds_{protocol}_night_{word}")


def _chosen_nights(nights: list[dict[str, Any]], model: str) -> dict[str, str]:
    ranked = sorted(nights, key=lambda night: night["models"][model]["kappa"] or 0.0)
    return {
        "worst": ranked[0]["recording"],
        "median": ranked[len(ranked) // 2]["recording"],
        "best": ranked[-1]["recording"],
    }
