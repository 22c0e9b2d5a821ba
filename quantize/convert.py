"""Convert a trained Keras model to .tflite: full-integer int8, or float as the reference beside it.

The input of the int8 file has scale 1/127 and zero point 0 whatever epochs calibrate it: the scaled signals
lie in [-1, 1] (:mod:`.scaling`), so one int8 step is ``1 / (127 * gain)`` microvolts in each channel.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tf_keras as keras

from .errors import ConversionError

LOWEST_CODE = -128 / 127  # the model input that int8 code -128 stands for when the scale is 1/127


def convert_int8(model: keras.Model, calibration: np.ndarray) -> bytes:
    """Convert to full-integer int8 with a batch of 1 and int8 input and output.

    Parameters
    ----------
    model
        A Keras model with one input; fold it first (:func:`.fold.fold_shortcuts`).
    calibration
        float array (N, *input shape), scaled model inputs in [-1, 1] **from training subjects only**;
        they fix the range of every inner tensor. A few hundred epochs of all stages do.

    Returns
    -------
    bytes
        The .tflite file.

    Raises
    ------
    ConversionError
        The model has several inputs or a free dimension besides the batch; the calibration is empty, of another
        shape, outside [-1, 1] or not finite; or the converter refuses the model.
    """
    converter, _ = calibrated_converter(model, calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return _convert(converter, model)


def convert_int16(model: keras.Model, calibration: np.ndarray) -> bytes:
    """Convert to 16x8: int8 weights, int16 activations, input and output.

    The step of every activation is 256 times finer than in int8; LiteRT and TensorFlow Lite Micro run such files.

    Parameters, result and errors are those of :func:`convert_int8`. Calibration needs no pinned range here, but gets
    the same, so that both files stand for the same inputs.
    """
    converter, _ = calibrated_converter(model, calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
    converter.inference_input_type = tf.int16
    converter.inference_output_type = tf.int16
    return _convert(converter, model)


def calibrated_converter(model: keras.Model, calibration: np.ndarray):
    """Return TensorFlow's converter of a model with a batch of 1, and the windows that will calibrate it.

    Parameters and errors are those of :func:`convert_int8`.
    """
    shape = _input_shape(model)
    calibration = _checked_calibration(calibration, shape)

    def representative():
        for epoch in calibration:
            yield [epoch[None]]

    converter = _converter(model, shape)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    return converter, calibration


def convert_aware(model: keras.Model) -> bytes:
    """Convert a model that was trained quantization-aware (:func:`.aware.train_aware`) to full-integer int8.

    Ranges come from its training; nothing is calibrated.
    """
    converter = _converter(model, _input_shape(model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    # Asking for int8 operators alone would ask for calibration windows, which the model does not need.
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return _convert(converter, model)


def convert_float(model: keras.Model) -> bytes:
    """Convert to float32 with a batch of 1, the reference that int8 is compared with."""
    return _convert(_converter(model, _input_shape(model)), model)


def _input_shape(model: keras.Model) -> tuple[int, ...]:
    if len(model.inputs) != 1:
        raise ConversionError(f"model '{model.name}' has {len(model.inputs)} inputs; conversion takes exactly 1")
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        raise ConversionError(
            f"model '{model.name}' has input shape {shape} with a free dimension; only the batch may be free"
        )
    return shape


def _checked_calibration(calibration: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    calibration = np.asarray(calibration, np.float32)
    if calibration.ndim != len(shape) + 1 or calibration.shape[1:] != shape:
        raise ConversionError(
            f"calibration has shape {calibration.shape}; the model takes (epochs, {', '.join(map(str, shape))})"
        )
    if len(calibration) == 0:
        raise ConversionError("calibration holds 0 epochs; at least 1 is needed, a few hundred are better")
    if not np.isfinite(calibration).all():
        bad = int(np.flatnonzero(~np.isfinite(calibration.reshape(len(calibration), -1)).all(axis=1))[0])
        raise ConversionError(f"calibration epoch {bad} holds NaN or infinite values; all must be finite")
    peak = float(np.abs(calibration).max())
    if peak > 1.0:
        raise ConversionError(f"calibration reaches {peak:g}; scaled model inputs lie in [-1, 1]")
    return _with_full_range(calibration)


def _with_full_range(calibration: np.ndarray) -> np.ndarray:
    """Pin the input's range to int8's codes at scale 1/127, so that the step does not depend on the epochs drawn."""
    pinned = calibration.copy()
    pinned[0].flat[0], pinned[0].flat[-1] = LOWEST_CODE, 1.0
    return pinned


def _converter(model: keras.Model, shape: tuple[int, ...]):
    @tf.function(input_signature=[tf.TensorSpec((1, *shape), tf.float32, name="signals")])
    def infer(signals):
        return model(signals, training=False)

    return tf.lite.TFLiteConverter.from_concrete_functions([infer.get_concrete_function()], model)


def _convert(converter, model: keras.Model) -> bytes:
    try:
        return converter.convert()
    except Exception as error:  # the converter raises bare Exception subclasses of its own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConversionError(f"TensorFlow cannot convert model '{model.name}': {reason}") from error
