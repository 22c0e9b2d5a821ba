"""From microvolts to the network's input and to int8 codes, channel by channel. No TensorFlow here.

Channels differ by two orders of magnitude (an EEG swings over 100 uV, a chin EMG over a few), yet share one
int8 scale. So each channel gets a gain and a clip level of its own, fixed once on training subjects:

    input = clip(microvolts * gain, -1, 1)        gain = 1 / clip_uv
    code  = round_half_to_even(input * 127)       the .tflite input: scale 1/127, zero point 0

One code of a channel is therefore worth ``clip_uv / 127`` microvolts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..training.mapped import MappedWindows, Windows, chunks_of
from .errors import ScalingError

CODES = 127
DEFAULT_PERCENTILE = 99.9
LARGEST_SAMPLE = 4000
"""Epochs that fix the scaling at most: 200 MB of four channels, and no percentile moves with more of them."""


@dataclass(frozen=True)
class ChannelScaling:
    """Gain and clip level of each channel.

    Attributes
    ----------
    channels : tuple of str
        Names, in the order of the network's rows.
    clip_uv : tuple of float
        Microvolts that stand for full scale; what lies beyond is clipped.
    """

    channels: tuple[str, ...]
    clip_uv: tuple[float, ...]

    def __post_init__(self):
        if len(self.channels) != len(self.clip_uv) or not self.channels:
            raise ScalingError(f"each of {len(self.channels)} channels needs one clip level, got {len(self.clip_uv)}")
        for name, clip in zip(self.channels, self.clip_uv, strict=True):
            if not np.isfinite(clip) or clip <= 0:
                raise ScalingError(f"clip level of channel '{name}' must be a positive voltage in uV, got {clip!r}")

    @property
    def gain(self) -> tuple[float, ...]:
        """Network input per microvolt, for each channel."""
        return tuple(1.0 / clip for clip in self.clip_uv)

    @property
    def microvolts_per_step(self) -> tuple[float, ...]:
        """Microvolts of one int8 code, for each channel."""
        return tuple(clip / CODES for clip in self.clip_uv)

    def apply(self, signals: Windows) -> np.ndarray:
        """Scale and clip signals to what the network takes.

        Parameters
        ----------
        signals : numpy.ndarray
            Shape (N, channels, samples), microvolts, finite.

        Returns
        -------
        numpy.ndarray
            float32, shape (N, channels, samples, 1), in [-1, 1].

        Raises
        ------
        ScalingError
            Wrong number of axes or channels, NaN or infinity.
        """
        signals = self._checked(signals)
        gain = np.asarray(self.gain, np.float32)[:, None]
        return np.clip(signals * gain, -1.0, 1.0)[..., None]

    def to_int8(self, signals: Windows) -> np.ndarray:
        """Return the int8 codes of the network's input, shape (N, channels, samples, 1); see :meth:`apply`."""
        return to_codes(self.apply(signals))

    def share_clipped(self, signals: Windows) -> tuple[float, ...]:
        """Share of samples beyond the clip level, 0 to 1, for each channel."""
        beyond = np.zeros(len(self.channels), np.int64)
        clip = np.asarray(self.clip_uv)[:, None]
        for chunk in chunks_of(signals):
            beyond += (np.abs(self._checked(chunk)) > clip).sum(axis=(0, 2))
        return tuple((beyond / max(1, signals.shape[0] * signals.shape[2])).tolist())

    def report(self, signals: Windows) -> list[dict[str, Any]]:
        """Return a row of plain JSON values per channel, clipping counted on `signals` (microvolts)."""
        rows = zip(
            self.channels,
            self.clip_uv,
            self.gain,
            self.microvolts_per_step,
            self.share_clipped(signals),
            strict=True,
        )
        names = ("name", "clip_uv", "gain", "microvolts_per_step", "share_clipped")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _checked(self, signals: Windows) -> np.ndarray:
        signals = _finite(signals, self.channels)
        if signals.shape[1] != len(self.channels):
            raise ScalingError(
                f"signals must have the shape (epochs, {len(self.channels)} channels, samples), got {signals.shape}"
            )
        return signals


def fit_scaling(signals: Windows, channels: Sequence[str], percentile: float = DEFAULT_PERCENTILE) -> ChannelScaling:
    """Fix each channel's clip level at a percentile of its magnitude.

    A percentile, unlike the maximum, does not let a few artefacts at the rails of the recorder take the
    resolution from all the rest.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (N, channels, samples), microvolts, **of training subjects only**.
    channels : sequence of str
        Names.
    percentile : float
        Of the magnitude, above 50 to 100. It is taken over at most `LARGEST_SAMPLE` epochs, spread evenly.

    Returns
    -------
    ChannelScaling

    Raises
    ------
    ScalingError
        No epochs, NaN or infinity, a flat channel, or a percentile out of range.
    """
    channels = tuple(channels)
    if len(signals) > LARGEST_SAMPLE:
        signals = signals[np.linspace(0, len(signals) - 1, LARGEST_SAMPLE).round().astype(int)]
    signals = _finite(signals, channels)
    if signals.shape[1] != len(channels) or signals.size == 0:
        raise ScalingError(
            f"scaling needs training epochs of the shape (epochs, {len(channels)} channels, samples), at least "
            f"1 epoch, got {signals.shape}"
        )
    if not 50 < percentile <= 100:
        raise ScalingError(f"quantize.clip_percentile must be above 50 and at most 100, got {percentile!r}")
    clips = [float(np.percentile(np.abs(signals[:, row]), percentile)) for row in range(len(channels))]
    for name, clip in zip(channels, clips, strict=True):
        if clip == 0:
            raise ScalingError(f"channel '{name}' is flat in {percentile:g} % of the training samples; no gain fits it")
    # Rounded so that the manifest and the documentation can show the very value in use.
    return ChannelScaling(channels, tuple(float(f"{clip:.4g}") for clip in clips))


class ScaledWindows:
    """Scaled and clipped windows, made when rows are asked for: what a network trains on, without a second copy.

    Parameters
    ----------
    signals : numpy.ndarray or MappedWindows
        Shape (N, channels, samples), microvolts.
    scaling : ChannelScaling
        Of its channels.
    """

    def __init__(self, signals: Windows, scaling: ChannelScaling):
        self.signals, self.scaling = signals, scaling
        self.shape = (*signals.shape, 1)

    def __len__(self) -> int:
        return len(self.signals)

    def __getitem__(self, indices: np.ndarray | slice) -> np.ndarray:
        return self.scaling.apply(self.signals[indices])

    def take(self, indices: np.ndarray) -> ScaledWindows:
        """Return some of the windows; those on disk stay there."""
        mapped = isinstance(self.signals, MappedWindows)
        return ScaledWindows(self.signals.take(indices) if mapped else self.signals[indices], self.scaling)


def to_codes(inputs: np.ndarray) -> np.ndarray:
    """Turn network inputs in [-1, 1] into int8 codes: times 127, halves to even."""
    return np.clip(np.rint(np.asarray(inputs, np.float64) * CODES), -128, 127).astype(np.int8)


def _finite(signals: Windows, channels: Sequence[str]) -> np.ndarray:
    signals = np.asarray(signals, np.float32)
    if signals.ndim != 3:
        raise ScalingError(f"signals must have the shape (epochs, channels, samples), got {signals.shape}")
    bad = np.flatnonzero(~np.isfinite(signals).all(axis=(0, 2)))
    if len(bad):
        name = channels[bad[0]] if bad[0] < len(channels) else bad[0]
        raise ScalingError(f"channel '{name}' holds NaN or infinity; every sample must be a finite voltage")
    return signals
