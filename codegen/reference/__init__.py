"""Plain NumPy reference of every supported operator, byte for byte equal to TensorFlow Lite Micro.

It serves three ends: the oracle where the `tflite-micro` wheel is missing, constant folding and lookup
tables in the compiler, and the readable definition that the C kernels are held to.
"""

from .interpreter import OPERATORS, run_graph, run_model

__all__ = ["OPERATORS", "run_graph", "run_model"]
