"""Kernels of the MVE tier that read the parameters of the portable ones: which files go along, pooling in place."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from property.runtimes import HostMve
from support import oracle
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import compile_model
from thumbnet.codegen.library import KERNELS

_OWN = sorted(path.name for path in (KERNELS / "mve").glob("*.c"))
needs_oracle = pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")


def _pools(
    builder: ModelBuilder, operator: str, shape: tuple[int, ...], window: tuple[int, int], repeats: int = 1
) -> tuple[int, int]:
    """Poolings without padding one after the other, clamped: first input and last output."""
    first = last = builder.tensor(shape, scale=0.05, zero_point=-7)
    for _ in range(repeats):
        shape = (1, shape[1] - window[0] + 1, shape[2] - window[1] + 1, shape[3])
        target = builder.tensor(shape, scale=0.05, zero_point=-7)
        options = {"stride_h": 1, "stride_w": 1, "padding": "VALID", "filter_h": window[0], "filter_w": window[1]}
        builder.operator(operator, [last], [target], activation="RELU6", **options)
        last = target
    return first, last


def _model(operator: str, shape: tuple[int, ...], repeats: int) -> bytes:
    builder = ModelBuilder()
    first, last = _pools(builder, operator, shape, (3, 2), repeats)
    return builder.build([first], [last])


def test_a_file_of_the_tier_takes_the_place_of_the_portable_one() -> None:
    assert "tn_max_pool2d_s8.c" in _OWN
    assert {(KERNELS / "portable" / name).is_file() for name in _OWN} == {True}
    model = _model("MAX_POOL_2D", (1, 4, 4, 4), 1)
    own = (KERNELS / "mve" / "tn_max_pool2d_s8.c").read_text()
    assert compile_model(model, target="cortex-m55").files["src/tn_max_pool2d_s8.c"] == own
    portable = compile_model(model, target="cortex-m55", disable=("tier-kernels",))
    assert portable.files["src/tn_max_pool2d_s8.c"] != own


@needs_oracle
@needs_compiler
@pytest.mark.parametrize("operator", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_an_output_may_lie_over_its_input(operator: str) -> None:
    shape = (1, 12, 9, 37)
    model = _model(operator, shape, 3)
    assert compile_model(model, target="cortex-m55", schedule="whole").state_bytes < (10 * 8 + 8 * 7) * 37
    codes = np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)
    (got,) = HostMve().run(model, [codes])
    (wanted,) = oracle.run_model(model, [codes], 1)
    assert (got == wanted).all()


@needs_oracle
@needs_compiler
def test_sums_over_large_windows_are_exact() -> None:
    """Around 256 codes, which 16 bits hold, and 5781, up to which a product stands for the division."""
    random, builder = np.random.default_rng(3), ModelBuilder()
    ends, inputs = [], []
    for window in ((16, 16), (16, 17), (1, 300), (75, 77), (76, 77)):
        for low, high in ((-128, 128), (-128, -127), (127, 128)):
            shape = (1, *window, 9)
            ends.append(_pools(builder, "AVERAGE_POOL_2D", shape, window))
            inputs.append(random.integers(low, high, shape).astype(np.int8))
    model = builder.build([first for first, _ in ends], [last for _, last in ends])
    wanted = oracle.run_model(model, inputs, len(ends))
    for got, expected in zip(HostMve().run(model, inputs), wanted, strict=True):
        assert (got == expected).all()
