"""Stage `compress`: fold, quantize to int8, compare with the float network, bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..convert import load_keras
from .context import Run
from .firmware import PARITY_WINDOWS
from .hashing import versions
from .quiet import quiet_libraries
from .samples import write_samples
from .train import MODEL, scaling_of

if TYPE_CHECKING:
    from thumbnet.quantize.bundle import Bundle
    from thumbnet.quantize.scaling import ChannelScaling

Array = np.ndarray[Any, Any]

INT8_RESULTS = "test_int8.npz"
_CODE = ("quantize", "training/metrics.py", "host_tools/convert.py", "host_tools/pipeline/compress.py",
         "host_tools/pipeline/samples.py")  # fmt: skip
_PACKAGES = ("tensorflow", "tf-keras", "ai-edge-litert", "tflite-micro", "numpy")


def compress(run: Run) -> dict[str, Any]:
    """Run the stage; its facts hold int8 metrics, agreement with float, and what quantization cost each layer."""
    recipe = run.recipe
    depends = {
        "epochs": run.folder.facts("signals")["epochs_sha256"],
        "model": run.output_hash("train", MODEL),
        "quantize": recipe.quantize.model_dump(),
        "reader": recipe.signals.reader_settings(),
        "licence": run.folder.facts("signals")["licence"],
        "windows": recipe.boards.windows,
        "versions": versions(_PACKAGES),
    }
    return run.stage("compress", depends, _CODE, lambda folder: _work(run, folder))


@quiet_libraries()
def _work(run: Run, folder: Path) -> dict[str, Any]:
    epochs = run.epochs
    scaling = scaling_of(run)
    chosen = calibration_windows(run)
    tflite, floating = _convert(run.folder.output(MODEL), scaling.apply(epochs.signals[chosen]))
    (folder / "model.tflite").write_bytes(tflite)
    accuracy = run.folder.facts("train")["metrics"]["accuracy"]
    make_bundle(run, tflite, scaling, chosen, run.recipe.quantize.clip_percentile, accuracy).write(
        folder / "model.bundle"
    )
    return _compare(run, folder, scaling, tflite, floating)


def _convert(path: Path, calibration: Array) -> tuple[bytes, bytes]:
    """Fold the network and convert it twice, to int8 and to float."""
    from thumbnet.quantize.convert import convert_float, convert_int8
    from thumbnet.quantize.fold import fold_shortcuts

    folded = fold_shortcuts(load_keras(path))
    return convert_int8(folded, calibration), convert_float(folded)


def _compare(run: Run, folder: Path, scaling: ChannelScaling, tflite: bytes, floating: bytes) -> dict[str, Any]:
    """Run float and int8 over the held-out windows; keep the int8 answers and the windows that boards will run."""
    from thumbnet.quantize.compare import compare
    from thumbnet.training.sleep.stages import STAGES

    test = run.epochs.take(run.split.test)
    found = compare(
        floating,
        tflite,
        scaling,
        test.signals,
        test.labels,
        test.subjects,
        STAGES,
        protocol=run.split.protocol,
        seed=run.recipe.quantize.seed,
        advance=run.new_task("int8 on the host", len(test)),
    )
    np.savez(
        folder / INT8_RESULTS,
        probabilities=found.int8_prediction.probabilities,
        predicted=found.int8_prediction.stages,
        float_predicted=found.float_prediction.stages,
        labels=test.labels,
        onsets=test.onsets,
        recordings=test.recordings.astype(str),
    )
    windows = test.take(spread(len(test), run.recipe.boards.windows))
    np.save(folder / PARITY_WINDOWS, scaling.to_int8(windows.signals))
    return {**found.to_dict(), **write_samples(run, folder, windows, scaling)}


def calibration_windows(run: Run) -> Array:
    """Draw calibration windows among those of training subjects, in order."""
    train = run.split.train
    count = min(run.recipe.quantize.calibration_windows, len(train))
    rng = np.random.default_rng(run.recipe.quantize.seed)
    return np.sort(rng.choice(train, count, replace=False))


def spread(available: int, wanted: int) -> Array:
    """Indices of `wanted` windows spread evenly over those available, all of them when they are fewer."""
    return np.unique(np.linspace(0, available - 1, min(wanted, available)).round().astype(np.int64))


def make_bundle(
    run: Run, tflite: bytes, scaling: ChannelScaling, calibration: Array, percentile: float, accuracy: float
) -> Bundle:
    """Put a model and all that is needed to use it into a bundle.

    Parameters
    ----------
    run : Run
        Its signals were read.
    tflite : bytes
        The int8 model.
    scaling, percentile
        Gain and clip of each channel, and the percentile that fixed them.
    calibration : numpy.ndarray
        Which windows fixed the ranges.
    accuracy : float
        Of the float network on the held-out windows.
    """
    from thumbnet.quantize.bundle import Bundle
    from thumbnet.quantize.signals import declare_signals
    from thumbnet.training.sleep.stages import STAGES

    facts = run.folder.facts("signals")
    subjects = run.epochs.subjects[calibration]
    return Bundle.create(
        tflite,
        scaling=scaling,
        rate=run.epochs.rate,
        channel_kinds=[_kind(name, run.config.emg) for name in run.epochs.channels],
        preprocessing=[
            *run.config.steps(),
            {"step": "scale-and-clip", "percentile": percentile, "fitted_on": "training part"},
        ],
        labels=STAGES,
        calibration={
            "windows": len(calibration),
            "subjects": len(np.unique(subjects)),
            "method": f"clip at the {percentile:g} percentile of training subjects",
        },
        training={
            "protocol": facts["protocol"],
            "source": facts["source"],
            "windows": facts["windows"],
            "accuracy": accuracy,
        },
        licences=[facts["licence"]],
        versions=versions(("thumbnet", *_PACKAGES)),
        signals=declare_signals(run.config, scaling),
    )


def _kind(channel: str, emg: str | None) -> str:
    first = channel.split()[0].lower()
    return f"emg {emg or 'raw'}" if first == "emg" else first
