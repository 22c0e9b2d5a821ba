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
    shape = _input_shape(model)
    calibration = _checked_calibration(calibration, shape)

    def representative():
        for epoch in calibration:
            yield [epoch[None]]

    converter = _converter(model, shape)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
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
