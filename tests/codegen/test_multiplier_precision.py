"""Scales for which float32 and double arithmetic lead to different codes: TFLM's answer decides.

Found by a search over random scales, several hundred thousand per operator, for pairs whose multipliers round some
code differently; random problems meet such a pair about once in ten thousand. The answer is that of the pinned
interpreter. Public sources of TFLM have used either arithmetic at one time or another, so that a newer wheel may
well fail here first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from property.bulk import BulkHost
from property.runtimes import difference
from support import oracle
from support.tflite_builder import ModelBuilder
from thumbnet.codegen.reference import run_model

CODES = np.arange(-128, 128).astype(np.int8)
CASES: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("RELU", (0.02977043017745018, 0.007919227704405785)),
    ("RELU", (0.05978022888302803, 0.03212566301226616)),
    ("RELU", (0.08175720274448395, 0.02714468352496624)),
    ("LEAKY_RELU", (0.057844310998916626, 0.06000346317887306, 0.8423683643341064)),
    ("LEAKY_RELU", (0.40414226055145264, 0.24231036007404327, 0.8796278834342957)),
    ("LEAKY_RELU", (0.7287532687187195, 0.6125643849372864, 0.43900787830352783)),
    ("RSQRT", (0.004575271159410477, 0.09193377196788788)),
    ("RSQRT", (0.15078403055667877, 0.04516451805830002)),
    ("RSQRT", (0.008488519117236137, 0.05453469604253769)),
    ("FULLY_CONNECTED", (0.0857326090335846, 0.023698626086115837, 0.2946528494358063)),
    ("FULLY_CONNECTED", (0.028903629630804062, 0.014473220333456993, 0.04230901971459389)),
    ("FULLY_CONNECTED", (0.17352883517742157, 0.010112691670656204, 0.18728147447109222)),
    ("FULLY_CONNECTED", (0.07548974454402924, 0.006831254810094833, 0.10713937133550644)),
    ("SUB", (0.02311049960553646, 0.008413047529757023, 0.08660076558589935)),
    ("SUB", (0.017303427681326866, 0.24318742752075195, 1.6550588607788086)),
    ("SUB", (0.1570005863904953, 0.03460942953824997, 0.5008798241615295)),
    ("SUB", (0.4045686423778534, 0.05876689404249191, 0.7149994373321533)),
)


def model(op: str, scales: tuple[float, ...]) -> tuple[bytes, list[npt.NDArray[np.int8]]]:
    """The operator over every code (or pair of codes), without saturation where the scales allow it."""
    net = ModelBuilder()
    if op == "SUB":
        x, y = net.tensor((256, 1), scale=scales[0]), net.tensor((1, 256), scale=scales[1])
        z = net.tensor((256, 256), scale=scales[2])
        net.operator(op, [x, y], [z])
        return net.build([x, y], [z]), [CODES[:, None], CODES[None]]
    if op == "FULLY_CONNECTED":
        x, w = net.tensor((256, 1), scale=scales[0]), net.tensor((126, 1), scale=scales[1], data=np.arange(1, 127))
        z = net.tensor((256, 126), scale=scales[2])
        net.operator(op, [x, w, None], [z])
        return net.build([x], [z]), [CODES[:, None]]
    zero_points = {"RELU": (0, -128), "LEAKY_RELU": (100, 0), "RSQRT": (-128, -128)}[op]
    x = net.tensor((256,), scale=scales[0], zero_point=zero_points[0])
    y = net.tensor((256,), scale=scales[1], zero_point=zero_points[1])
    net.operator(op, [x], [y], **({"alpha": scales[2]} if op == "LEAKY_RELU" else {}))
    return net.build([x], [y]), [CODES]


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
@pytest.mark.parametrize(("op", "scales"), CASES)
def test_the_reference_agrees(op: str, scales: tuple[float, ...]) -> None:
    file, values = model(op, scales)
    assert not difference(run_model(file, values)[0], oracle.run_model(file, values, 1)[0])


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
def test_generated_code_agrees() -> None:
    host = BulkHost()
    if host.missing():
        pytest.skip(str(host.missing()))
    for op, scales in CASES:
        file, values = model(op, scales)
        assert not difference(host.run(file, values)[0], oracle.run_model(file, values, 1)[0]), (op, scales)
