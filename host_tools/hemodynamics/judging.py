"""Whose estimates `thumbnet evaluate hemodynamics` judges: a run's networks, a file's, or those of pulse features."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import HostToolsError
from ..pipeline.folder import RunFolder
from ..pipeline.quiet import quiet_libraries
from .data_options import data_config, same_settings

if TYPE_CHECKING:
    import numpy as np
    from thumbnet.training.hemodynamics.sources import Data, DataConfig

DATA, MODEL, BUNDLE = "data.json", "model.keras", "model.bundle"
FEATURES = "pulse features"
TITLES = {MODEL: "network, float", "student.keras": "compressed network, float", BUNDLE: "compressed network, int8"}


def feature_estimates(data: Data) -> np.ndarray:
    """Return estimates of all windows by the model of pulse features, fitted on training and validation windows."""
    import numpy as np
    from thumbnet.training.hemodynamics.feature_model import PulseFeatureModel

    fitted = np.union1d(data.division.train, data.division.validation)
    return PulseFeatureModel().fit(data.windows.take(fitted)).estimate(data.windows)


def read_estimates(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read estimates of all windows from a .npy file.

    Raises
    ------
    HostToolsError
        When it cannot be read or has another shape.
    """
    import numpy as np

    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise HostToolsError(f"{path} cannot be read as estimates ({error})") from None
    if found.shape != shape or found.dtype.kind not in "fiu":
        raise HostToolsError(f"{path} must hold numbers of the shape {shape}, got {found.dtype} {found.shape}")
    return np.asarray(found, float)


@dataclass(frozen=True)
class Judged:
    """Whose estimates of which windows are judged.

    Attributes
    ----------
    title : str
        Of the model.
    settings, tested : dict
        Of the data it learned from, and of another data set that is tested whole, or None.
    data : Data
        Windows, their division, rejections.
    estimated : numpy.ndarray
        Shape (N, tasks).
    others : dict of str to numpy.ndarray
        Estimates of other models.
    weights : numpy.ndarray or None
        Routing of the tested windows.
    """

    title: str
    settings: dict[str, Any]
    tested: dict[str, Any] | None
    data: Data
    estimated: np.ndarray[Any, Any]
    others: dict[str, np.ndarray[Any, Any]]
    weights: np.ndarray[Any, Any] | None = None

    def report(self) -> dict[str, Any]:
        """Return the table of :func:`thumbnet.training.hemodynamics.evaluation.evaluate`, and whose it is."""
        from thumbnet.training.hemodynamics.evaluation import evaluate

        found = evaluate(self.data.windows, self.data.division, self.estimated, others=self.others,
                         weights=self.weights, rejections=self.data.rejections,
                         joined=self.weights is not None and self.tested is None)  # fmt: skip
        return {"model": self.title, "settings": self.settings, "tested": self.tested, **found}


def is_run(folder: Path | None) -> bool:
    """Whether a folder is one of a run of `thumbnet train` or `compress hemodynamics`."""
    return folder is not None and (folder / DATA).is_file()


def check_run(folder: Path, options: Mapping[str, Any]) -> None:
    """Refuse a folder that is no run, and options of another network than its own.

    Raises
    ------
    HostToolsError
        In one sentence.
    """
    from .model_options import check_network

    _run_data(folder)
    if options:
        check_network(RunFolder.open(folder).facts("train")["network"]["config"], options, folder)


def judge_data(config: DataConfig, tested: DataConfig | None, estimates: Path | None) -> Judged:
    """Estimates from a file, or by pulse features fitted on the training and validation windows."""
    from thumbnet.training.hemodynamics.sources import cross_data, load_data

    data = load_data(config) if tested is None else cross_data(config, tested)
    if estimates is None:
        title, estimated = FEATURES, feature_estimates(data)
    else:
        title, estimated = estimates.stem, read_estimates(estimates, data.windows.labels.shape)
    return Judged(title, config.to_dict(), None if tested is None else tested.to_dict(), data, estimated, {})


@quiet_libraries()
def judge_run(folder: Path, options: Mapping[str, Any]) -> Judged:
    """Estimates by the networks of a run, on its own held-out windows or on another data set as a whole.

    Parameters
    ----------
    folder : pathlib.Path
        Of the run.
    options : mapping
        Those of :func:`.data_options.data_options`; where they name other data, these are tested.

    Raises
    ------
    HostToolsError
        When the folder is no run, or options would put people that the network has seen into the test.
    """
    from thumbnet.training.errors import ModelError
    from thumbnet.training.hemodynamics.sources import cross_data, load_data

    table = _run_data(folder)
    from .run import STUDENT, load_estimator

    own, other = data_config(table), _other_data(table, options)
    data = load_data(own) if other is None else cross_data(own, other)
    names = [name for name in (STUDENT, MODEL) if (folder / name).is_file()]
    found = [load_estimator(folder, name)(data.windows.signals) for name in names]
    columns = _columns(folder, data.windows.tasks)
    others = {TITLES[name]: row["estimates"][:, columns] for name, row in zip(names[1:], found[1:], strict=True)}
    if (folder / BUNDLE).is_file():
        others[TITLES[BUNDLE]] = _bundle_estimates(folder / BUNDLE, data)[:, columns]
    # A handful of windows teaches no model of features.
    with contextlib.suppress(ModelError):
        others[FEATURES] = feature_estimates(data)
    return Judged(TITLES[names[0]], own.to_dict(), None if other is None else other.to_dict(), data,
                  found[0]["estimates"][:, columns], others, found[0]["weights"][data.division.test])  # fmt: skip


def _bundle_estimates(path: Path, data: Data) -> np.ndarray[Any, Any]:
    """Estimates as the device gives them, of the tested windows and of known readings; NaN for the rest."""
    import numpy as np
    from thumbnet.codegen.mixture.arithmetic import VALUE_BITS
    from thumbnet.quantize.bundle import Bundle

    from ..oracle import open_oracle

    oracle = open_oracle(Bundle.read(path).tflite)
    rows = np.union1d(data.division.test, data.division.known)
    codes = np.round(127 * (2 * data.windows.signals[rows] - 1)).astype(np.int8)
    values = [np.asarray(oracle.run([code[None, None, :, None]])[0], float).reshape(-1) for code in codes]
    found = np.full((len(data.windows), len(values[0])), np.nan)
    found[rows] = np.stack(values) / (1 << VALUE_BITS)
    return found


def _run_data(folder: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = json.loads((folder / DATA).read_text(encoding="utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HostToolsError(
            f"{folder} must be the folder of a run of `thumbnet train hemodynamics`; {DATA} cannot be read ({error})"
        ) from None
    return table


def _other_data(table: dict[str, Any], options: Mapping[str, Any]) -> DataConfig | None:
    """Return the data that options name, or None where they are those of the run."""
    given = {name: value for name, value in options.items() if value is not None}
    own, named = data_config(table).to_dict(), data_config(table, **given).to_dict()
    if same_settings(own, named, {*own, *named}):
        return None
    if not {"source", "ppg_file", "data"} & set(given):
        option = next(iter(given)).replace("_", "-")
        raise HostToolsError(f"a run keeps its own division; --{option} goes with data of another --source only")
    return data_config(**given)


def _columns(folder: Path, tasks: Sequence[str]) -> list[int]:
    """Columns of a run's estimates that are the tasks of the windows."""
    known = RunFolder.open(folder).facts("data")["tasks"]
    return [known.index(task) for task in tasks]
