"""What band powers alone can tell: the figure a network has to beat."""

from __future__ import annotations

import numpy as np

from ..epochs import EpochSet
from ..errors import DatasetError
from ..mapped import Windows, chunks_of

BANDS_HZ = {
    "delta": (0.5, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 12.0),
    "sigma": (12.0, 15.0),
    "beta": (15.0, 30.0),
    "gamma": (30.0, 45.0),
}
_SEGMENT_SECONDS = 4.0
_FLOOR_UV2 = 1e-4


def band_powers(signals: Windows, rate: float) -> np.ndarray:
    """Return the logarithm of each channel's power in each band of `BANDS_HZ`.

    Parameters
    ----------
    signals : numpy.ndarray or MappedWindows
        Shape (N, channels, samples), microvolts; above 90 Hz for the highest band.
    rate : float
        Samples per second.

    Returns
    -------
    numpy.ndarray
        float64, shape (N, channels * bands): log10 of Welch's spectrum (4-s Hann windows, half overlapping)
        summed over the band, in square microvolts. Bands above half the rate hold the floor of 1e-4.
    """
    return np.concatenate([_band_powers(chunk, rate) for chunk in chunks_of(signals)])


def _band_powers(signals: np.ndarray, rate: float) -> np.ndarray:
    from scipy.signal import welch

    segment = min(signals.shape[-1], round(_SEGMENT_SECONDS * rate))
    frequency, density = welch(signals, rate, nperseg=segment, axis=-1)
    width = frequency[1]
    powers = [
        density[..., (frequency >= low) & (frequency < high)].sum(axis=-1) * width for low, high in BANDS_HZ.values()
    ]
    return np.log10(np.stack(powers, axis=-1) + _FLOOR_UV2).reshape(len(signals), -1).astype(np.float64)


class MajorityBaseline:
    """The most frequent stage of the training epochs, for every epoch: what accuracy alone is worth."""

    def __init__(self) -> None:
        self._stage: int | None = None

    def fit(self, epochs: EpochSet) -> MajorityBaseline:
        """Fit on the epochs of the training subjects; returns itself."""
        self._stage = int(np.bincount(epochs.labels).argmax())
        return self

    def predict(self, epochs: EpochSet) -> np.ndarray:
        """Return the stage of each epoch, int64, shape (N,).

        Raises
        ------
        DatasetError
            When the baseline has not been fitted.
        """
        if self._stage is None:
            raise DatasetError("the majority baseline must be fitted before it predicts")
        return np.full(len(epochs), self._stage, np.int64)


class BandPowerBaseline:
    """Multinomial logistic regression on standardised log band powers.

    It sees one epoch at a time, as the network does, and is fitted on the same training epochs.
    """

    def __init__(self) -> None:
        self._model = None

    def fit(self, epochs: EpochSet) -> BandPowerBaseline:
        """Fit on the epochs of the training subjects; returns itself.

        Raises
        ------
        DatasetError
            When fewer than two stages occur.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if len(np.unique(epochs.labels)) < 2:
            raise DatasetError(f"the band-power baseline needs at least 2 stages, got {len(np.unique(epochs.labels))}")
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        self._model = model.fit(band_powers(epochs.signals, epochs.rate), epochs.labels)
        return self

    def predict(self, epochs: EpochSet) -> np.ndarray:
        """Return the stage of each epoch, int64, shape (N,).

        Raises
        ------
        DatasetError
            When the baseline has not been fitted.
        """
        if self._model is None:
            raise DatasetError("the band-power baseline must be fitted before it predicts")
        return self._model.predict(band_powers(epochs.signals, epochs.rate)).astype(np.int64)
