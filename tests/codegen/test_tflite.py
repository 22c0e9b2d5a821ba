"""The reader on files that are damaged, foreign or hostile: a clean error within two seconds, or a model.

Mutated files may still be well-formed; then whatever follows the reader has to cope too, so that everything here
goes through analysis and code generation. What the generated code computes is not looked at.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property.catalogue import PROBLEMS
from property.problem import Problem
from support.small_models import small_model, two_inputs_model, unsupported_model
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import analyze_model, compile_model
from thumbnet.codegen.errors import CodegenError, ModelError, UnsupportedError
from thumbnet.codegen.tflite import read_graph

SECONDS = 2.0
WORDS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 0x7FC00000, 0x7F800000, 0x80000000)


def survive(data: bytes) -> None:
    """Analyze and compile; only the compiler's own errors may come out, in time."""
    started = time.process_time()
    for use in (analyze_model, lambda model: compile_model(model, target="host", app=True)):
        try:
            use(data)
        except CodegenError as error:
            assert str(error)
            assert "\n" not in str(error)
    assert time.process_time() - started < SECONDS


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes or words overwritten, moved or cut."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 8])):
        at = rng.randrange(len(changed))
        style = rng.randrange(5)
        if style == 0:
            changed[at] = rng.randrange(256)
        elif style == 1:
            changed[at] ^= 1 << rng.randrange(8)
        elif style == 2:
            word = struct.pack("<I", rng.choice(WORDS))
            changed[at & ~3 : (at & ~3) + 4] = word
        elif style == 3:
            source = rng.randrange(len(changed))
            changed[at : at + 8] = changed[source : source + 8]
        else:
            del changed[at : at + rng.choice([1, 4])]
    return bytes(changed)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        read_graph(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_after_the_identifier(data: bytes) -> None:
    survive(struct.pack("<I", 8 + len(data) % 40) + b"TFL3" + data)


def test_truncation_at_every_length() -> None:
    model = small_model()
    for length in range(len(model)):
        survive(model[:length])


@pytest.mark.parametrize("length", [0, 3, 7, 8, 11, 12])
def test_a_file_without_a_root_is_refused(length: int) -> None:
    with pytest.raises(ModelError):
        read_graph(small_model()[:length])


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
def test_mutations_of_every_operator(kind: type[Problem]) -> None:
    rng = random.Random(f"mutation {kind.__name__}")
    for _ in range(4):
        model = kind.random(rng).model()
        for _ in range(25):
            survive(mutated(model, rng))


@pytest.mark.parametrize("model", [small_model(), two_inputs_model(), unsupported_model()], ids=["small", "two", "cos"])
def test_mutations_of_small_models(model: bytes) -> None:
    rng = random.Random("small")
    for _ in range(150):
        survive(mutated(model, rng))


def public_models(folder: Path) -> Iterator[Path]:
    return iter(sorted((folder / "models").glob("*.tflite")))


def test_mutations_of_public_models(shared_dir: Path) -> None:
    """Analysis only: compiling whole networks again and again takes too long here."""
    rng = random.Random("public")
    for path in public_models(shared_dir):
        model = path.read_bytes()
        for _ in range(60):
            started = time.process_time()
            try:
                analyze_model(mutated(model, rng))
            except CodegenError as error:
                assert "\n" not in str(error)
            assert time.process_time() - started < SECONDS


def test_mutations_of_the_structure(shared_dir: Path) -> None:
    """Weights make up most of a network; here the bytes between them are hit."""
    rng = random.Random("structure")
    for path in public_models(shared_dir):
        model = path.read_bytes()
        structure = _structural_bytes(model)
        for _ in range(60):
            changed = bytearray(model)
            at = rng.choice(structure) & ~3
            changed[at : at + 4] = struct.pack("<I", rng.choice([*WORDS, rng.randrange(len(model))]))
            started = time.process_time()
            try:
                analyze_model(bytes(changed))
            except CodegenError as error:
                assert "\n" not in str(error)
            assert time.process_time() - started < SECONDS


def _structural_bytes(model: bytes) -> list[int]:
    graph = read_graph(model)
    inside = np.zeros(len(model), bool)
    for tensor in graph.tensors.values():
        if tensor.data is not None and tensor.bytes > 64:
            at = model.find(tensor.data.tobytes())
            inside[at : at + tensor.bytes] = True
    return [int(at) for at in np.flatnonzero(~inside)]


def test_wrong_version() -> None:
    model = bytearray(small_model())
    changed = [at for at in range(8, len(model) - 4, 4) if model[at : at + 4] == b"\3\0\0\0"]
    refused = 0
    for at in changed:
        try:
            read_graph(bytes(model[:at] + b"\4\0\0\0" + model[at + 4 :]))
        except ModelError as error:
            refused += "schema version 4, this compiler reads version 3" in str(error)
        except CodegenError:
            pass
    assert refused == 1


def test_wrong_identifier() -> None:
    model = small_model()
    with pytest.raises(ModelError, match="bytes 4 to 8 must be 'TFL3', got 'TFL2'"):
        read_graph(model[:4] + b"TFL2" + model[8:])


def test_not_a_model_at_all() -> None:
    with pytest.raises(ModelError, match=r"not a \.tflite model"):
        read_graph(b"PK\3\4 a zip file, say")


def test_lists_that_share_their_bytes_do_not_multiply_the_work() -> None:
    """Thousands of table entries that all point to one table with a long shape."""
    for count in (1000, 20000):
        survive(shared_tables(count))


def shared_tables(count: int) -> bytes:
    """A file of about 8 * count bytes with `count` tensors that are the same table, of `count` dimensions."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependInt32(1)
    shape = builder.EndVector()
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, shape, 0)
    tensor = builder.EndObject()
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(0, tensors, 0)
    graph = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    builder.StartObject(5)
    builder.PrependUint32Slot(0, 3, 0)
    builder.PrependUOffsetTRelativeSlot(2, graphs, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    return bytes(builder.Output())


def dense(**changes: object) -> bytes:
    """A dense layer with some tensors spoilt."""
    builder = ModelBuilder()
    x = builder.tensor((1, 4), **{"scale": 0.1, "name": "x", **changes.get("x", {})})  # type: ignore[dict-item]
    w = builder.tensor((2, 4), **{"scale": 0.01, "data": np.ones((2, 4)), **changes.get("w", {})})  # type: ignore[dict-item]
    y = builder.tensor((1, 2), **{"scale": 0.2, "name": "y", **changes.get("y", {})})  # type: ignore[dict-item]
    builder.operator("FULLY_CONNECTED", [x, w, None], [y])
    return builder.build([x], [y])


def test_a_sound_dense_layer_compiles() -> None:
    assert compile_model(dense(), target="host").layers


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"x": {"scale": 0.0}}, "a scale that is not a positive number"),
        ({"x": {"scale": float("nan")}}, "a scale that is not a positive number"),
        ({"x": {"scale": float("inf")}}, "a scale that is not a positive number"),
        ({"y": {"scale": 1e-30}}, "has scale 1e-30"),
        ({"y": {"scale": 2.0**-50}}, "the factor is 2"),
        ({"x": {"zero_point": 128}}, "has zero point 128"),
        ({"y": {"zero_point": -129}}, "has zero point -129"),
        ({"w": {"zero_point": 1}}, "a zero point is not 0"),
        ({"w": {"scale": [0.1] * 4, "axis": 1}}, "there are 4 along axis 1"),
        ({"w": {"scale": [0.1] * 3}}, "has 3 scales along axis 0"),
        ({"x": {"scale": None}}, "has not exactly one scale"),
    ],
)
def test_bad_quantization_is_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises((ModelError, UnsupportedError), match=sentence):
        compile_model(dense(**changes), target="host")
