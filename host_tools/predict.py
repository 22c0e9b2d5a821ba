"""Score a recording into a hypnogram with a bundle: preprocessing as the bundle declares, on the host or on a board."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import HostToolsError
from .modelfile import ModelFile
from .oracle import open_oracle
from .pipeline.folder import write_text
from .prediction import Prediction
from .progress import NewTask
from .tensors import Array, TensorSpec, dequantize, pack, unpack

if TYPE_CHECKING:
    from thumbnet.quantize.bundle import Bundle
    from thumbnet.training.epochs import EpochSet
    from thumbnet.training.sleep.config import SignalConfig

    from .boards import Board

Score = Callable[[Sequence[Array]], list[Array]]


def predict(recording: Path, model: ModelFile, board: Board | None, folder: Path, new_task: NewTask) -> Prediction:
    """Score a recording.

    Parameters
    ----------
    recording : pathlib.Path
        A polysomnogram (.edf) with the channels that the bundle names; no hypnogram is needed.
    model : ModelFile
        A bundle; a bare .tflite file does not say how signals become its input.
    board : Board or None
        Where to compute; None: the oracle on this computer.
    folder : pathlib.Path
        Working folder for a board's firmware.
    new_task : callable
        Opens a progress bar.

    Returns
    -------
    Prediction

    Raises
    ------
    HostToolsError
        When the model is no bundle, or the device fails.
    TrainingError
        When the recording cannot be read.
    """
    from thumbnet.codegen import analyze_model
    from thumbnet.quantize.inference import prediction_of

    bundle = bundle_of(model)
    epochs = _read(recording, bundle)
    facts = analyze_model(model.tflite)
    outputs = facts.outputs[0]
    codes = bundle.scaling.to_int8(epochs.signals)
    advance = new_task("epochs", len(codes))
    rows = []
    with _scorer(model, board, folder, facts.outputs) as (name, score):
        for window in codes:
            rows.append(score([window.reshape(facts.inputs[0].shape)])[0].reshape(-1))
            advance(1)
    answers = np.stack(rows)
    found = prediction_of(answers, dequantize(answers, outputs), name)
    return Prediction(
        recording=recording.stem,
        classes=bundle.labels,
        onsets=epochs.onsets,
        epoch_seconds=epochs.signals.shape[2] / epochs.rate,
        stages=found.stages,
        probabilities=found.probabilities,
        scorer=name,
        notes=epochs.notes,
    )


def bundle_of(model: ModelFile) -> Bundle:
    """Bundle of a model; HostToolsError where it is a bare .tflite file."""
    if model.bundle is None:
        raise HostToolsError(
            f"the model {model.path} is a bare .tflite file, which does not say how signals become its input; "
            "predict needs a bundle (model.bundle of a run)"
        )
    return model.bundle


def _read(recording: Path, bundle: Bundle) -> EpochSet:
    from thumbnet.training.sleep.recording import read_recording

    return read_recording(recording, None, bundle_config(bundle), scored=False)


def bundle_config(bundle: Bundle) -> SignalConfig:
    """How a bundle reads recordings, filters included.

    Raises
    ------
    HostToolsError, TrainingError
        When the bundle does not say, or says what the reader does not know.
    """
    from thumbnet.training.sleep.config import SignalConfig

    return SignalConfig.from_table(_reader_settings(bundle))


def _reader_settings(bundle: Bundle) -> dict[str, Any]:
    """Settings of the reader, as the bundle's first step of preprocessing has them."""
    for step in bundle.manifest["preprocessing"]:
        if step["step"] == "read":
            settings = {key: value for key, value in step.items() if key != "step"}
            # JSON objects have no order, the rows of the model do.
            names = settings.get("channels", {})
            if set(names) != set(bundle.channels):
                raise HostToolsError(
                    f"the bundle's step 'read' must name the channels {list(bundle.channels)}, got {list(names)}"
                )
            return {**settings, "channels": {role: names[role] for role in bundle.channels}}
    raise HostToolsError("the bundle does not say how its signals are read: preprocessing has no step 'read'")


@contextlib.contextmanager
def _scorer(
    model: ModelFile, board: Board | None, folder: Path, outputs: Sequence[TensorSpec]
) -> Iterator[tuple[str, Score]]:
    """Open what computes: (its name, codes in -> codes out)."""
    if board is None:
        oracle = open_oracle(model.tflite)
        yield oracle.name, oracle.run
        return
    from .workbench import Workbench

    bench = Workbench(model, board, folder)
    with bench.device() as device:
        yield f"board {board.name}", lambda window: unpack(device.infer(pack(window)), outputs)


def write_prediction(prediction: Prediction, folder: Path) -> list[Path]:
    """Write `hypnogram.csv`, `hypnogram.edf` (EDF+ annotations) and `hypnogram.svg`.

    Parameters
    ----------
    prediction : Prediction
        What to write.
    folder : pathlib.Path
        Made when missing; files of the same names are replaced, each whole or not at all.

    Returns
    -------
    list of pathlib.Path
    """
    from thumbnet.training.sleep.hypnogram import runs_of_stages, write_annotated_stages

    from .report.hypnogram import draw

    folder.mkdir(parents=True, exist_ok=True)
    table, annotations, picture = (folder / f"hypnogram.{ending}" for ending in ("csv", "edf", "svg"))
    write_text(table, prediction.to_csv())
    onsets, durations, texts = runs_of_stages(prediction.stages, prediction.onsets[0], prediction.epoch_seconds)
    partial = folder / ".hypnogram.partial.edf"
    write_annotated_stages(partial, onsets, durations, texts)
    partial.replace(annotations)
    write_text(picture, draw(prediction))
    return [table, annotations, picture]
