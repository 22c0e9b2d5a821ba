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

DATA, MODEL, BUNDLE, INTEGERS = "data.json", "model.keras", "model.bundle", "test_int8.npz"
FEATURES = "pulse features"
OWN_DIVISION = (
    "counts of train and validation are those of pulse features and baselines; the network has its own division of the "
    "same windows"
)
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
class OnDevice:
    """What the integers of a run's bundle say.

    Attributes
    ----------
    estimated : numpy.ndarray
        Shape (N, tasks); NaN for windows that are neither tested nor known readings.
    chosen : numpy.ndarray
        bool (tested windows, experts): which experts ran.
    """

    estimated: np.ndarray[Any, Any]
    chosen: np.ndarray[Any, Any]


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
    device : OnDevice, optional
        Of a run with a bundle.
    """

    title: str
    settings: dict[str, Any]
    tested: dict[str, Any] | None
    data: Data
    estimated: np.ndarray[Any, Any]
    others: dict[str, np.ndarray[Any, Any]]
    weights: np.ndarray[Any, Any] | None = None
    device: OnDevice | None = None

    def report(self) -> dict[str, Any]:
        """Return the table of :func:`thumbnet.training.hemodynamics.evaluation.evaluate`, and whose it is."""
        from thumbnet.training.hemodynamics.evaluation import evaluate

        found = evaluate(self.data.windows, self.data.division, self.estimated, others=self.others,
                         weights=self.weights, rejections=self.data.rejections,
                         joined=self.weights is not None and self.tested is None)  # fmt: skip
        if self.tested is not None and self.weights is not None:
            found["remarks"].insert(0, OWN_DIVISION)
        about = {"model": self.title, "settings": self.settings, "tested": self.tested}
        return {**about, **found, **({} if self.device is None else {"device": self._device(self.device)})}

    def _device(self, device: OnDevice) -> dict[str, Any]:
        """The parts of the table that say more than errors, for the integers."""
        from thumbnet.training.hemodynamics.evaluation import evaluate

        weights = device.chosen / device.chosen.sum(axis=1, keepdims=True)
        found = evaluate(self.data.windows, self.data.division, device.estimated, weights=weights)
        # Weights of the mixture differ between tasks and are not known here.
        del found["experts"]["importance"]
        table: dict[str, Any] = {key: found[key] for key in ("tracking", "identities", "strata", "experts")}
        table["calibrated"] = found["errors"].get("model, calibrated")
        if self.weights is not None:
            runs = (self.weights > 0).any(axis=1) if self.weights.ndim == 3 else self.weights > 0
            table["same_experts"] = float((runs == device.chosen).all(axis=1).mean())
        return {"model": TITLES[BUNDLE], **table}


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
    from thumbnet.training.hemodynamics.sources import cross_data, load_data

    table = _run_data(folder)
    own, other = data_config(table), _other_data(table, options)
    return judge_networks(folder, load_data(own) if other is None else cross_data(own, other), own, other)


def judge_networks(folder: Path, data: Data, own: DataConfig, other: DataConfig | None = None) -> Judged:
    """Estimates by the networks of a run of windows that are at hand.

    Parameters
    ----------
    folder : pathlib.Path
        Of the run.
    data : Data
        Windows and their division.
    own, other : DataConfig
        The run's data, and another data set where that is what `data` holds.
    """
    import numpy as np
    from thumbnet.training.errors import ModelError

    from .networks import STUDENT, load_estimator

    # Whoever joins a network with something else weighs both on the validation windows.
    rows = np.unique(np.concatenate([data.division.test, data.division.known, data.division.validation]))
    names = [name for name in (STUDENT, MODEL) if (folder / name).is_file()]
    found = [load_estimator(folder, name)(data.windows.signals[rows]) for name in names]
    if len(found) > 1 and np.array_equal(found[0]["estimates"], found[1]["estimates"]):
        # Nothing was removed and nothing learned again: the network goes by its own name.
        names, found = names[1:], found[1:]
    columns = _columns(folder, data.windows.tasks)
    count = len(data.windows)
    told = {TITLES[name]: _spread(row["estimates"][:, columns], rows, count)
            for name, row in zip(names, found, strict=True)}  # fmt: skip
    others = {name: values for name, values in told.items() if name != TITLES[names[0]]}
    device = None
    if (folder / BUNDLE).is_file():
        device = _on_device(folder, data, columns, known=other is None)
        others[TITLES[BUNDLE]] = device.estimated
    # A handful of windows teaches no model of features.
    with contextlib.suppress(ModelError):
        others[FEATURES] = feature_estimates(data)
    return Judged(
        title=TITLES[names[0]],
        settings=own.to_dict(),
        tested=None if other is None else other.to_dict(),
        data=data,
        estimated=told[TITLES[names[0]]],
        others=others,
        weights=found[0]["weights"][np.searchsorted(rows, data.division.test)],
        device=device,
    )


def _on_device(folder: Path, data: Data, columns: list[int], *, known: bool) -> OnDevice:
    """Estimates as the device gives them, of the tested windows and of known readings.

    Those of the run's own windows are known where its stage `compress` left them.
    """
    import numpy as np
    from thumbnet.quantize.bundle import Bundle

    from .integers import integer_estimates

    rows = np.union1d(data.division.test, data.division.known)
    left = _left(folder / INTEGERS, rows) if known else None
    if left is None:
        left = integer_estimates(Bundle.read(folder / BUNDLE).tflite, data.windows.signals[rows])
    estimates, chosen = left
    found = _spread(estimates[:, columns], rows, len(data.windows))
    return OnDevice(found, chosen[np.searchsorted(rows, data.division.test)])


def _left(path: Path, rows: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """Estimates and choices that a stage left, None where there are none of these windows."""
    import numpy as np

    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        if "chosen" not in arrays.files or not np.array_equal(arrays["places"], rows):
            return None
        return arrays["estimates"], arrays["chosen"]


def _spread(values: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Rows of a table of `count`; NaN for windows that are neither tested nor known readings."""
    import numpy as np

    found: np.ndarray[Any, Any] = np.full((count, values.shape[1]), np.nan)
    found[rows] = values
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
