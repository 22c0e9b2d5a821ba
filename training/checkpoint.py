"""Where a training stands after a pass: everything that the next pass depends on, in one file."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ModelError

if TYPE_CHECKING:
    import tf_keras as keras

LOGS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


@dataclass
class Progress:
    """Curves so far, and the weights of the best pass.

    Attributes
    ----------
    logs : dict of str to list of float
        One entry per pass and curve.
    best_weights : list of numpy.ndarray
        As the model gives them.
    seconds : float
        Spent so far, earlier attempts included.
    """

    logs: dict[str, list[float]] = field(default_factory=lambda: {key: [] for key in LOGS})
    best_weights: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, row: Mapping[str, float], model: keras.Model, selection: str) -> None:
        """Add a pass; keep the model's weights where it is the best so far."""
        for key in LOGS:
            self.logs[key].append(float(row[key]))
        if self.best(selection) == len(self.logs["loss"]) - 1:
            self.best_weights = model.get_weights()

    def best(self, selection: str) -> int:
        """Return the pass, with the least validation loss or highest accuracy (the first of equals); or the last."""
        if selection == "last":
            return len(self.logs["loss"]) - 1
        if selection == "accuracy":
            return int(np.argmax(self.logs["val_accuracy"]))
        return int(np.argmin(self.logs["val_loss"]))

    def waited(self, selection: str) -> int:
        """Passes since the best one."""
        done = len(self.logs["loss"])
        return done - 1 - self.best(selection) if done else 0


def write_checkpoint(
    path: Path,
    identity: Mapping[str, Any],
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    progress: Progress,
) -> None:
    """Write a checkpoint, whole or not at all.

    Raises
    ------
    ModelError
        When it cannot be written.
    """
    about = {"identity": dict(identity), "logs": progress.logs, "seconds": progress.seconds}
    arrays = {f"weight{n}": value for n, value in enumerate(model.get_weights())}
    arrays |= {f"best{n}": value for n, value in enumerate(progress.best_weights)}
    arrays |= {f"optimizer{n}": variable.numpy() for n, variable in enumerate(optimizer.variables)}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ModelError(f"checkpoint {path} cannot be written: {error.strerror or error}") from None


def read_checkpoint(
    path: Path, identity: Mapping[str, Any], model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> Progress | None:
    """Take a training up: set model and optimizer to the checkpoint's state.

    Returns
    -------
    Progress or None
        None where there is no checkpoint, it is damaged, or is one of another training: that starts anew.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(bytes(arrays["about"]))
            if about["identity"] != json.loads(json.dumps(dict(identity))):
                return None
            weights = [arrays[f"weight{n}"] for n in range(len(model.weights))]
            best = [arrays[f"best{n}"] for n in range(len(model.weights))]
            state = [arrays[f"optimizer{n}"] for n in range(len(optimizer.variables))]
        progress = Progress({key: list(about["logs"][key]) for key in LOGS}, best, float(about["seconds"]))
        shapes = [tuple(variable.shape) for variable in (*model.weights, *optimizer.variables)]
        if shapes != [value.shape for value in (*weights, *state)]:
            return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    model.set_weights(weights)
    for variable, value in zip(optimizer.variables, state, strict=True):
        variable.assign(value)
    return progress
