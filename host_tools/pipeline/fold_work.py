"""One fold in a process of its own: ``python -m thumbnet.host_tools.pipeline.fold_work TASK.json``.

The folder of the task holds all that the fold leaves: a checkpoint after every pass, curves for TensorBoard, the
network as float and int8, the stages of every model for the tested recordings, and `fold.json` last, the done-marker.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..errors import HostToolsError
from ..recipes import Recipe, parse_recipe
from .folder import RunError, claim, write_json

if TYPE_CHECKING:
    from thumbnet.quantize.scaling import ChannelScaling
    from thumbnet.training.epochs import EpochSet
    from thumbnet.training.protocols import Fold, FoldPlan

Array = np.ndarray[Any, Any]

TASK, DONE, RESULT, CHECKPOINT = "task.json", "fold.json", "stages.npz", "checkpoint.npz"
_CLAIM_SECONDS = 15.0


@dataclass(frozen=True)
class Task:
    """What a fold needs to know.

    Attributes
    ----------
    folder : pathlib.Path
        Where everything goes.
    manifest : pathlib.Path
        The data set in the cache.
    recipe : Recipe
        Of the run.
    protocol : str
        Protocol of the folds.
    number : int
        Which fold, from 0.
    key : str
        Hash of all that decides the result.
    """

    folder: Path
    manifest: Path
    recipe: Recipe
    protocol: str
    number: int
    key: str

    def write(self) -> Path:
        """Write the task into its folder; returns the file."""
        content = {"manifest": str(self.manifest), "recipe": self.recipe.model_dump(mode="json"),
                   "protocol": self.protocol, "number": self.number, "key": self.key}  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / TASK, content)
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
            recipe = parse_recipe({k: v for k, v in content["recipe"].items()}, "of the run")
            return cls(path.parent, Path(content["manifest"]), recipe, content["protocol"], content["number"],
                       content["key"])  # fmt: skip
        except (OSError, ValueError, KeyError) as error:
            raise HostToolsError(f"the task of a fold {path} cannot be read: {error}") from None


def finished(folder: Path, key: str) -> dict[str, Any] | None:
    """What a fold noted when it was done; None where it is not, or was done for something else."""
    try:
        content: dict[str, Any] = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if content.get("key") == key and (folder / RESULT).is_file() else None


def plan_of(epochs: EpochSet, recipe: Recipe, protocol: str) -> FoldPlan:
    """Folds of a recipe under one of its protocols."""
    from thumbnet.training.protocols import plan_folds

    table = recipe.folds
    training = recipe.training
    return plan_folds(epochs, protocol, table.count, training.seed, table.validation, training.selection)


def work(task: Task) -> None:
    """Train, quantize and test one fold; takes up what an earlier attempt left.

    Raises
    ------
    TrainingError, QuantizeError, HostToolsError
        When the fold cannot be done.
    """
    from thumbnet.training.cache import open_set
    from thumbnet.training.sleep.results import FoldResult

    started = time.monotonic()
    data = open_set(task.manifest)
    epochs = data.epochs()
    plan = plan_of(epochs, task.recipe, task.protocol)
    fold = plan.folds[task.number]
    train = epochs.take(fold.train)
    tested = data.everything(fold.recordings)
    predicted, facts = _network(task, plan, fold, epochs, tested)
    predicted |= _baselines(train, tested)
    FoldResult(
        tested.recordings, tested.subjects, tested.onsets, tested.labels, data.kept(fold.recordings), predicted
    ).write(task.folder / RESULT)
    (task.folder / CHECKPOINT).unlink(missing_ok=True)
    write_json(task.folder / DONE, {
        "key": task.key,
        "protocol": task.protocol,
        "number": task.number,
        "windows": {"train": len(fold.train), "validation": len(fold.validation), "test": len(fold.test)},
        "subjects": {part: np.unique(epochs.subjects[getattr(fold, part)]).tolist()
                     for part in ("train", "validation", "test")},
        "recordings": list(fold.recordings),
        "seconds": round(time.monotonic() - started, 1),
        **facts,
    })  # fmt: skip


def _network(
    task: Task, plan: FoldPlan, fold: Fold, epochs: EpochSet, tested: EpochSet
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Train the network of the fold; stages of float and int8 for the tested recordings."""
    from thumbnet.quantize.scaling import ScaledWindows, fit_scaling
    from thumbnet.training.loop import predict_probabilities, seed_everything, train
    from thumbnet.training.sleep.stages import STAGES
    from thumbnet.training.sleep.ulw_sleepnet import build_ulw_sleepnet

    recipe = task.recipe
    settings = _settings(recipe, plan, task.number)
    scaling = fit_scaling(epochs.take(fold.train).signals, epochs.channels, recipe.quantize.clip_percentile)
    inputs = ScaledWindows(epochs.signals, scaling)
    seed_everything(settings.seed, recipe.folds.threads)
    model = build_ulw_sleepnet(len(epochs.channels), epochs.signals.shape[2], len(STAGES), **recipe.model.sizes())
    history = train(
        model,
        inputs.take(fold.train),
        epochs.labels[fold.train],
        inputs.take(fold.validation),
        epochs.labels[fold.validation],
        settings,
        checkpoint=task.folder / CHECKPOINT,
        log_folder=task.folder / "tensorboard",
    )
    history.write(task.folder / "history.json")
    model.save(task.folder / "model.keras")
    shares = predict_probabilities(model, ScaledWindows(tested.signals, scaling))
    predicted = {"float": shares.argmax(axis=1).astype(np.int64)}
    if recipe.folds.int8:
        predicted["int8"] = _int8(task, scaling, epochs.take(fold.train), tested)
    return predicted, {"passes": len(history.loss), "best_pass": history.best_pass, "clip_uv": list(scaling.clip_uv)}


def _settings(recipe: Recipe, plan: FoldPlan, number: int) -> Any:
    """Training settings of a fold: a seed of its own; the published protocol never stops early."""
    from thumbnet.training.settings import TrainingSettings

    table = recipe.training.model_dump(exclude={"fractions"})
    table["seed"] = int(np.random.SeedSequence((recipe.training.seed, number)).generate_state(1)[0] >> 1)
    table["selection"] = plan.selection
    if plan.selection == "accuracy":
        table["patience"] = recipe.training.epochs
    return TrainingSettings(**table)


def _int8(task: Task, scaling: ChannelScaling, train: EpochSet, tested: EpochSet) -> Array:
    from thumbnet.quantize.convert import convert_int8
    from thumbnet.quantize.fold import fold_shortcuts
    from thumbnet.quantize.inference import predict_int8
    from thumbnet.training.mapped import chunks_of

    from ..convert import load_keras

    table = task.recipe.quantize
    rng = np.random.default_rng(table.seed)
    chosen = np.sort(rng.choice(len(train), min(table.calibration_windows, len(train)), replace=False))
    folded = fold_shortcuts(load_keras(task.folder / "model.keras"))
    tflite = convert_int8(folded, scaling.apply(train.signals[chosen]))
    (task.folder / "model.tflite").write_bytes(tflite)
    stages = [predict_int8(tflite, scaling, chunk).stages for chunk in chunks_of(tested.signals)]
    return np.concatenate(stages)


def _baselines(train: EpochSet, tested: EpochSet) -> dict[str, Array]:
    from thumbnet.training.sleep.baseline import BandPowerBaseline, MajorityBaseline

    found = {"majority": MajorityBaseline().fit(train).predict(tested)}
    if len(np.unique(train.labels)) > 1:
        found["band_power"] = BandPowerBaseline().fit(train).predict(tested)
    return found


def claim_patiently(folder: Path) -> IO[bytes]:
    """Claim the fold's folder; a worker whose run was killed lets go within seconds."""
    limit = time.monotonic() + _CLAIM_SECONDS
    while True:
        try:
            return claim(folder)
        except RunError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.5)


def end_with_parent() -> None:
    """End this process when the one that started it is gone: nobody would wait for the fold."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: list[str]) -> int:
    """Do the task of a file; the last line printed says what went wrong. Exit codes are those of `thumbnet`."""
    from ..cli import is_user_error

    end_with_parent()
    try:
        task = Task.read(Path(arguments[0]))
        with claim_patiently(task.folder):
            if finished(task.folder, task.key) is None:
                work(task)
    except Exception as error:
        if not is_user_error(error):
            raise
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


def describe(table: Mapping[str, Any]) -> str:
    """One line about a finished fold."""
    return (
        f"fold {table['number'] + 1} ({table['protocol']}): {table['passes']} passes, "
        f"best {table['best_pass'] + 1}, {table['seconds']:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
