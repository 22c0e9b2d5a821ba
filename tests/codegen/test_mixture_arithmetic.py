"""What is computed between the parts of a mixture: NumPy against exact fractions, and the C kernels against NumPy."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from thumbnet.codegen import CompositionError
from thumbnet.codegen.library import KERNELS
from thumbnet.codegen.mixture.arithmetic import (
    Arithmetic,
    Quantized,
    choose_experts,
    expert_ratios,
    exponentials,
    mix,
    mixing_logits,
    mixing_weights,
    patient_constants,
    task_constants,
    values_of,
)

CASES = 150


def random_constants(rng: np.random.Generator) -> Arithmetic:
    """A mixture of any size, with scales from coarse to fine."""
    experts = int(rng.integers(1, 12))
    k, tasks = int(rng.integers(1, min(experts, 16) + 1)), int(rng.integers(1, 6))
    mixed = Quantized(float(2.0 ** rng.uniform(-9, -3)), int(rng.integers(-128, 128)))
    ratio = rng.choice([1.0, 1.3, 200.0])
    scales = mixed.scale * ratio ** rng.uniform(-1, 1, experts)
    own = [Quantized(float(scale), int(rng.integers(-128, 128))) for scale in scales]
    ratios, shift = expert_ratios(own, mixed)
    return Arithmetic(
        k=k,
        experts=experts,
        tasks=tasks,
        own_choice=bool(rng.integers(2)),
        exponentials=exponentials(float(2.0 ** rng.uniform(-8, 4))),
        ratios=ratios,
        zero_points=np.array([q.zero_point for q in own], np.int64),
        shift=shift,
        zero_point=mixed.zero_point,
        factors=rng.integers(-(2**22), 2**22, tasks),
        offsets=rng.integers(-(2**29), 2**29, tasks),
        tower_zero_points=rng.integers(-128, 128, tasks),
        patient_scale=rng.integers(-(2**31), 2**31, tasks),
        patient_offset=rng.integers(-(2**31), 2**31, tasks),
    )


def random_codes(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise, codes with many ties, or only the ends of the range."""
    low, high = [(-128, 128), (0, 3), (-128, 128)][int(rng.integers(3))]
    codes = rng.integers(low, high, shape)
    return (np.where(codes >= 0, 127, -128) if rng.integers(4) == 0 else codes).astype(np.int8)


def test_chosen_are_the_largest_and_ties_go_to_the_lower_index() -> None:
    base = random_constants(np.random.default_rng(0))
    own = replace(base, k=3, experts=5, tasks=1, own_choice=True)
    assert choose_experts(own, [[4, 7, 7, -1, 7], [9] * 5]).tolist() == [1, 2, 4]
    sums = replace(own, tasks=2, own_choice=False)
    assert choose_experts(sums, [[100, 1, 2, 3, -128], [-100, 3, 2, 1, 127]]).tolist() == [1, 2, 3]
    assert choose_experts(sums, [[-128] * 5, [-128] * 5]).tolist() == [0, 1, 2]


def test_logits_for_mixing_include_those_for_the_choice() -> None:
    own = replace(random_constants(np.random.default_rng(0)), experts=2, tasks=2, own_choice=True)
    assert mixing_logits(own, [[1, -2], [10, 20], [127, -128]]).tolist() == [[11, 18], [128, -130]]


@pytest.mark.parametrize("scale", [0.004, 0.1, 3.0])
def test_weights_are_a_softmax(scale: float) -> None:
    rng = np.random.default_rng(1)
    constants = replace(random_constants(rng), exponentials=exponentials(scale))
    logits = rng.integers(-256, 255, (40, 4))
    real = np.exp(scale * (logits - logits.max(axis=1, keepdims=True)))
    found = mixing_weights(constants, logits) / 2.0**15
    # Each power is off by half a unit of 2^-15, and so is the quotient.
    assert np.abs(found - real / real.sum(axis=1, keepdims=True)).max() < 4 * 2.0**-15


def test_mixing_follows_its_statement() -> None:
    """The sentences of docs/compiler.md once more, in fractions."""
    rng = np.random.default_rng(2)
    for _ in range(CASES):
        c = random_constants(rng)
        rows = c.tasks + int(c.own_choice)
        gate, features = random_codes(rng, (rows, c.experts)), random_codes(rng, (c.k, 3))
        chosen = choose_experts(c, gate)
        found = mix(c, gate, chosen, features)
        table = dict(enumerate(c.exponentials.tolist()))
        for task, logits in enumerate(mixing_logits(c, gate)[:, chosen].tolist()):
            powers = [table.get(max(logits) - q, 0) for q in logits]
            weights = [(2**15 * e + sum(powers) // 2) // sum(powers) for e in powers]
            ratios, zeros = c.ratios[chosen].tolist(), c.zero_points[chosen].tolist()
            factors = [rounded(Fraction(w * r, 2**15)) for w, r in zip(weights, ratios, strict=True)]
            for feature in range(3):
                codes = features[:, feature].tolist()
                total = sum(f * (q - z) for f, q, z in zip(factors, codes, zeros, strict=True))
                code = c.zero_point + rounded(Fraction(total, 2**c.shift))
                assert found[task, feature] == min(max(code, -128), 127)


def rounded(value: Fraction) -> int:
    """Nearest whole number, halves up."""
    return math.floor(value + Fraction(1, 2))


def test_equal_weights_give_the_mean() -> None:
    one = Quantized(0.02, 5)
    ratios, shift = expert_ratios([one, one], one)
    c = replace(
        random_constants(np.random.default_rng(3)),
        **{"k": 2, "experts": 2, "tasks": 1, "own_choice": False, "exponentials": exponentials(0.1)},
        **{"ratios": ratios, "shift": shift, "zero_points": np.array([5, 5]), "zero_point": 5},
    )
    assert mix(c, [[3, 3]], [0, 1], [[-128, 127, 0, 11], [-128, 127, 1, -12]]).tolist() == [[-128, 127, 1, 0]]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_kernels_compute_the_reference(tmp_path: Path) -> None:
    """Ties, ends of the range, one expert to eleven, scales of all sizes: every byte."""
    library = tmp_path / "mixture.so"
    source, include = KERNELS / "portable" / "tn_mixture.c", KERNELS / "include"
    flags = ["-std=c99", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, f"-I{include}", str(source), "-o", str(library)], check=True)
    kernels = ctypes.CDLL(str(library))
    rng = np.random.default_rng(4)
    for _ in range(CASES):
        _compare(kernels, random_constants(rng), rng)


class _Struct(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint16) for name in ("experts", "chosen", "tasks", "features", "distances")),
        *((name, ctypes.c_uint8) for name in ("own_choice", "feature_major", "shift")),
        ("zero_point", ctypes.c_int8),
        *((name, ctypes.c_void_p) for name in ("exponentials", "ratios", "zero_points")),
    )


class _Patient(ctypes.Structure):
    _fields_ = (("scale", ctypes.c_void_p), ("offset", ctypes.c_void_p))


class _Task(ctypes.Structure):
    _fields_ = (("factor", ctypes.c_int32), ("offset", ctypes.c_int32), ("zero_point", ctypes.c_int8))


def _compare(kernels: ctypes.CDLL, c: Arithmetic, rng: np.random.Generator) -> None:
    features, feature_major = int(rng.integers(1, 6)), bool(rng.integers(2))
    rows = c.tasks + int(c.own_choice)
    gate, experts = random_codes(rng, (rows, c.experts)), random_codes(rng, (c.k, features))
    tables = [c.exponentials.astype(np.uint16), c.ratios.astype(np.int32), c.zero_points.astype(np.int8)]
    params = _Struct(
        *(c.experts, c.k, c.tasks, features, len(c.exponentials), c.own_choice, feature_major, c.shift, c.zero_point),
        *(table.ctypes.data for table in tables),
    )
    chosen, mixed = np.zeros(c.k, np.uint8), np.zeros(c.tasks * features, np.int8)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (gate, chosen, experts, mixed)]
    kernels.tn_mixture_choose(ctypes.byref(params), pointers[0], pointers[1])
    assert chosen.tolist() == choose_experts(c, gate).tolist()
    kernels.tn_mixture_mix(ctypes.byref(params), *pointers)
    wanted = mix(c, gate, chosen, experts)
    assert mixed.tolist() == (wanted.T if feature_major else wanted).reshape(-1).tolist()
    codes, values = random_codes(rng, (c.tasks,)), np.zeros(c.tasks, np.int32)
    tasks = (_Task * c.tasks)(*zip(c.factors.tolist(), c.offsets.tolist(), c.tower_zero_points.tolist(), strict=True))
    scale, offset = c.patient_scale.astype(np.int32), c.patient_offset.astype(np.int32)
    patient = _Patient(scale.ctypes.data, offset.ctypes.data)
    end = ctypes.c_void_p(values.ctypes.data)
    kernels.tn_mixture_values(
        tasks, ctypes.byref(patient), ctypes.c_void_p(codes.ctypes.data), ctypes.c_size_t(c.tasks), end
    )
    assert values.tolist() == values_of(c, codes).tolist()


def test_values_are_calibrated_in_sixteen_bits_behind_the_point() -> None:
    tower = Quantized(0.05, -3)
    factors, offsets = task_constants(["SBP"], [18.5], [121.25], [tower])
    c = replace(
        random_constants(np.random.default_rng(5)),
        **{"tasks": 1, "factors": factors, "offsets": offsets, "tower_zero_points": np.array([-3])},
        **{"patient_scale": patient_constants([1.5], "scale"), "patient_offset": patient_constants([-7.25], "offset")},
    )
    for code in (-128, -3, 0, 127):
        exact = 1.5 * (121.25 + 18.5 * 0.05 * (code + 3)) - 7.25
        assert values_of(c, [code])[0] / 65536 == pytest.approx(exact, abs=0.002)


def test_constants_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CompositionError, match=r"expert 1 have a scale 300 times .*allowed are 1/256 to 256"):
        expert_ratios([Quantized(1.0, 0), Quantized(300.0, 0)], Quantized(1.0, 0))
    with pytest.raises(CompositionError, match=r"task 'SVRI' reaches .*, allowed is less than 32768"):
        task_constants(["SVRI"], [1e4], [0.0], [Quantized(0.1, 0)])
    with pytest.raises(CompositionError, match="offset of patient must be less than 32768, got 40000"):
        patient_constants([40000.0], "offset")
