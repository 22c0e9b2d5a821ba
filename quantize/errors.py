"""What can go wrong between a trained model and its int8 file.

The tree::

    QuantizeError
    ├── ScalingError       signals that cannot be scaled channel by channel
    ├── FoldError          a model whose layers cannot be rewritten exactly
    ├── PruneError         channels that cannot be removed, or a share out of range
    ├── ConversionError    calibration or model that the converter cannot take
    ├── InferenceError     inputs or .tflite that the host's interpreters cannot run
    ├── ToolkitError       TensorFlow's model optimization toolkit is missing, or versions do not fit
    └── BundleError        a bundle that is not readable, or not what its manifest says

Every message is one sentence that says what, where, what is allowed, and what was found.
"""


class QuantizeError(Exception):
    """Root of this room's errors; the command line prints its message alone."""


class ScalingError(QuantizeError):
    """Signals are not finite, flat, or of another shape than the channels say."""


class FoldError(QuantizeError):
    """The model holds a layer or a link that folding does not understand."""


class PruneError(QuantizeError):
    """The model's channels cannot be followed, or more is to be removed than there is."""


class ConversionError(QuantizeError):
    """The model or the calibration data cannot be converted to full-integer int8."""


class InferenceError(QuantizeError):
    """Inputs do not fit the model, or no interpreter can run it."""


class ToolkitError(QuantizeError):
    """tfmot is missing, or does not go with the TensorFlow or Keras that is loaded; the message holds the fix."""


class BundleError(QuantizeError):
    """A bundle cannot be read, written, or trusted."""
