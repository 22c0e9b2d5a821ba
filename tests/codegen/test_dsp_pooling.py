"""Pooling by four channels on the DSP tier: which layers take it, and pooling in place."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from property.runtimes import HostDsp
from support import oracle
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import compile_model

_WINDOW = {"filter_h": 3, "filter_w": 2, "stride_h": 1, "stride_w": 1, "padding": "VALID"}


def _pools(channels: int, operators: tuple[str, ...]) -> bytes:
    """Poolings one after the other, clamped, from [1, 12, 9, channels] on."""
    builder = ModelBuilder()
    shape = (1, 12, 9, channels)
    first = last = builder.tensor(shape, scale=0.05, zero_point=-7)
    for operator in operators:
        shape = (1, shape[1] - 2, shape[2] - 1, channels)
        target = builder.tensor(shape, scale=0.05, zero_point=-7)
        builder.operator(operator, [last], [target], activation="RELU6", **_WINDOW)
        last = target
    return builder.build([first], [last])


@pytest.mark.parametrize("channels,kernel", [(4, "tn_max_pool2d_s8_dsp"), (12, "tn_max_pool2d_s8_dsp"), (6, "")])
def test_fours_of_channels_take_the_kernel(channels: int, kernel: str) -> None:
    compiled = compile_model(_pools(channels, ("MAX_POOL_2D",)), target="cortex-m4", schedule="whole")
    assert ("src/tn_max_pool2d_s8_dsp.h" in compiled.files) == bool(kernel)
    assert ("src/tn_max_pool2d_s8.c" in compiled.files) != bool(kernel)


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
@pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")
@pytest.mark.parametrize("operator", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_an_output_may_lie_over_its_input(operator: str) -> None:
    model = _pools(8, (operator,) * 3)
    first, second = 10 * 8 * 8, 8 * 7 * 8
    assert compile_model(model, target="cortex-m4", schedule="whole").state_bytes < first + second
    codes = np.random.default_rng(3).integers(-128, 128, (1, 12, 9, 8)).astype(np.int8)
    (got,) = HostDsp().run(model, [codes])
    (wanted,) = oracle.run_model(model, [codes], 1)
    assert (got == wanted).all()
