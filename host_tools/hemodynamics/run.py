"""Stages of a run about hemodynamic parameters: data, train, compress, evaluate, and those of every board."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HostToolsError
from ..options import choose_board
from ..pipeline.context import Run, Say
from ..pipeline.engines import Engine
from ..pipeline.folder import RunFolder, write_json
from ..pipeline.hashing import content_hash, versions
from ..pipeline.quiet import quiet_libraries
from .recipe import HemoRecipe

if TYPE_CHECKING:
    from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe
    from thumbnet.training.hemodynamics.sources import Data

    from ..progress import NewTask

MODEL, STUDENT, STANDARD, HISTORY = "model.keras", "student.keras", "standard.json", "history.json"
PACKAGES = ("tensorflow", "tf-keras", "numpy")
MODEL_CODE = ("training/hemodynamics", "training/loop.py", "training/settings.py")
_CODE = (*MODEL_CODE, "host_tools/hemodynamics/run.py")
PARTS = {"data": ("data",), "train": ("data", "train"), "compress": ("data", "train", "compress")}
"""Stages that need no board, and what each needs before it."""


@dataclass
class HemoRun(Run):
    """One run under way; see :class:`..pipeline.context.Run`."""

    recipe: HemoRecipe  # type: ignore[assignment]

    @cached_property
    def loaded(self) -> Data:
        """Windows and who may learn from which; read when a stage needs them."""
        from thumbnet.training.hemodynamics.sources import load_data

        return load_data(self.recipe.source)

    def part(self, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Windows as the network takes them and labels in their units: "train", "validation" or "test"."""
        from thumbnet.training.hemodynamics.learning import as_rows

        chosen = getattr(self.loaded.division, name)
        windows = self.loaded.windows
        return as_rows(windows.signals[chosen]), windows.labels[chosen]

    def network(self, name: str) -> Lsm2oe:
        """Load a network that a stage left."""
        return load_network(self.folder.output(name))


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
    run.folder.save()
    return run


def stages() -> dict[str, Callable[[HemoRun], Any]]:
    """Stages that need no board, in order."""
    from .compress import compress

    return {"data": data, "train": train, "compress": compress}


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


def train(run: HemoRun) -> dict[str, Any]:
    """Train the network, or take a trained one; the facts hold MAE per task on the held-out windows."""
    recipe = run.recipe
    depends = {
        "data": run.folder.facts("data")["sha256"],
        "model": recipe.model.model_dump(),
        "training": recipe.training.model_dump(),
        "weights": _digest(recipe.training.weights),
        "versions": versions(PACKAGES),
    }
    return run.stage("train", depends, _CODE, lambda folder: _train_work(run, folder))


@quiet_libraries()
def _train_work(run: HemoRun, folder: Path) -> dict[str, Any]:
    from thumbnet.training.hemodynamics.learning import Standard, train_mixture
    from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe
    from thumbnet.training.loop import seed_everything

    table = run.recipe.training
    facts = run.folder.facts("data")
    windows, labels = run.part("train")
    checks, expected = run.part("validation")
    seed_everything(table.seed)
    if table.weights:
        model, standard = _taken(Path(table.weights), labels)
        if (model.config.samples, model.config.tasks) != (facts["samples"], len(facts["tasks"])):
            raise HostToolsError(
                f"the network {table.weights} is for {model.config.samples} samples and {model.config.tasks} tasks, "
                f"the data have {facts['samples']} and {len(facts['tasks'])}"
            )
        history: dict[str, Any] = {}
    else:
        standard = Standard.fit(labels)
        settings = table.settings()
        model = Lsm2oe(run.recipe.model.sizes(facts["samples"], len(facts["tasks"])))
        task = run.new_task("training", settings.passes(len(windows)) * len(windows))
        done = train_mixture(
            model, windows, standard.apply(labels), checks, standard.apply(expected), settings, advance=task
        )
        history = done.to_dict()
    model.save(folder / MODEL)
    write_json(folder / STANDARD, {"schema": "thumbnet.standard/1", **standard.to_dict()})
    write_json(folder / HISTORY, {"schema": "thumbnet.mixture-history/1", **history})
    return {"network": describe_network(model), "passes": len(history.get("loss", [])),
            "quality": judge(run, model, standard)}  # fmt: skip


def _taken(path: Path, labels: np.ndarray[Any, Any]) -> tuple[Lsm2oe, Any]:
    """A network and its standard from the folder of an earlier run; without one the labels' own."""
    from thumbnet.training.hemodynamics.learning import Standard

    beside = path.parent / STANDARD
    standard = Standard.from_dict(json.loads(beside.read_text())) if beside.is_file() else Standard.fit(labels)
    return load_network(path), standard


def load_network(path: Path) -> Lsm2oe:
    """Load a network.

    Raises
    ------
    HostToolsError
        When the file is missing or holds another model.
    """
    import tf_keras as keras
    from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe

    if not path.is_file():
        raise HostToolsError(f"the network {path} does not exist; thumbnet train hemodynamics writes one")
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise HostToolsError(f"the network {path} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(model, Lsm2oe):
        raise HostToolsError(f"{path} holds a {type(model).__name__}; an LSM2oE network is needed")
    return model


def describe_network(model: Lsm2oe) -> dict[str, Any]:
    """Sizes, trainable parameters and active multiply-accumulates."""
    from thumbnet.quantize.mixture_points import active_macs
    from thumbnet.training.hemodynamics.lsm2oe_sizes import count_parameters

    config = model.config
    return {"config": config.to_dict(), "parameters": count_parameters(config), "active_macs": active_macs(model),
            "most_active": config.most_active}  # fmt: skip


def judge(run: HemoRun, model: Lsm2oe, standard: Any) -> dict[str, Any]:
    """Judge a network by its held-out windows: :func:`judge_estimates`, and share of the windows that experts serve."""
    windows, _ = run.part("test")
    chosen = [
        np.asarray(model.route(windows[start : start + 64], False).chosen) for start in range(0, len(windows), 64)
    ]
    served = np.concatenate(chosen).mean(axis=0).tolist()
    return {**judge_estimates(run, standard.undo(_outputs(model, windows)), standard), "served": served}


def judge_estimates(run: HemoRun, estimated: np.ndarray[Any, Any], standard: Any) -> dict[str, Any]:
    """MAE per task on the held-out windows, and gain over the mean of the training labels; None without labels."""
    _, labels = run.part("test")
    base, errors = _mae(np.array(standard.mean), labels), _mae(estimated, labels)
    gain = [None if own is None or not mean else 1 - own / mean for own, mean in zip(errors, base, strict=True)]
    tasks = run.folder.facts("data")["tasks"]
    rows = zip(("mae", "mean_mae", "gain"), (errors, base, gain), strict=True)
    return {key: dict(zip(tasks, values, strict=True)) for key, values in rows}


def _mae(estimated: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> list[float | None]:
    """Mean absolute error per task over the labels that are there."""
    errors = np.abs(estimated - labels)
    known = np.isfinite(errors)
    return [float(row[there].mean()) if there.any() else None for row, there in zip(errors.T, known.T, strict=True)]


def _outputs(model: Lsm2oe, windows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    from thumbnet.training.hemodynamics.lsm2oe import predict

    return predict(model, windows)


def _digest(name: str) -> str:
    if not name:
        return ""
    path = Path(name)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def load_estimator(folder: Path, name: str = STUDENT) -> Callable[..., Mapping[str, Any]]:
    """Return what estimates parameters with a network of a run.

    Parameters
    ----------
    folder : pathlib.Path
        Of a run of `thumbnet train` or `compress hemodynamics`.
    name : str
        `MODEL` or `STUDENT`; a run without a student has `MODEL` alone.

    Returns
    -------
    callable
        Takes windows (N, samples) between 0 and 1; returns ``estimates`` (N, tasks) in the units of the tasks and
        ``weights`` (N, rows, experts).

    Raises
    ------
    HostToolsError
        When the folder holds no network.
    """
    from thumbnet.training.hemodynamics.learning import Standard, as_rows

    path = folder / name if (folder / name).is_file() else folder / MODEL
    model = load_network(path)
    standard = Standard.from_dict(json.loads((folder / STANDARD).read_text(encoding="utf-8")))

    def estimate(signals: np.ndarray[Any, Any]) -> dict[str, Any]:
        rows = as_rows(signals)
        weights = [
            np.asarray(model.route(rows[start : start + 64], False).weights) for start in range(0, len(rows), 64)
        ]
        return {"estimates": standard.undo(_outputs(model, rows)), "weights": np.concatenate(weights)}

    return estimate
