"""From a Keras model file to an int8 .tflite file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from .errors import HostToolsError
from .pipeline.quiet import quiet_libraries
from .windows import read_npy


def convert(model: Path, calibration: Path, output: Path, fold: bool = True) -> dict[str, Any]:
    """Convert a model and write the file, whole or not at all.

    Parameters
    ----------
    model : pathlib.Path
        .keras or .h5 file, or a SavedModel folder of a Keras model, with one input.
    calibration : pathlib.Path
        .npy of float model inputs, shape (windows, *input shape).
    output : pathlib.Path
        File to write.
    fold : bool
        Fold linear chains first; exact in real arithmetic.

    Returns
    -------
    dict
        `file`, `bytes`, `sha256`, `windows`.

    Raises
    ------
    HostToolsError
        When a file is missing or is not what it should be, or TensorFlow is not installed.
    QuantizeError
        When the model cannot be converted.
    """
    windows = read_npy(calibration)
    if not model.exists():
        raise HostToolsError(f"the Keras model {model} does not exist")
    with quiet_libraries():
        tflite = _convert(model, windows, fold)
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(tflite)
    partial.replace(output)
    digest = hashlib.sha256(tflite).hexdigest()
    return {"file": str(output), "bytes": len(tflite), "sha256": digest, "windows": len(windows)}


def _convert(model: Path, windows: Any, fold: bool) -> bytes:
    try:
        from thumbnet.quantize.convert import convert_int8
        from thumbnet.quantize.fold import fold_shortcuts
    except ImportError as error:
        raise HostToolsError(f"convert needs the package {error.name}: pip install 'thumbnet[train]'") from error
    network = load_keras(model)
    data: bytes = convert_int8(fold_shortcuts(network) if fold else network, windows)
    return data


def load_keras(path: Path) -> Any:
    """Load a Keras model for inference.

    Raises
    ------
    HostToolsError
        When the file is not a Keras model.
    """
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    import tf_keras

    try:
        return tf_keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise HostToolsError(f"{path} cannot be read as a Keras model: {reason}") from error
