"""Stage `compress` of a run about hemodynamic parameters: int8 networks, their bundles, and what their integers say."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipeline.compress import spread
from ..pipeline.firmware import PARITY_WINDOWS
from ..pipeline.hashing import versions
from ..pipeline.quiet import quiet_libraries
from .converter import declared
from .counts import keep_counts
from .integers import integer_estimates
from .networks import MODEL, NETWORK_CODE, PACKAGES, STANDARD, STUDENT, load_network, load_standard
from .prune import material_of
from .rows import AWARE, INT8, TEACHER_INT8, TITLES, Rows

if TYPE_CHECKING:
    from thumbnet.quantize.bundle import Bundle
    from thumbnet.quantize.mixture import LoweredMixture
    from thumbnet.training.hemodynamics.learning import Standard

    from .context import HemoRun

BUNDLE, ESTIMATES, FOLDER = "model.bundle", "test_int8.npz", "compression"
_CODE = (*NETWORK_CODE, "training/hemodynamics/lowering.py", "quantize", "codegen/mixture", "host_tools/oracle.py",
         *(f"host_tools/hemodynamics/{name}.py" for name in ("compress", "converter", "counts", "integers", "prune",
                                                             "rows")))  # fmt: skip
_PACKAGES = (*PACKAGES, "tflite-micro", "ai-edge-litert")
_OWN = {"window_passes", "aware_epochs", "aware_learning_rate", "calibration_windows"}
"""Keys of `[compression]` that decide this stage."""


def compress(run: HemoRun) -> dict[str, Any]:
    """Run the stage; its facts hold the table, and why there is no bundle where a network is for no device."""
    recipe = run.recipe
    depends = {
        "data": run.folder.facts("data")["sha256"],
        "networks": [run.output_hash("train", MODEL), run.output_hash("prune", STUDENT)],
        "standard": run.output_hash("train", STANDARD),
        "compression": recipe.compression.model_dump(include=_OWN),
        "training": [recipe.training.seed, recipe.training.batch_size, recipe.training.patience],
        "windows": recipe.boards.windows,
        "converter": recipe.converter.model_dump(),
        "versions": versions(_PACKAGES),
    }
    return run.stage("compress", depends, _CODE, lambda folder: _work(run, folder))


@quiet_libraries()
def _work(run: HemoRun, folder: Path) -> dict[str, Any]:
    return _Work(run, folder).facts()


class _Work:
    """One run of the stage."""

    def __init__(self, run: HemoRun, folder: Path) -> None:
        self.run, self.folder = run, folder
        self.pruned = run.folder.facts("prune")
        self.standard: Standard = load_standard(run.folder.output(STANDARD))
        self.rows = Rows(run, self.standard, self.pruned["rows"])
        self.bundles: dict[str, str] = {}
        self.files: dict[str, int] = {}
        self.missing: list[dict[str, str]] = []
        self.signals: dict[str, Any] | None = None

    def facts(self) -> dict[str, Any]:
        """Make every int8 network; a network that is for no device is trained and compressed all the same."""
        from thumbnet.quantize.errors import ConversionError
        from thumbnet.quantize.mixture import lower_mixture
        from thumbnet.training.loop import seed_everything

        seed_everything(self.run.recipe.training.seed)
        (self.folder / FOLDER).mkdir()
        windows = self._calibration()
        if len(self.pruned["rows"]) > 1:
            try:
                lowered = lower_mixture(load_network(self.run.folder.output(MODEL)), windows)
                self._point(TEACHER_INT8, lowered, self.pruned["rows"][0], at=1)
            except ConversionError as error:
                self._miss(TEACHER_INT8, error)
        why = None
        try:
            lowered = lower_mixture(load_network(self.run.folder.output(STUDENT)), windows)
        except ConversionError as error:
            why = str(error)
            self._miss(INT8, error)
        else:
            self._student(lowered)
        return {"rows": self.rows.rows, "missing": self.missing, "network": self.pruned["network"],
                "table": self.run.recipe.compression.model_dump(), "bundles": self.bundles, "bytes": self.files,
                "signals": self.signals, "why_no_bundle": why}  # fmt: skip

    def _student(self, lowered: LoweredMixture) -> None:
        from thumbnet.quantize.mixture_points import train_lowered

        table = self.run.recipe.compression
        name, bundle, found = self._point(INT8, lowered, self.pruned["network"])
        if table.aware_epochs:
            material = material_of(self.run, table.aware_epochs, table.aware_learning_rate)
            count = material.settings.passes(len(material.windows)) * len(material.windows)
            train_lowered(lowered, material, self.run.new_task(TITLES[AWARE], count))
            name, bundle, found = self._point(AWARE, lowered, self.pruned["network"])
        # What is deployed has the name that every other stage looks for.
        (self.folder / self.bundles[name]).replace(self.folder / BUNDLE)
        self.bundles[name] = BUNDLE
        self.files = {part: len(data) for part, data in bundle.files.items()}
        windows, places = self.run.loaded.windows, found["places"]
        np.savez(self.folder / ESTIMATES, estimates=found["estimates"], chosen=found["chosen"], places=places,
                 labels=windows.labels[places])  # fmt: skip
        np.save(self.folder / PARITY_WINDOWS, self._parity_windows())
        self.signals = keep_counts(self.run, bundle, self.folder)

    def _point(
        self, name: str, lowered: LoweredMixture, network: Mapping[str, Any], at: int = -1
    ) -> tuple[str, Bundle, dict[str, np.ndarray[Any, Any]]]:
        """Convert, keep the bundle, let its integers judge the held-out windows; name, bundle and estimates."""
        with _quiet_converter():
            bundle = _bundle(self.run, lowered, self.standard)
        self.bundles[name] = f"{FOLDER}/{name}.bundle"
        bundle.write(self.folder / self.bundles[name])
        windows, division = self.run.loaded.windows, self.run.loaded.division
        places = np.union1d(division.test, division.known)
        task = self.run.new_task(f"{TITLES[name]}, on the host", len(places))
        estimates, chosen = integer_estimates(bundle.tflite, windows.signals[places], task)
        tested = np.searchsorted(places, division.test)
        self.rows.add_int8(name, network, estimates[tested], chosen[tested].mean(axis=0).tolist(), at)
        return name, bundle, {"estimates": estimates, "chosen": chosen, "places": places}

    def _miss(self, name: str, error: Exception) -> None:
        self.missing.append({"name": name, "title": TITLES[name], "why": str(error)})

    def _calibration(self) -> np.ndarray[Any, Any]:
        windows, _ = self.run.part("train")
        recipe = self.run.recipe
        count = min(recipe.compression.calibration_windows, len(windows))
        return windows[np.sort(np.random.default_rng(recipe.training.seed).permutation(len(windows))[:count])]

    def _parity_windows(self) -> np.ndarray[Any, Any]:
        """Held-out windows as codes, int8 (windows, 1, samples, 1), spread over all of them."""
        windows, _ = self.run.part("test")
        return np.round(windows[spread(len(windows), self.run.recipe.boards.windows)] * 127).astype(np.int8)


@contextlib.contextmanager
def _quiet_converter() -> Iterator[None]:
    """Keep the converter's remarks on ranges and saved models away: both are as they are meant to be."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(before)


def _bundle(run: HemoRun, lowered: LoweredMixture, standard: Standard) -> Bundle:
    from thumbnet.codegen.mixture.plan import Mixture, Task
    from thumbnet.quantize.mixture_bundle import mixture_bundle
    from thumbnet.training.hemodynamics.tasks import task_of

    facts, files = run.folder.facts("data"), lowered.convert()
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
        signals=declared(run.recipe),
    )
