"""The ahead-of-time compiler: an int8 .tflite file in, portable C out. Never imports TensorFlow."""

from .driver import GENERATOR, analyze_model, compile_model
from .errors import CodegenError, ModelError, OptionError, UnsupportedError
from .model import Analysis, CompiledModel, LayerInfo, LayerReport, TensorInfo

__all__ = [
    "GENERATOR",
    "Analysis",
    "CodegenError",
    "CompiledModel",
    "LayerInfo",
    "LayerReport",
    "ModelError",
    "OptionError",
    "TensorInfo",
    "UnsupportedError",
    "analyze_model",
    "compile_model",
]
