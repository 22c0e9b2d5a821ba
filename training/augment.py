"""Changes of training windows that leave their class as it is: louder or softer, upside down, with noise.

How loud a signal is depends on skin, electrode and amplifier more than on sleep, and which electrode is the positive
one is a convention. Few subjects teach neither; windows changed anew in every pass do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import ConfigError

_LIMIT = 1.0
"""Scaled windows lie within plus and minus this, as they will as int8."""


@dataclass(frozen=True)
class Augmentation:
    """What happens to training windows; nothing by default.

    Attributes
    ----------
    gain_db : float
        Each channel of a window is made louder or softer by up to this many decibels, evenly drawn.
    flip : bool
        Half of the windows are turned upside down, all channels together.
    noise : float
        Standard deviation of white noise that is added, as a share of the full scale.
    """

    gain_db: float = 0.0
    flip: bool = False
    noise: float = 0.0

    def __post_init__(self):
        if not 0 <= self.gain_db <= 20:
            raise ConfigError(f"training.augment_gain_db must be from 0 to 20, got {self.gain_db!r}")
        if not 0 <= self.noise < 1:
            raise ConfigError(f"training.augment_noise must be from 0 to less than 1, got {self.noise!r}")

    @property
    def nothing(self) -> bool:
        """Whether windows stay as they are."""
        return not (self.gain_db or self.flip or self.noise)

    def apply(self, windows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return changed windows.

        Parameters
        ----------
        windows : numpy.ndarray
            Scaled, float32, shape (N, channels, samples, 1).
        rng : numpy.random.Generator
            Decides everything.
        """
        if self.nothing:
            return windows
        count, channels = windows.shape[:2]
        factors = 10 ** (rng.uniform(-self.gain_db, self.gain_db, (count, channels, 1, 1)) / 20)
        if self.flip:
            factors *= rng.choice((-1.0, 1.0), (count, 1, 1, 1))
        changed = windows * factors.astype(np.float32)
        if self.noise:
            changed += self.noise * rng.standard_normal(changed.shape, np.float32)
        return np.clip(changed, -_LIMIT, _LIMIT)
