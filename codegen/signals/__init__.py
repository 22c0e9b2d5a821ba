"""Preprocessing as part of the model: from samples of the converter to the network's int8 codes, in integers.

A :class:`~.plan.SignalPlan` declares what happens; :mod:`.integer` chooses the fixed-point constants; :mod:`.reference`
runs them in NumPy, bit for bit what the generated C does; :mod:`.emit` writes that C.
"""

from .integer import IntegerPlan, design
from .plan import Biquads, ChannelPlan, MinMax, Rectify, Resample, SignalPlan
from .reference import run_codes, run_values

__all__ = [
    "Biquads",
    "ChannelPlan",
    "IntegerPlan",
    "MinMax",
    "Rectify",
    "Resample",
    "SignalPlan",
    "design",
    "run_codes",
    "run_values",
]
