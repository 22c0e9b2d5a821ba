"""A candidate as a network: built, trained, pruned, quantized, and judged on people it has not learned from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..recipes import Recipe
from .space import Candidate

if TYPE_CHECKING:
    from thumbnet.quantize.scaling import ChannelScaling, ScaledWindows
    from thumbnet.training.epochs import EpochSet
    from thumbnet.training.settings import TrainingSettings
    from thumbnet.training.splits import Split

Array = np.ndarray[Any, Any]
OnPass = Callable[[int, dict[str, float]], None]
_SHAPE_WINDOWS = 4
"""Windows that quantize an untrained network, whose cost alone is asked for."""


@dataclass(frozen=True)
class Trained:
    """A network after training and quantization.

    Attributes
    ----------
    model : keras.Model
        Pruned, not folded.
    tflite : bytes
        int8.
    scaling : ChannelScaling
        In front of it.
    parameters : int
        Weights that training changes.
    passes : int
        That were made.
    """

    model: Any
    tflite: bytes
    scaling: ChannelScaling
    parameters: int
    passes: int


class Workshop:
    """The windows of a run and what is done with them.

    Parameters
    ----------
    manifest : pathlib.Path
        The data set in the cache.
    recipe : Recipe
        Of the run.
    """

    def __init__(self, manifest: Path, recipe: Recipe) -> None:
        self._manifest, self.recipe = manifest, recipe
        self._scalings: dict[float, ChannelScaling] = {}

    @cached_property
    def epochs(self) -> EpochSet:
        """All windows."""
        from thumbnet.training.cache import open_set

        return open_set(self._manifest).epochs()

    @cached_property
    def split(self) -> Split:
        """Who trains, validates and tests: as in the stage `train`."""
        from thumbnet.training.splits import subject_split

        return subject_split(self.epochs, self.recipe.training.seed, self.recipe.training.fractions)

    def scaling(self, percentile: float) -> ChannelScaling:
        """Gain and clip of each channel at a percentile, from training subjects only."""
        from thumbnet.quantize.scaling import fit_scaling

        if percentile not in self._scalings:
            train = self.epochs.take(self.split.train)
            self._scalings[percentile] = fit_scaling(train.signals, train.channels, percentile)
        return self._scalings[percentile]

    def untrained(self, candidate: Candidate) -> bytes:
        """The int8 network as it comes from the dice: as large as a trained one."""
        model = self._pruned(self._build(candidate), candidate)
        return self._quantized(model, candidate, _SHAPE_WINDOWS)

    def train(
        self, candidate: Candidate, settings: TrainingSettings, *, on_pass: OnPass | None = None,
        checkpoints: Path | None = None,
    ) -> Trained:  # fmt: skip
        """Train a candidate, prune it halfway where it says so, and quantize it.

        Parameters
        ----------
        candidate : Candidate
            What to train.
        settings : TrainingSettings
            Of both halves together.
        on_pass : callable, optional
            Called after each pass with its number and figures.
        checkpoints : pathlib.Path, optional
            Folder where an interrupted training is taken up.
        """
        from thumbnet.quantize.graph import count_parameters

        model = self._build(candidate)
        passes = settings.passes(len(self.split.train))
        first = max(1, passes // 2) if candidate.prune else passes
        made = self._fit(model, candidate, settings, first, on_pass, checkpoints and checkpoints / "first.npz")
        if candidate.prune:
            model = self._pruned(model, candidate)

            def later(number: int, row: dict[str, float]) -> None:
                if on_pass is not None:
                    on_pass(made + number, row)

            rest = max(1, passes - first)
            made += self._fit(model, candidate, settings, rest, later, checkpoints and checkpoints / "second.npz")
        tflite = self._quantized(model, candidate, self.recipe.quantize.calibration_windows)
        return Trained(model, tflite, self.scaling(candidate.clip_percentile), count_parameters(model), made)

    def accuracy(self, tflite: bytes, candidate: Candidate, part: str) -> float:
        """Share of a part's windows ("validation" or "test") that an int8 network stages as scored."""
        from thumbnet.quantize.inference import predict_int8
        from thumbnet.training.mapped import chunks_of

        windows = self.epochs.take(getattr(self.split, part))
        scaling = self.scaling(candidate.clip_percentile)
        stages = [predict_int8(tflite, scaling, chunk).stages for chunk in chunks_of(windows.signals)]
        return float(np.mean(np.concatenate(stages) == windows.labels))

    def float_accuracy(self, model: Any, candidate: Candidate, part: str) -> float:
        """The same for the float network."""
        from thumbnet.training.loop import predict_probabilities

        chosen = getattr(self.split, part)
        stages = predict_probabilities(model, self._inputs(candidate).take(chosen)).argmax(axis=1)
        return float(np.mean(stages == self.epochs.labels[chosen]))

    def settings(self, window_passes: int | None = None) -> TrainingSettings:
        """Settings of the recipe's training, for another number of windows where one is given."""
        from thumbnet.training.settings import TrainingSettings

        settings = TrainingSettings(**self.recipe.training.model_dump(exclude={"fractions"}))
        return settings if window_passes is None else replace(settings, window_passes=window_passes)

    def _build(self, candidate: Candidate) -> Any:
        from thumbnet.training.loop import seed_everything
        from thumbnet.training.sleep.stages import STAGES
        from thumbnet.training.sleep.ulw_sleepnet import build_ulw_sleepnet

        seed_everything(self.recipe.training.seed, self.recipe.search.threads)
        return build_ulw_sleepnet(
            len(self.epochs.channels), self.epochs.signals.shape[2], len(STAGES),
            filters=candidate.filters, taps=candidate.taps, hidden_units=candidate.hidden_units,
        )  # fmt: skip

    def _pruned(self, model: Any, candidate: Candidate) -> Any:
        # Before it is folded: TensorFlow 2.21 writes past its memory when it trains the folded shortcut, a 1x1
        # convolution with a stride, over long signals.
        from thumbnet.quantize.structured import prune_filters

        return prune_filters(model, candidate.prune) if candidate.prune else model

    def _quantized(self, model: Any, candidate: Candidate, windows: int) -> bytes:
        from thumbnet.quantize.convert import convert_int8
        from thumbnet.quantize.fold import fold_shortcuts

        return convert_int8(fold_shortcuts(model), self._calibration(candidate, windows))

    def _inputs(self, candidate: Candidate) -> ScaledWindows:
        from thumbnet.quantize.scaling import ScaledWindows

        return ScaledWindows(self.epochs.signals, self.scaling(candidate.clip_percentile))

    def _fit(
        self, model: Any, candidate: Candidate, settings: TrainingSettings, passes: int, on_pass: OnPass | None,
        checkpoint: Path | None,
    ) -> int:  # fmt: skip
        from thumbnet.training.loop import train

        inputs, labels, split = self._inputs(candidate), self.epochs.labels, self.split
        history = train(
            model,
            inputs.take(split.train),
            labels[split.train],
            inputs.take(split.validation),
            labels[split.validation],
            replace(settings, epochs=passes, window_passes=None),
            checkpoint=checkpoint,
            on_pass=on_pass,
        )
        return len(history.loss)

    def _calibration(self, candidate: Candidate, count: int) -> Array:
        """Scaled training windows, drawn as the stage `compress` draws them."""
        chosen = self.calibration_windows(count)
        return self.scaling(candidate.clip_percentile).apply(self.epochs.signals[chosen])

    def calibration_windows(self, count: int) -> Array:
        """Which training windows calibrate."""
        rng = np.random.default_rng(self.recipe.quantize.seed)
        return np.sort(rng.choice(self.split.train, min(count, len(self.split.train)), replace=False))


def cpu_seconds(since: float = 0.0) -> float:
    """Processor time of this process, for a table that compares trials."""
    return round(time.process_time() - since, 1)
