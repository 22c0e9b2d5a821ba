"""The ahead-of-time compiler: an int8 .tflite file in, portable C out. Never imports TensorFlow."""

from .choose import SCHEDULES, Limits
from .driver import GENERATOR, OPTIMIZE, analyze_model, compile_model
from .errors import CodegenError, CompositionError, ModelError, OptionError, UnsupportedError
from .model import Analysis, CompiledModel, LayerInfo, LayerReport, ScheduleInfo, TensorInfo

__all__ = [
    "GENERATOR",
    "OPTIMIZE",
    "SCHEDULES",
    "Analysis",
    "CodegenError",
    "CompiledModel",
    "CompositionError",
    "LayerInfo",
    "LayerReport",
    "Limits",
    "ModelError",
    "OptionError",
    "ScheduleInfo",
    "TensorInfo",
    "UnsupportedError",
    "analyze_model",
    "compile_model",
]
