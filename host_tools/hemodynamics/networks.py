"""Networks of a run about hemodynamic parameters: files, sizes, and how far their estimates are off."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HostToolsError

if TYPE_CHECKING:
    from thumbnet.training.hemodynamics.learning import Standard
    from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe

    from .context import HemoRun

MODEL, STUDENT, STANDARD = "model.keras", "student.keras", "standard.json"
PACKAGES = ("tensorflow", "tf-keras", "numpy")
_PARTS = ("attention", "config", "experts", "gating", "learning", "losses", "lsm2oe", "lsm2oe_sizes", "msfgm", "rows")
_TRAINING = ("loop", "settings", "steps")
NETWORK_CODE = (
    *(f"training/hemodynamics/{name}.py" for name in _PARTS),
    *(f"training/{name}.py" for name in _TRAINING),
    "host_tools/hemodynamics/networks.py",
)
"""Sources that decide what a network is and how it is trained; those of data and evaluation do not."""


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


def load_standard(path: Path) -> Standard:
    """Units of the labels that a network was trained in."""
    from thumbnet.training.hemodynamics.learning import Standard

    return Standard.from_dict(json.loads(path.read_text(encoding="utf-8")))


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
    from thumbnet.training.hemodynamics.learning import as_rows

    path = folder / name if (folder / name).is_file() else folder / MODEL
    model = load_network(path)
    standard = load_standard(folder / STANDARD)

    def estimate(signals: np.ndarray[Any, Any]) -> dict[str, Any]:
        rows = as_rows(signals)
        weights = [
            np.asarray(model.route(rows[start : start + 64], False).weights) for start in range(0, len(rows), 64)
        ]
        return {"estimates": standard.undo(_outputs(model, rows)), "weights": np.concatenate(weights)}

    return estimate
