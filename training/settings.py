"""How to train: limits, rates and the seed, for every training loop. No TensorFlow here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .augment import Augmentation
from .errors import ConfigError

SELECTIONS = ("loss", "accuracy", "last")


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    seed : int
        Initial weights (through :func:`.loop.seed_everything`), order of the batches, dropout.
    epochs : int
        Passes over the training windows at most.
    window_passes : int or None
        Training windows seen in all at most; the smaller limit holds, and one pass is always made.
    batch_size : int
        Windows per step.
    learning_rate : float
        Start of each cosine.
    first_restart : float
        Share of all steps before the learning rate starts again from the top; 1 means no restart. Each cosine
        is twice as long as the one before, so 1/3 gives two whole ones.
    patience : int
        Passes without a better validation figure before stopping.
    class_weights : bool
        Weigh each class by the inverse of its share.
    selection : str
        What the best pass is best in on the validation windows: "loss", or "accuracy" as in published code. "last":
        the last pass counts, whatever they say, and patience means nothing.
    augment_gain_db, augment_flip, augment_noise
        Changes of the training windows, see :class:`.augment.Augmentation`.
    """

    seed: int = 1
    epochs: int = 50
    window_passes: int | None = 15_000
    batch_size: int = 32
    learning_rate: float = 1e-3
    first_restart: float = 1 / 3
    patience: int = 10
    class_weights: bool = False
    selection: str = "loss"
    augment_gain_db: float = 0.0
    augment_flip: bool = False
    augment_noise: float = 0.0

    def __post_init__(self):
        for name, low in (("epochs", 1), ("batch_size", 1), ("patience", 1), ("seed", 0)):
            _check_whole(name, getattr(self, name), low)
        if self.window_passes is not None:
            _check_whole("window_passes", self.window_passes, 1)
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"training.learning_rate must be in (0, 1], got {self.learning_rate!r}")
        if not 0 < self.first_restart <= 1:
            raise ConfigError(f"training.first_restart must be in (0, 1], got {self.first_restart!r}")
        if self.selection not in SELECTIONS:
            raise ConfigError(f"training.selection must be one of {list(SELECTIONS)}, got {self.selection!r}")
        _ = self.augmentation  # which checks its own

    @property
    def augmentation(self) -> Augmentation:
        """What happens to training windows in every pass."""
        return Augmentation(self.augment_gain_db, self.augment_flip, self.augment_noise)

    def passes(self, windows: int) -> int:
        """Passes over `windows` training windows that the two limits allow, at least 1."""
        if self.window_passes is None:
            return self.epochs
        return max(1, min(self.epochs, self.window_passes // windows))


def _check_whole(name: str, value: Any, low: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ConfigError(f"training.{name} must be a whole number of at least {low}, got {value!r}")
