"""The float model beside the int8 one, to tell how often both name the same class.

TensorFlow is imported only here, and only when a float model is given.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import HostToolsError
from .tensors import Array

FloatModel = Callable[[Sequence[Array]], Array]


def open_float_model(path: Path) -> FloatModel:
    """Open a float .tflite (LiteRT) or Keras model as a function from real inputs to its first output.

    Raises
    ------
    HostToolsError
        When the file is missing or cannot be opened, or its interpreter is not installed.
    """
    if not path.exists():
        raise HostToolsError(f"the float model {path} does not exist")
    try:
        return _open_tflite(path) if path.suffix == ".tflite" else _open_keras(path)
    except ImportError as error:
        raise HostToolsError(f"{path} needs the package {error.name}: pip install 'thumbnet[train]'") from error
    except ValueError as error:
        raise HostToolsError(f"the float model {path} cannot be read: {error}") from error


def _open_tflite(path: Path) -> FloatModel:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # Without delegates: they announce themselves on standard error.
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter: Any = Interpreter(model_path=str(path), num_threads=1, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    inputs, output = interpreter.get_input_details(), interpreter.get_output_details()[0]
    if any(np.dtype(tensor["dtype"]).kind != "f" for tensor in [*inputs, output]):
        raise HostToolsError(f"{path} is not a float model: its inputs and outputs must be float32")

    def predict(arrays: Sequence[Array]) -> Array:
        if len(arrays) != len(inputs):
            raise HostToolsError(f"the float model {path} has {len(inputs)} inputs, the int8 model {len(arrays)}")
        for tensor, array in zip(inputs, arrays, strict=True):
            interpreter.set_tensor(tensor["index"], _fit(array, tensor["shape"], path))
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(output["index"]))

    return predict


def _open_keras(path: Path) -> FloatModel:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tf_keras

    model: Any = tf_keras.models.load_model(path, compile=False)

    def predict(arrays: Sequence[Array]) -> Array:
        fitted = [_fit(array, (1, *tensor.shape[1:]), path) for array, tensor in zip(arrays, model.inputs, strict=True)]
        result = model(fitted if len(fitted) > 1 else fitted[0], training=False)
        return np.asarray(result[0] if isinstance(result, list | tuple) else result)

    return predict


def _fit(array: Array, shape: Sequence[int], path: Path) -> Array:
    if array.size != int(np.prod(shape)):
        raise HostToolsError(f"the float model {path} takes {list(shape)} values, the int8 model {list(array.shape)}")
    return array.reshape(shape).astype(np.float32)


def wilson_interval(hits: int, total: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), honest at 0 and 100 % too."""
    z = 1.959964
    share = hits / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)
