"""Errors of the compiler.

::

    CodegenError            every refusal of this room; one sentence for the user
    ├── ModelError          the .tflite file cannot be read (not a model, truncated, wrong version)
    ├── CompositionError    the parts of a composed model do not fit each other
    ├── UnsupportedError    the model is sound but holds something the compiler does not translate
    └── OptionError         an argument of the compiler is out of range (unknown target, bad prefix)
"""


class CodegenError(Exception):
    """A model or an option that the compiler refuses; the message is one sentence for the user."""


class ModelError(CodegenError):
    """The bytes are not a well-formed .tflite model."""


class CompositionError(CodegenError):
    """The parts of a composed model do not fit each other, or what puts them together is not well-formed."""


class UnsupportedError(CodegenError):
    """The model holds an operator, type or shape that the compiler does not translate."""


class OptionError(CodegenError):
    """An argument is not one of the allowed values."""
