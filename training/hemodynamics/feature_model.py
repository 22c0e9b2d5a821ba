"""A model of hand-made pulse features: what a network has to beat, and one that is fitted in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError
from .features import pulse_features
from .windowset import PpgWindows

_ALPHAS = np.logspace(-1, 5, 13)
_TREES = 150
_LEAST_WINDOWS = 5


class PulseFeatureModel:
    """The mean of a ridge regression and of extremely randomised trees on :func:`.features.pulse_features`.

    Parameters
    ----------
    seed : int
        Draws the trees.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._models: list[Any] = []

    def fit(self, windows: PpgWindows) -> PulseFeatureModel:
        """Fit on training windows; returns itself.

        Raises
        ------
        ModelError
            When a parameter has fewer than five labels.
        """
        measures = pulse_features(windows.signals, windows.rate)
        self._models = [self._fit_task(measures, windows.labels[:, column], task)
                        for column, task in enumerate(windows.tasks)]  # fmt: skip
        return self

    def _fit_task(self, measures: np.ndarray, labels: np.ndarray, task: str) -> tuple[Any, Any]:
        from sklearn.ensemble import ExtraTreesRegressor
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        known = np.isfinite(labels)
        if known.sum() < _LEAST_WINDOWS:
            raise ModelError(
                f"a model of pulse features needs at least {_LEAST_WINDOWS} training windows with {task}, "
                f"got {int(known.sum())}"
            )
        line = make_pipeline(StandardScaler(), RidgeCV(_ALPHAS)).fit(measures[known], labels[known])
        trees = ExtraTreesRegressor(_TREES, min_samples_leaf=3, max_features=0.35, random_state=self._seed)
        return line, trees.fit(measures[known], labels[known])

    def estimate(self, windows: PpgWindows) -> np.ndarray:
        """Return estimates of all parameters, float64, shape (N, tasks).

        Raises
        ------
        ModelError
            When the model has not been fitted.
        """
        if not self._models:
            raise ModelError("a model of pulse features must be fitted before it estimates")
        measures = pulse_features(windows.signals, windows.rate)
        return np.stack(
            [(line.predict(measures) + trees.predict(measures)) / 2 for line, trees in self._models], axis=1
        )
