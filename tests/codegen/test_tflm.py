"""The TFLM export: the very bytes, exactly the operators in use, an arena that suffices."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from property.graphs import SmallGraph
from support import oracle
from support.small_models import small_model, two_inputs_model
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import tflm
from thumbnet.codegen.errors import OptionError, UnsupportedError
from thumbnet.codegen.ops import OPERATORS
from thumbnet.codegen.tflite import read_graph
from thumbnet.host_tools.oracle import tflm_arena_bytes

NEEDS_TFLM = pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")


def embedded(files: dict[str, str], prefix: str = "model") -> bytes:
    """Bytes of the C array."""
    text = files[f"{prefix}_model_data.cc"]
    numbers = text[text.index("[] = {") : text.index("};")]
    return bytes(int(number) for number in re.findall(r"\d+", numbers))


def arena(files: dict[str, str]) -> int:
    found = re.search(r"ArenaBytes = (\d+);", files["model_model_data.h"])
    assert found
    return int(found.group(1))


def measured(model: bytes) -> int:
    """Bytes that TFLM takes of its arena on this 64-bit host, more than on a 32-bit core."""
    size, _ = tflm_arena_bytes(model)
    assert size
    return size


def test_the_array_is_the_file() -> None:
    model = small_model()
    files = tflm.export(model)
    assert embedded(files) == model
    assert f"g_model_model_data_len = {len(model)};" in files["model_model_data.cc"]


@NEEDS_TFLM
def test_the_interpreter_runs_the_array() -> None:
    model = small_model()
    image = np.random.RandomState(1).randint(-128, 128, (1, 8, 8, 2)).astype(np.int8)
    (got,) = oracle.run_model(embedded(tflm.export(model)), [image])
    np.testing.assert_array_equal(got, oracle.run_model(model, [image])[0])


def test_exactly_the_operators_in_use_are_registered() -> None:
    text = tflm.export(small_model())["model_op_resolver.h"]
    registered = re.findall(r"resolver\.(\w+)\(\)", text)
    assert registered == ["AddConv2D", "AddFullyConnected", "AddMaxPool2D", "AddMean", "AddSoftmax"]
    assert "MicroMutableOpResolver<5>" in text


def test_every_supported_operator_has_a_method() -> None:
    assert all(tflm.resolver_method(op) for op in OPERATORS)


def test_operators_that_tflm_lacks_are_refused() -> None:
    builder = ModelBuilder()
    x, y = (builder.tensor((4,), scale=0.1, name=name) for name in "xy")
    builder.operator("TOPK_V2", [x, builder.constant([1])], [y])
    with pytest.raises(UnsupportedError, match="layer 0 TOPK_V2 'y': TensorFlow Lite Micro has no such operator"):
        tflm.export(builder.build([x], [y]))


def test_bad_prefixes_are_refused() -> None:
    with pytest.raises(OptionError):
        tflm.export(small_model(), prefix="not a name")


def test_a_measured_arena_is_taken_over() -> None:
    assert arena(tflm.export(small_model(), arena_bytes=5001)) == 5008


@NEEDS_TFLM
@pytest.mark.parametrize("model", [small_model(), two_inputs_model()], ids=["small", "two"])
def test_the_bounded_arena_suffices(model: bytes) -> None:
    assert arena(tflm.export(model)) >= measured(model)


@NEEDS_TFLM
@pytest.mark.parametrize("number", range(8))
def test_the_bounded_arena_suffices_for_random_graphs(number: int) -> None:
    model = SmallGraph.random(Random(f"arena {number}")).model()
    assert tflm.arena_bound(read_graph(model)) >= measured(model)


@NEEDS_TFLM
def test_the_bounded_arena_suffices_for_public_models(shared_dir: Path) -> None:
    for path in sorted((shared_dir / "models").glob("*.tflite")):
        model = path.read_bytes()
        least, bound = measured(model), tflm.arena_bound(read_graph(model))
        assert least <= bound <= 2 * least, path.name
