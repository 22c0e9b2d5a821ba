"""The hypnogram that a model gives for a recording."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from .tensors import Array


@dataclass(frozen=True)
class Prediction:
    """Stages of a recording, one per epoch from its start.

    Attributes
    ----------
    recording : str
        Name of the recording.
    classes : tuple of str
        Names of the stages, in the order of the probabilities.
    onsets : numpy.ndarray
        float64, shape (N,), seconds from the start of the recording.
    epoch_seconds : float
        Length of an epoch.
    stages : numpy.ndarray
        int64, shape (N,), most probable stage; the first of equals.
    probabilities : numpy.ndarray
        float32, shape (N, classes); each row sums to 1.
    scorer : str
        What computed them.
    notes : tuple of str
        What was done to the signals.
    """

    recording: str
    classes: tuple[str, ...]
    onsets: Array
    epoch_seconds: float
    stages: Array
    probabilities: Array
    scorer: str
    notes: tuple[str, ...]

    def minutes(self) -> dict[str, float]:
        """Minutes spent in each stage."""
        counts = np.bincount(self.stages, minlength=len(self.classes))
        return {name: float(n) * self.epoch_seconds / 60 for name, n in zip(self.classes, counts, strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "recording": self.recording,
            "scorer": self.scorer,
            "classes": list(self.classes),
            "epoch_seconds": self.epoch_seconds,
            "minutes": self.minutes(),
            "onsets": self.onsets.tolist(),
            "stages": [self.classes[stage] for stage in self.stages],
            "probabilities": np.round(self.probabilities.astype(float), 4).tolist(),
            "notes": list(self.notes),
        }

    def to_csv(self) -> str:
        """Return a table with onset and duration in seconds, stage, and the probability of each stage."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["onset", "duration", "stage", *(f"p_{name}" for name in self.classes)])
        for onset, stage, shares in zip(self.onsets, self.stages, self.probabilities, strict=True):
            figures = [f"{share:.4f}" for share in shares]
            writer.writerow([f"{onset:g}", f"{self.epoch_seconds:g}", self.classes[stage], *figures])
        return text.getvalue()
