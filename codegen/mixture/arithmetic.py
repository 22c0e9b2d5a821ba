"""What is computed between the parts of a mixture, in integers: the choice, the mixing, the values.

:class:`Arithmetic` holds the constants that also go into the generated C (``tn_mixture.h``), and the functions are the
NumPy reference, with 64-bit integers throughout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import CompositionError
from ..quantized_math import INT8_MAX, INT8_MIN, INT32_MAX, INT32_MIN

Ints = npt.NDArray[np.int64]

#: Bits behind the point of the weights, and of the values.
WEIGHT_BITS = 15
VALUE_BITS = 16
#: Ratios of an expert's scale to that of the mixed features are held in at most so many bits.
_RATIO_BITS = 22
_LARGEST_SHIFT = 30
_DISTANCES = 511


@dataclass(frozen=True)
class Quantized:
    """Scale and zero point of a tensor."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Arithmetic:
    """Constants of a mixture.

    Attributes
    ----------
    k : int
        Experts that are chosen.
    experts, tasks : int
        How many there are.
    own_choice : bool
        The gate's first row is the choice and part of every logit for mixing; otherwise the sum over the tasks chooses.
    exponentials : ndarray of int64, (distances,)
        exp(-scale * d) in 1 / 2^15, by the distance d of a logit from the largest; 0 beyond.
    ratios : ndarray of int64, (experts,)
        Scale of an expert's features in that of the mixed ones, in 1 / 2^shift.
    zero_points : ndarray of int64, (experts,)
        Of the experts' features.
    shift : int
        Bits behind the point of the ratios.
    zero_point : int
        Of the mixed features.
    factors, offsets, tower_zero_points : ndarray of int64, (tasks,)
        value = offset + factor * (code - zero point), in 1 / 2^16.
    patient_scale, patient_offset : ndarray of int64, (tasks,)
        Calibration of the patient, in 1 / 2^16.
    """

    k: int
    experts: int
    tasks: int
    own_choice: bool
    exponentials: Ints
    ratios: Ints
    zero_points: Ints
    shift: int
    zero_point: int
    factors: Ints
    offsets: Ints
    tower_zero_points: Ints
    patient_scale: Ints
    patient_offset: Ints


def exponentials(scale: float) -> Ints:
    """round(2^15 exp(-scale * d)) for every distance d of two logits, as far as it is not 0."""
    values = [math.floor(math.exp(-scale * d) * 2.0**WEIGHT_BITS + 0.5) for d in range(_DISTANCES)]
    return np.array([value for value in values if value], np.int64)


def expert_ratios(experts: Sequence[Quantized], mixed: Quantized) -> tuple[Ints, int]:
    """Scales of the experts in that of the mixed features, and their bits behind the point.

    Raises
    ------
    CompositionError
        When an expert's scale is more than 256 times larger or smaller.
    """
    ratios = [expert.scale / mixed.scale for expert in experts]
    for number, ratio in enumerate(ratios):
        if not 2.0**-8 <= ratio <= 2.0**8:
            raise CompositionError(
                f"composition: features of expert {number} have a scale {ratio:.3g} times that of the towers' input, "
                "allowed are 1/256 to 256"
            )
    shift = min(_RATIO_BITS - math.ceil(math.log2(max(ratios))), _LARGEST_SHIFT)
    return np.array([math.floor(ratio * 2.0**shift + 0.5) for ratio in ratios], np.int64), shift


def task_constants(
    names: Sequence[str], scales: Sequence[float], offsets: Sequence[float], towers: Sequence[Quantized]
) -> tuple[Ints, Ints]:
    """Factor and offset of every task's value, in 1 / 2^16.

    Raises
    ------
    CompositionError
        When a value could leave 32 bits; names the task.
    """
    factors = [_fixed(scale * tower.scale) for scale, tower in zip(scales, towers, strict=True)]
    fixed = [_fixed(offset) for offset in offsets]
    for name, factor, offset in zip(names, factors, fixed, strict=True):
        reach = abs(offset) + 255 * abs(factor)
        if reach > INT32_MAX:
            largest = reach / 2.0**VALUE_BITS
            raise CompositionError(
                f"composition: task '{name}' reaches {largest:.6g}, allowed is less than {2 ** (31 - VALUE_BITS)}; "
                "choose a larger unit"
            )
    return np.array(factors, np.int64), np.array(fixed, np.int64)


def patient_constants(values: Sequence[float], what: str) -> Ints:
    """Scales or offsets of a patient in 1 / 2^16; CompositionError where one does not fit 32 bits."""
    fixed = [_fixed(value) for value in values]
    for value, code in zip(values, fixed, strict=True):
        if not INT32_MIN <= code <= INT32_MAX:
            raise CompositionError(f"composition: {what} of patient must be less than 32768, got {value:g}")
    return np.array(fixed, np.int64)


def _fixed(value: float) -> int:
    return math.floor(value * 2.0**VALUE_BITS + 0.5)


# --- the reference ------------------------------------------------------------------------------------------


def choose_experts(constants: Arithmetic, gate: npt.ArrayLike) -> Ints:
    """The `k` experts with the largest logits, the largest first; of equal ones the lower index.

    Parameters
    ----------
    constants : Arithmetic
        Of the mixture.
    gate : array of int8
        Codes of the gate, in rows of one per expert.
    """
    rows = np.asarray(gate, np.int64).reshape(-1, constants.experts)
    sums = rows[0] if constants.own_choice else rows.sum(axis=0)
    order: Ints = np.argsort(-sums, kind="stable")[: constants.k].astype(np.int64)
    return order


def mixing_logits(constants: Arithmetic, gate: npt.ArrayLike) -> Ints:
    """Logits for mixing in units of the gate's scale, (tasks, experts)."""
    rows = np.asarray(gate, np.int64).reshape(-1, constants.experts)
    return rows[1:] + rows[0] if constants.own_choice else rows


def mixing_weights(constants: Arithmetic, logits: Ints) -> Ints:
    """Softmax over the chosen experts in 1 / 2^15; logits of (tasks, chosen)."""
    distances = logits.max(axis=1, keepdims=True) - logits
    table = np.append(constants.exponentials, 0)
    powers = table[np.minimum(distances, len(table) - 1)]
    sums = powers.sum(axis=1, keepdims=True)
    weights: Ints = ((powers << WEIGHT_BITS) + sums // 2) // sums
    return weights


def mix(constants: Arithmetic, gate: npt.ArrayLike, chosen: npt.ArrayLike, features: npt.ArrayLike) -> Ints:
    """Codes of the mixed features, (tasks, features).

    Parameters
    ----------
    constants : Arithmetic
        Of the mixture.
    gate : array of int8
        Codes of the gate.
    chosen : array of int, (chosen,)
        Which experts ran.
    features : array of int8, (chosen, features)
        What they gave.
    """
    experts = np.asarray(chosen, np.int64)
    weights = mixing_weights(constants, mixing_logits(constants, gate)[:, experts])
    half = 1 << (WEIGHT_BITS - 1)
    coefficients = (weights * constants.ratios[experts] + half) >> WEIGHT_BITS
    centred = np.asarray(features, np.int64) - constants.zero_points[experts][:, None]
    sums = coefficients @ centred + (1 << (constants.shift - 1))
    codes: Ints = np.clip((sums >> constants.shift) + constants.zero_point, INT8_MIN, INT8_MAX)
    return codes


def values_of(constants: Arithmetic, codes: npt.ArrayLike) -> Ints:
    """Values of all tasks in 1 / 2^16, calibrated; codes of the towers, (tasks,)."""
    plain = constants.offsets + constants.factors * (np.asarray(codes, np.int64) - constants.tower_zero_points)
    half = 1 << (VALUE_BITS - 1)
    scaled = (plain * constants.patient_scale + half) >> VALUE_BITS
    values: Ints = np.clip(scaled + constants.patient_offset, INT32_MIN, INT32_MAX)
    return values
