"""Stage `compress` of a run about hemodynamic parameters: prune, teach again, quantize, bundle; a row for each step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..oracle import open_oracle
from ..pipeline.compress import spread
from ..pipeline.firmware import PARITY_WINDOWS
from ..pipeline.folder import write_json
from ..pipeline.hashing import versions
from ..pipeline.quiet import quiet_libraries
from .run import MODEL, MODEL_CODE, PACKAGES, STANDARD, STUDENT, HemoRun, describe_network, judge, judge_estimates

if TYPE_CHECKING:
    from thumbnet.quantize.bundle import Bundle
    from thumbnet.quantize.mixture import LoweredMixture
    from thumbnet.quantize.mixture_points import MixtureMaterial
    from thumbnet.training.hemodynamics.learning import Standard
    from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe

TABLE, BUNDLE, ESTIMATES = "compression.json", "model.bundle", "test_int8.npz"
_CODE = (*MODEL_CODE, "quantize", "codegen/mixture", "host_tools/hemodynamics", "host_tools/oracle.py")
_PACKAGES = (*PACKAGES, "tflite-micro", "ai-edge-litert")
_NETWORK = ("config", "parameters", "active_macs", "most_active")
_TITLES = {
    "teacher": "teacher, float",
    "pruned": "pruned, not trained again",
    "retrained": "pruned, trained on labels",
    "one-way": "pruned, one-way distillation",
    "two-way": "pruned, bidirectional distillation",
    "int8": "int8 after training",
    "aware": "int8, trained with its rounding",
    "device": "int8 as a device computes it, by the oracle",
}


def compress(run: HemoRun) -> dict[str, Any]:
    """Run the stage; its facts hold the table, and why there is no bundle where a network is for no device."""
    recipe = run.recipe
    depends = {
        "data": run.folder.facts("data")["sha256"],
        "model": run.output_hash("train", MODEL),
        "standard": run.output_hash("train", STANDARD),
        "compression": recipe.compression.model_dump(),
        "training": [recipe.training.seed, recipe.training.batch_size, recipe.training.patience],
        "windows": recipe.boards.windows,
        "versions": versions(_PACKAGES),
    }
    return run.stage("compress", depends, _CODE, lambda folder: _work(run, folder))


@quiet_libraries()
def _work(run: HemoRun, folder: Path) -> dict[str, Any]:
    from thumbnet.quantize.errors import ConversionError
    from thumbnet.quantize.mixture import lower_mixture
    from thumbnet.training.loop import seed_everything

    from .run import load_network

    seed_everything(run.recipe.training.seed)
    table = run.recipe.compression
    teacher = load_network(run.folder.output(MODEL))
    standard = _standard(run)
    steps = _Steps(run, standard)
    steps.add("teacher", teacher)
    student = _student(run, teacher, steps)
    student.save(folder / STUDENT)
    facts: dict[str, Any] = {"why_no_bundle": None}
    try:
        lowered = lower_mixture(student, _calibration(run))
    except ConversionError as error:
        # Such networks are trained and compressed all the same.
        facts["why_no_bundle"] = str(error)
    else:
        _quantize(run, lowered, steps)
        files = lowered.convert()
        bundle = _bundle(run, lowered, files, standard)
        bundle.write(folder / BUNDLE)
        np.save(folder / PARITY_WINDOWS, _parity_windows(run))
        steps.add_copy("device", _as_the_device(run, bundle, folder))
        facts["bytes"] = {name: len(data) for name, data in files.items()}
    facts |= {"rows": steps.rows, "table": table.model_dump(), "network": describe_network(student)}
    write_json(folder / TABLE, {"schema": "thumbnet.hemodynamics-compression/1", **facts})
    return facts


class _Steps:
    """Rows of the table so far."""

    def __init__(self, run: HemoRun, standard: Standard) -> None:
        self.run, self.standard = run, standard
        self.rows: list[dict[str, Any]] = []

    def add(self, name: str, model: Lsm2oe, network: dict[str, Any] | None = None) -> None:
        """Judge a network on the held-out windows and keep the row."""
        self._keep(name, network or describe_network(model), judge(self.run, model, self.standard))

    def add_copy(self, name: str, estimated: np.ndarray[Any, Any]) -> None:
        """Keep a row for other estimates of the last row's network."""
        network = {key: self.rows[-1][key] for key in _NETWORK}
        errors = judge_estimates(self.run, estimated, self.standard)
        self._keep(name, network, {**errors, "served": self.rows[-1]["served"]})

    def _keep(self, name: str, network: dict[str, Any], quality: dict[str, Any]) -> None:
        found = {"name": name, "title": _TITLES[name], **network, **quality}
        found["gain_kept"] = None if not self.rows else _kept(self.rows[0], found)
        self.rows.append(found)


def _kept(teacher: dict[str, Any], found: dict[str, Any]) -> dict[str, float | None]:
    """Share of the teacher's gain over the mean predictor that is left, per task; None where it had none."""
    return {
        task: found["gain"][task] / gain if gain is not None and gain > 0 else None
        for task, gain in teacher["gain"].items()
    }


def _standard(run: HemoRun) -> Standard:
    from thumbnet.training.hemodynamics.learning import Standard

    return Standard.from_dict(json.loads(run.folder.output(STANDARD).read_text(encoding="utf-8")))


def _material(run: HemoRun, epochs: int, rate: float) -> MixtureMaterial:
    from thumbnet.quantize.mixture_points import MixtureMaterial

    standard, table = _standard(run), run.recipe.compression
    windows, labels = run.part("train")
    checks, expected = run.part("validation")
    settings = replace(
        run.recipe.training.settings(), epochs=epochs, learning_rate=rate, window_passes=table.window_passes
    )
    return MixtureMaterial(windows, standard.apply(labels), checks, standard.apply(expected), settings)


def _student(run: HemoRun, teacher: Lsm2oe, steps: _Steps) -> Lsm2oe:
    """Prune and train again; the teacher itself where nothing is to be removed and nothing to be learned."""
    from thumbnet.quantize.mixture_points import copy_mixture, distill_mixture, prune_mixture
    from thumbnet.quantize.mixture_sizes import smaller_sizes

    table = run.recipe.compression
    if not table.target_sparsity:
        return copy_mixture(teacher)
    small = smaller_sizes(teacher.config, table.target_sparsity, or_least=True)
    pruned = prune_mixture(teacher, small, run.part("train")[0])
    steps.add("pruned", pruned)
    material = _material(run, table.epochs, table.learning_rate)
    ways = {"none": "retrained"}.get(table.distillation, table.distillation)
    wanted = [name for name in ("retrained", "one-way", "two-way") if name == ways or table.compare]
    students = {}
    for name in wanted:
        student = copy_mixture(pruned)
        task = run.new_task(_TITLES[name], material.settings.passes(len(material.windows)) * len(material.windows))
        if name == "retrained":
            material.train(student, advance=task)
        else:
            distill_mixture(teacher, student, material, table.given(name == "two-way"), task)
        steps.add(name, student)
        students[name] = student
    return students[ways]


def _calibration(run: HemoRun) -> np.ndarray[Any, Any]:
    windows, _ = run.part("train")
    count = min(run.recipe.compression.calibration_windows, len(windows))
    return windows[np.sort(np.random.default_rng(run.recipe.training.seed).permutation(len(windows))[:count])]


def _quantize(run: HemoRun, lowered: LoweredMixture, steps: _Steps) -> None:
    """Quantize in place, with training where the recipe says so."""
    from thumbnet.quantize.mixture_points import train_lowered

    table = run.recipe.compression
    network = {key: steps.rows[-1][key] for key in _NETWORK}
    steps.add("int8", lowered.assembled(rounded=True), network)
    if table.aware_epochs:
        material = _material(run, table.aware_epochs, table.aware_learning_rate)
        task = run.new_task(_TITLES["aware"], material.settings.passes(len(material.windows)) * len(material.windows))
        train_lowered(lowered, material, task)
        steps.add("aware", lowered.assembled(rounded=True), network)


def _as_the_device(run: HemoRun, bundle: Bundle, folder: Path) -> np.ndarray[Any, Any]:
    """Estimates of the held-out windows in integers alone, and which are kept beside the labels."""
    from thumbnet.codegen.mixture.arithmetic import VALUE_BITS

    windows, labels = run.part("test")
    oracle = open_oracle(bundle.tflite)
    task = run.new_task("int8 on the host", len(windows))
    values = []
    for window in np.round(windows * 127).astype(np.int8):
        values.append(np.asarray(oracle.run([window[None]])[0], float).reshape(-1))
        task(1)
    estimated: np.ndarray[Any, Any] = np.stack(values) / 2**VALUE_BITS
    np.savez(folder / ESTIMATES, estimates=estimated, labels=labels, places=run.loaded.division.test)
    return estimated


def _parity_windows(run: HemoRun) -> np.ndarray[Any, Any]:
    """Held-out windows as codes, int8 (windows, 1, samples, 1), spread over all of them."""
    windows, _ = run.part("test")
    return np.round(windows[spread(len(windows), run.recipe.boards.windows)] * 127).astype(np.int8)


def _bundle(run: HemoRun, lowered: LoweredMixture, files: dict[str, bytes], standard: Standard) -> Bundle:
    from thumbnet.codegen.mixture.plan import Mixture, Task
    from thumbnet.quantize.mixture_bundle import mixture_bundle
    from thumbnet.training.hemodynamics.tasks import task_of

    facts = run.folder.facts("data")
    rows = zip(facts["tasks"], standard.mean, standard.deviation, strict=True)
    mixture = Mixture(
        gate=files["gate.tflite"],
        experts=tuple(files[f"expert_{n}.tflite"] for n in range(lowered.config.experts)),
        towers=(files["towers.tflite"],),
        k=lowered.config.k,
        tasks=tuple(Task(name, task_of(name).unit, deviation, mean) for name, mean, deviation in rows),
    )
    windows = run.loaded.windows
    return mixture_bundle(
        mixture,
        channels=[{"name": "PPG", "unit": "a.u.", "rate": float(windows.rate), "kind": "ppg"}],
        preprocessing=[
            {"step": "read", "data": run.recipe.source.to_dict()},
            {"step": "min-max", "where": "each window", "low": -1.0, "high": 1.0},
        ],
        calibration={
            "windows": min(run.recipe.compression.calibration_windows, facts["windows"]["train"]),
            "method": "least and largest value of each tensor, joined over the experts",
        },
        training={
            "protocol": facts["protocol"],
            "source": facts["name"],
            "windows": facts["windows"],
            "leaks": facts["leaks"],
        },
        licences=[],
        versions=versions(("thumbnet", *_PACKAGES)),
    )
