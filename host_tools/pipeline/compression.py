"""Stage `compression`: the trained network made smaller in several ways, each scored and measured on a board."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..convert import load_keras
from ..cost import cost_of
from ..options import choose_board
from ..recipes import CompressionTable
from .compress import calibration_windows, spread
from .context import Run
from .hashing import versions
from .quiet import quiet_libraries
from .train import MODEL, scaling_of

if TYPE_CHECKING:
    from thumbnet.quantize.names import Point
    from thumbnet.quantize.points import Made, Material
    from thumbnet.training.steps import Teaching

    from .folder import RunFolder

Array = np.ndarray[Any, Any]
Measure = Callable[[bytes], dict[str, Any]]
"""From an int8 file to its cost on a board."""

FOLDER = "compression"
TEACHER = "teacher"
LAYERS = "layers"
_KEPT = {"selection", "class_weights", "augment_gain_db", "augment_flip", "augment_noise"}
"""Keys of `[training]` that hold for every training."""
_PREFIX, _COST = "compression:", "cost:"
_NOT_COMPILED = {
    "float": "the compiler takes int8 models only",
    "int16x8": "the compiler takes int8 activations only; accuracy is LiteRT's",
}
_TRAINING_CODE = ("training/loop.py", "training/settings.py", "training/steps.py", "training/augment.py",
                  "training/sleep/ulw_sleepnet.py", "training/sleep/teachers.py", "quantize/scaling.py")  # fmt: skip
_CODE = (*_TRAINING_CODE, "training/metrics.py", "quantize", "host_tools/pipeline/compression.py")
_COST_CODE = ("codegen", "firmware", "host_tools/cost.py", "host_tools/workbench.py", "host_tools/build.py")
_PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "ai-edge-litert", "tflite-micro", "numpy")


def compression(run: Run) -> list[dict[str, Any]] | None:
    """Make every point that is not up to date; returns their rows. None where the recipe asks for none.

    Raises
    ------
    QuantizeError, TrainingError, HostToolsError, CodegenError
        When a point cannot be made or measured; those before it stay.
    """
    from thumbnet.quantize.names import parse_point

    table = run.recipe.compression
    points = [parse_point(name) for name in table.stages]
    if table.layers:
        _layers(run)
    if not points:
        return None
    board = choose_board(table.board)
    if any(point.distill for point in points):
        _teach(run)
    rows = [_point(run, point) for point in points]
    for point, row in zip(points, rows, strict=True):
        row["cost"] = _cost(run, point) if point.kind == "int8" else None
        row["why_no_cost"] = _NOT_COMPILED.get(point.kind)
    run.say(f"{FOLDER:24} {len(rows)} points, measured on {board.name}")
    return rows


def stage_names(table: CompressionTable) -> set[str]:
    """Names that the stages of a table have in `run.json`."""
    names = {f"{kind}{name}" for kind in (_PREFIX, _COST) for name in table.stages}
    names |= {f"{_PREFIX}{LAYERS}"} if table.layers else set()
    return names | ({f"{_PREFIX}{TEACHER}"} if any("distill" in name for name in table.stages) else set())


def compression_rows(run_folder: RunFolder, table: CompressionTable) -> list[dict[str, Any]]:
    """Rows of the points that a run has, in the order of its recipe; empty where it has none."""
    rows = []
    for name in table.stages:
        if f"{_PREFIX}{name}" in run_folder.stages:
            cost = run_folder.stages.get(f"{_COST}{name}")
            facts = run_folder.facts(f"{_PREFIX}{name}")
            rows.append({**facts, "cost": cost.facts if cost else None,
                         "why_no_cost": _NOT_COMPILED.get(facts["kind"])})  # fmt: skip
    return rows


def layer_report(run_folder: RunFolder, table: CompressionTable) -> dict[str, Any] | None:
    """What :func:`.blame.blame_layers` found; None where the recipe did not ask."""
    known = table.layers and f"{_PREFIX}{LAYERS}" in run_folder.stages
    return run_folder.facts(f"{_PREFIX}{LAYERS}") if known else None


def _layers(run: Run) -> None:
    """Name the layers whose rounding costs most, on held-out windows."""
    depends = {"model": run.output_hash("train", MODEL), "epochs": run.folder.facts("signals")["epochs_sha256"],
               "quantize": run.recipe.quantize.model_dump(), "versions": versions(_PACKAGES)}  # fmt: skip
    run.stage(f"{_PREFIX}{LAYERS}", depends, ("quantize",), lambda _folder: _layers_work(run))


@quiet_libraries()
def _layers_work(run: Run) -> dict[str, Any]:
    from thumbnet.quantize.blame import BLAME_WINDOWS, blame_layers
    from thumbnet.quantize.fold import fold_shortcuts

    scaling = scaling_of(run)
    chosen = run.split.test[spread(len(run.split.test), BLAME_WINDOWS)]
    report = blame_layers(
        fold_shortcuts(load_keras(run.folder.output(MODEL))),
        scaling.apply(run.epochs.signals[calibration_windows(run)]),
        scaling.apply(run.epochs.signals[chosen]),
    )
    return report.to_dict()


def _depends(run: Run) -> dict[str, Any]:
    return {
        "epochs": run.folder.facts("signals")["epochs_sha256"],
        "model": run.output_hash("train", MODEL),
        "seed": run.recipe.training.seed,
        "batch_size": run.recipe.training.batch_size,
        **run.recipe.training.model_dump(include=_KEPT),
        "quantize": run.recipe.quantize.model_dump(),
        "compression": run.recipe.compression.model_dump(include={"epochs", "window_passes", "learning_rate"}),
        "versions": versions(_PACKAGES),
    }


def _distillation(run: Run) -> dict[str, Any]:
    return run.recipe.compression.model_dump(include={"teacher", "temperature", "alpha"})


def _teach(run: Run) -> None:
    """Train the teacher; its word on the training windows is kept."""
    depends = {**_depends(run), "teacher": run.recipe.compression.teacher,
               "training": run.recipe.training.model_dump()}  # fmt: skip
    run.stage(f"{_PREFIX}{TEACHER}", depends, _TRAINING_CODE, lambda folder: _teacher_work(run, folder / FOLDER))


@quiet_libraries()
def _teacher_work(run: Run, folder: Path) -> dict[str, Any]:
    from thumbnet.quantize.scaling import ScaledWindows
    from thumbnet.training.loop import predict_probabilities, seed_everything, train
    from thumbnet.training.metrics import staging_metrics
    from thumbnet.training.settings import TrainingSettings
    from thumbnet.training.sleep.stages import STAGES
    from thumbnet.training.sleep.teachers import build_teacher

    folder.mkdir()
    epochs, split = run.epochs, run.split
    inputs = ScaledWindows(epochs.signals, scaling_of(run))
    settings = TrainingSettings(**run.recipe.training.model_dump(exclude={"fractions"}))
    seed_everything(settings.seed)
    name = run.recipe.compression.teacher
    teacher = build_teacher(name, len(epochs.channels), epochs.signals.shape[2], len(STAGES), epochs.rate)
    task = run.new_task("teacher", settings.passes(len(split.train)) * len(split.train))
    history = train(teacher, inputs.take(split.train), epochs.labels[split.train], inputs.take(split.validation),
                    epochs.labels[split.validation], settings, advance=task)  # fmt: skip
    np.save(folder / f"{TEACHER}.npy", predict_probabilities(teacher, inputs.take(split.train)))
    stages = predict_probabilities(teacher, inputs.take(split.test)).argmax(axis=1)
    return {
        "name": name,
        "parameters": int(teacher.count_params()),
        "passes": len(history.loss),
        "metrics": staging_metrics(epochs.labels[split.test], stages, STAGES).to_dict(),
    }


def _point(run: Run, point: Point) -> dict[str, Any]:
    depends = {**_depends(run), "point": point.name}
    if point.distill:
        depends |= {**_distillation(run), "teaching": run.output_hash(f"{_PREFIX}{TEACHER}", _teacher_file())}
    return dict(run.stage(f"{_PREFIX}{point.name}", depends, _CODE, lambda folder: _point_work(run, folder, point)))


def _teacher_file() -> str:
    return f"{FOLDER}/{TEACHER}.npy"


@quiet_libraries()
def _point_work(run: Run, folder: Path, point: Point) -> dict[str, Any]:
    from thumbnet.quantize.points import make_point

    network = load_keras(run.folder.output(MODEL))
    material = _material(run, point)
    windows = len(material.inputs)
    task = run.new_task(point.name, point.trainings * windows * material.settings.passes(windows))
    made = make_point(point, network, material, task)
    place = folder / FOLDER / point.name
    place.mkdir(parents=True)
    (place / "model.tflite").write_bytes(made.tflite)
    if point.filters is not None or point.sparse or point.distill:
        made.network.save(place / "model.keras")
    return {
        "name": point.name,
        "kind": point.kind,
        "bytes": len(made.tflite),
        "parameters": made.parameters,
        "zeros": made.zeros,
        "macs": made.macs,
        "passes": made.passes,
        **_quality(run, point, made),
    }


def _material(run: Run, point: Point) -> Material:
    from thumbnet.quantize.points import Material
    from thumbnet.quantize.scaling import ScaledWindows
    from thumbnet.training.settings import TrainingSettings

    epochs, split, table = run.epochs, run.split, run.recipe.compression
    scaling = scaling_of(run)
    inputs = ScaledWindows(epochs.signals, scaling)
    first = run.recipe.training
    settings = TrainingSettings(
        seed=first.seed,
        epochs=table.epochs,
        window_passes=table.window_passes,
        batch_size=first.batch_size,
        learning_rate=table.learning_rate,
        first_restart=1.0,
        patience=first.patience,
        **first.model_dump(include=_KEPT),
    )
    return Material(
        inputs=inputs.take(split.train),
        labels=epochs.labels[split.train],
        validation_inputs=inputs.take(split.validation),
        validation_labels=epochs.labels[split.validation],
        calibration=scaling.apply(epochs.signals[calibration_windows(run)]),
        settings=settings,
        teaching=_teaching(run) if point.distill else None,
    )


def _teaching(run: Run) -> Teaching:
    from thumbnet.training.steps import Teaching

    table = run.recipe.compression
    return Teaching(np.load(run.folder.output(_teacher_file())), table.temperature, table.alpha)


def _quality(run: Run, point: Point, made: Made) -> dict[str, Any]:
    """Metrics on the held-out windows, and what the point costs in accuracy against the trained float network."""
    from thumbnet.quantize.compare import accuracy_drop, predict_file
    from thumbnet.training.metrics import staging_metrics
    from thumbnet.training.sleep.stages import STAGES

    test = run.epochs.take(run.split.test)
    predicted = predict_file(made.tflite, point.kind, scaling_of(run), test.signals)
    with np.load(run.folder.output("test_int8.npz"), allow_pickle=False) as arrays:
        floating = arrays["float_predicted"]
    drop = accuracy_drop(test.labels, floating, predicted.stages, test.subjects, seed=run.recipe.quantize.seed)
    return {
        "metrics": staging_metrics(test.labels, predicted.stages, STAGES).to_dict(),
        "drop": drop,
        "engine": predicted.engine,
        "windows": len(test),
    }


def _cost(run: Run, point: Point) -> dict[str, Any]:
    """Exact cost of a point; compiled and run again only when the file or the compiler changed."""
    name = f"{FOLDER}/{point.name}/model.tflite"
    tflite = run.folder.output(name).read_bytes()
    board, schedule = choose_board(run.recipe.compression.board), run.recipe.codegen.schedule
    limit = run.recipe.codegen.max_ram

    def work(_folder: Path) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="thumbnet-", ignore_cleanup_errors=True) as scratch:
            return cost_of(tflite, board, Path(scratch), schedule=schedule, max_ram=limit).to_dict()

    depends = {"model": hashlib.sha256(tflite).hexdigest(), "board": board.name, "schedule": schedule,
               **({} if limit is None else {"max_ram": limit})}  # fmt: skip
    return run.stage(f"{_COST}{point.name}", depends, _COST_CODE, work)
