"""Models behind their preprocessing: the declaration, windows of raw samples, and the oracle of both together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from thumbnet.codegen import CompiledModel, compile_model
from thumbnet.codegen.signals import SignalPlan, design, run_values
from thumbnet.codegen.signals.application import input_codes, samples_of

from .errors import HostToolsError
from .modelfile import ModelFile
from .oracle import Oracle
from .tensors import Array, TensorSpec
from .windows import RandomWindows, Windows, kind_of

#: Value of --signals that stands for the declaration in the bundle.
BUNDLE = "bundle"
_WINDOWS_IN_FLOAT = 16
_LOWEST, _HIGHEST, _SILENCE = "lowest", "highest", "zero point"


def read_plan(source: str, model: ModelFile) -> SignalPlan:
    """Read a declaration of preprocessing.

    Parameters
    ----------
    source
        A JSON file, or ``bundle`` for what travels with the model.
    model
        The model that it belongs to.

    Raises
    ------
    HostToolsError
        When there is none, or the file is no JSON object.
    CodegenError
        When the declaration is malformed.
    """
    if source == BUNDLE:
        content = None if model.bundle is None else model.bundle.signals
        if content is None:
            raise HostToolsError(f"{model.path} carries no declaration of its preprocessing; give it as a JSON file")
        return SignalPlan.from_dict(content)
    path = Path(source)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HostToolsError(f"{path} is not a declaration of preprocessing: {error}") from None
    if not isinstance(content, dict):
        raise HostToolsError(f"{path} is not a declaration of preprocessing: a JSON object is needed")
    return SignalPlan.from_dict(content)


@dataclass(frozen=True)
class SignalOracle:
    """The integer reference of the preprocessing in front of the model's oracle.

    `model` is the model alone, compiled by the schedule whose slices are pushed.
    """

    inner: Oracle
    model: CompiledModel
    plan: SignalPlan

    @property
    def name(self) -> str:
        """What computes."""
        return f"{self.inner.name}, behind the integer reference of its preprocessing"

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Outputs for one window of samples, int32 of shape (samples, channels)."""
        return self.inner.run([input_codes(self.model, self.plan, inputs[0])])

    def run_all(self, inputs: Sequence[Array]) -> Mapping[int, Array]:
        """Every tensor of the model, its input included."""
        codes = input_codes(self.model, self.plan, inputs[0])
        return {**self.inner.run_all([codes]), self.model.inputs[0].tensor: codes}


@dataclass(frozen=True)
class SampleWindows:
    """Windows of converter samples made from a seed: rails, silence, walks, noise and impulses.

    `samples` and `channels` are the shape of a window.
    """

    bits: int
    samples: int
    channels: int
    count: int
    seed: int

    @property
    def description(self) -> str:
        """What was compared, for reports."""
        return f"random samples of {self.bits} bits, seed {self.seed}"

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> list[Array]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        rng = np.random.Generator(np.random.PCG64([self.seed, index]))
        return [self._window(rng, kind_of(index)).astype(np.int32)]

    def real(self, index: int) -> list[Array]:
        """A model behind preprocessing has no float twin."""
        raise HostToolsError("a float model takes prepared windows: leave --signals or --float out")

    def _window(self, rng: np.random.Generator, kind: str) -> Array:
        shape, half = (self.samples, self.channels), 2 ** (self.bits - 1)
        if kind in (_LOWEST, _HIGHEST, _SILENCE):
            return np.full(shape, {_LOWEST: -half, _HIGHEST: half - 1, _SILENCE: 0}[kind])
        if kind == "noise":
            return rng.integers(-half, half, shape)
        if kind == "impulses":
            return np.where(rng.random(shape) < 0.02, rng.integers(-half, half, shape), 0)
        step = max(half // 20, 1)
        walk = np.cumsum(rng.integers(-step, step, shape, endpoint=True), axis=0) % (4 * half)
        folded: Array = np.where(walk < 2 * half, walk - half, 3 * half - walk - 1)
        return folded


def seeded_windows(inputs: Sequence[TensorSpec], plan: SignalPlan | None, count: int, seed: int) -> Windows:
    """Windows made from a seed: codes for a model, samples where a plan stands in front of it."""
    if plan is None:
        return RandomWindows(inputs, count, seed)
    samples, channels = inputs[0].shape
    return SampleWindows(plan.bits, samples, channels, count, seed)


@dataclass(frozen=True)
class RecordedWindows:
    """Consecutive windows of a recording's digital samples, int32 of shape (windows * samples, channels)."""

    counts: Array
    samples: int
    description: str

    def __len__(self) -> int:
        return len(self.counts) // self.samples

    def __getitem__(self, index: int) -> list[Array]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        window = self.counts[index * self.samples : (index + 1) * self.samples]
        return [np.ascontiguousarray(window, np.int32)]

    def real(self, index: int) -> list[Array]:
        """A model behind preprocessing has no float twin."""
        raise HostToolsError("a float model takes prepared windows: leave --signals or --float out")


@dataclass(frozen=True)
class Front:
    """Preprocessing in front of a model, with windows for both."""

    plan: SignalPlan
    model: CompiledModel
    windows: SampleWindows | RecordedWindows

    @cached_property
    def differences(self) -> list[FloatDifference]:
        """How far each channel is from floating point over the first windows; the same for every board."""
        return float_differences(self, _WINDOWS_IN_FLOAT)

    def to_dict(self) -> dict[str, Any]:
        """JSON form: how far each channel is from floating point over the first windows, before codes.

        In microvolts; in counts of a declaration of normalised windows, where a count is worth 1.
        """
        unit = "uV" if self.plan.normalise is None else "counts"
        return {
            "channels": [
                {
                    "name": row.channel,
                    "float_difference_max_uv": row.largest,
                    "float_difference_rms_uv": row.rms,
                    "unit": unit,
                }
                for row in self.differences
            ]
        }

    def behind(self, oracle: Oracle) -> SignalOracle:
        """The oracle of both together."""
        return SignalOracle(oracle, self.model, self.plan)


def open_front(
    model: ModelFile, source: str, schedule: str, recording: Path | None, count: int | None, most: int, seed: int
) -> Front:
    """Read a declaration and choose windows: those of a recording, or `count` random ones (by default `most`).

    Raises
    ------
    HostToolsError, CodegenError
        When the declaration cannot be read or does not fit the model, or the recording does not fit it.
    """
    plan = read_plan(source, model)
    compiled = compile_behind(model, plan, schedule)
    if recording is not None and source == BUNDLE:
        return Front(plan, compiled, read_windows(recording, compiled, plan, model, count))
    if recording is not None:
        return Front(plan, compiled, recorded_windows(recording, compiled, plan, count))
    samples = samples_of(compiled, plan)
    return Front(plan, compiled, SampleWindows(plan.bits, samples, len(plan.channels), count or most, seed))


def schedule_behind(plan: SignalPlan, schedule: str) -> str:
    """Schedule of a model behind its preprocessing: it streams, unless whole windows are normalised."""
    return "stream" if plan.normalise is None and not schedule.startswith("stream") else schedule


def compile_behind(model: ModelFile, plan: SignalPlan, schedule: str) -> CompiledModel:
    """Compile the model alone for the host, as the oracle of both together wants it."""
    return compile_model(model.tflite, target="host", schedule=schedule_behind(plan, schedule))


def read_windows(
    path: Path, model: CompiledModel, plan: SignalPlan, given: ModelFile, count: int | None
) -> RecordedWindows:
    """Windows of a recording as the bundle reads it: channels by role, brought to the declared converter.

    Raises
    ------
    HostToolsError
        When the recording is shorter than one window.
    TrainingError
        When it cannot be read.
    """
    from thumbnet.quantize.signals import to_counts
    from thumbnet.training.sleep.recording import read_converter_signals

    from .hemodynamics.converter import read_counts
    from .predict import bundle_config, bundle_of

    bundle = bundle_of(given)
    if plan.normalise is not None:
        return _windows_of(read_counts(path, bundle), samples_of(model, plan), path, count)
    counts = to_counts(plan.to_dict(), read_converter_signals(path, bundle_config(bundle)))
    return _windows_of(counts, samples_of(model, plan), path, count)


def _windows_of(counts: Array, samples: int, path: Path, count: int | None) -> RecordedWindows:
    windows = min(counts.shape[1] // samples, count or counts.shape[1] // samples)
    if not windows:
        raise HostToolsError(f"{path} holds {counts.shape[1]} samples, one window takes {samples}")
    chosen = np.ascontiguousarray(counts[:, : windows * samples].T)
    return RecordedWindows(chosen, samples, f"{path.name}, {windows} windows from its start")


def recorded_windows(path: Path, model: CompiledModel, plan: SignalPlan, count: int | None) -> RecordedWindows:
    """Windows of the channels of an EDF file that bear the plan's names, as the recorder's converter gave them.

    Raises
    ------
    HostToolsError
        When the file cannot be read, lacks a channel, mixes rates, or is shorter than one window.
    """
    signals = _digital_signals(path)
    rows, rates = [], set()
    for channel in plan.channels:
        if channel.name not in signals:
            raise HostToolsError(f"{path} has no channel '{channel.name}': it has {', '.join(signals)}")
        counts, rate = signals[channel.name]
        rows.append(counts)
        rates.add(rate)
    if len(rates) > 1:
        found = ", ".join(f"{rate:g}" for rate in sorted(rates))
        raise HostToolsError(f"{path}: channels of one rate are needed, got {found} Hz")
    return _windows_of(np.stack(rows), samples_of(model, plan), path, count)


@dataclass(frozen=True)
class FloatDifference:
    """How far integers are from floating point before quantization, in microvolts, over all windows."""

    channel: str
    largest: float
    rms: float


def float_differences(front: Front, windows: int) -> list[FloatDifference]:
    """Compare the integer reference with SciPy in double precision over the first windows.

    Raises
    ------
    HostToolsError
        When SciPy is missing.
    """
    constants = design(front.plan)
    steps = [channel["steps"] for channel in front.plan.to_dict()["channels"]]
    found: list[list[Array]] = [[] for _ in front.plan.channels]
    for index in range(min(windows, len(front.windows))):
        counts = front.windows[index][0].T
        values = run_values(constants, counts) / 2.0**constants.point
        for row, (channel, samples) in enumerate(zip(front.plan.channels, counts, strict=True)):
            exact = _float_values(steps[row], samples)[: values.shape[1]]
            found[row].append((values[row] - exact) * channel.microvolts_per_count)
    joined = [np.concatenate(parts) for parts in found]
    return [
        FloatDifference(channel.name, float(np.abs(row).max()), float(np.sqrt(np.mean(row**2))))
        for channel, row in zip(front.plan.channels, joined, strict=True)
    ]


def _float_values(steps: Sequence[Mapping[str, Any]], samples: Array) -> Array:
    """Run the steps as training runs them."""
    from thumbnet.training.sleep.filters import apply_steps

    try:
        return apply_steps(steps, samples)
    except ImportError:
        raise HostToolsError("the float reference of preprocessing needs SciPy: pip install thumbnet[train]") from None


def _digital_signals(path: Path) -> dict[str, tuple[Array, float]]:
    try:
        import edfio
    except ImportError:
        raise HostToolsError("reading an EDF file needs edfio: pip install thumbnet[train]") from None
    try:
        recording: Any = edfio.read_edf(path)
    except (OSError, ValueError) as error:
        raise HostToolsError(f"{path} cannot be read as EDF: {error}") from None
    return {s.label: (np.asarray(s.digital, np.int32), float(s.sampling_frequency)) for s in recording.signals}
