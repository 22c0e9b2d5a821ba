"""What the stages of a run about hemodynamic parameters share: recipe, folder and windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipeline.context import Run
from .recipe import HemoRecipe

if TYPE_CHECKING:
    from thumbnet.training.hemodynamics.sources import Data


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
