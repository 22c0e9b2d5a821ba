"""What the compiler refuses, in one sentence, and what analysis says about it."""

from __future__ import annotations

import flatbuffers
import pytest
from support.small_models import float_model, small_model, unsupported_model
from support.tflite_builder import ModelBuilder, schema
from thumbnet.codegen import analyze_model, compile_model
from thumbnet.codegen.errors import CodegenError, ModelError, OptionError, UnsupportedError
from thumbnet.codegen.targets import TARGETS


def several_subgraphs(count: int) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(small_model())
    model.subgraphs = model.subgraphs * count
    packer = flatbuffers.Builder(1024)
    packer.Finish(model.Pack(packer), b"TFL3")
    return bytes(packer.Output())


def test_a_float_model_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnsupportedError, match=r"layer 0 FULLY_CONNECTED 'y'.*float32.*full-integer quantization"):
        compile_model(float_model())


def test_an_unsupported_operator_is_named_with_its_layer() -> None:
    with pytest.raises(UnsupportedError, match=r"layer 0 COS 'y': the operator is not supported \(and 1 more layers"):
        compile_model(unsupported_model())


def test_analysis_lists_every_unsupported_layer() -> None:
    analysis = analyze_model(unsupported_model())
    assert [(layer.index, layer.op) for layer in analysis.unsupported] == [(0, "COS"), (2, "COS")]
    assert [layer.supported for layer in analysis.layers] == [False, True, False]


@pytest.mark.parametrize("count", [0, 2, 5])
def test_several_subgraphs_are_refused(count: int) -> None:
    for use in (analyze_model, compile_model):
        with pytest.raises(UnsupportedError, match=f"has {count} subgraphs, this compiler takes exactly 1"):
            use(several_subgraphs(count))


def test_weights_outside_the_file_are_refused() -> None:
    model = schema.ModelT.InitFromPackedBuf(small_model())
    model.buffers[1].offset, model.buffers[1].size = 5000, 4
    packer = flatbuffers.Builder(1024)
    packer.Finish(model.Pack(packer), b"TFL3")
    with pytest.raises(UnsupportedError, match="keeps its values outside the flatbuffer"):
        compile_model(bytes(packer.Output()))


def test_weights_computed_at_run_time_are_refused() -> None:
    builder = ModelBuilder()
    q = {"scale": 0.1, "zero_point": 0}
    x, w, y = builder.tensor((1, 4), **q), builder.tensor((2, 4), name="w", **q), builder.tensor((1, 2), **q)
    builder.operator("FULLY_CONNECTED", [x, w, None], [y])
    with pytest.raises(UnsupportedError, match="'w' is computed at run time"):
        compile_model(builder.build([x, w], [y]))


def test_a_missing_input_is_refused() -> None:
    builder = ModelBuilder()
    x, y = builder.tensor((1, 4), scale=0.1), builder.tensor((1, 4), scale=0.1)
    builder.operator("ADD", [x, None], [y])
    with pytest.raises(ModelError, match="layer 0 ADD lacks its input 1"):
        compile_model(builder.build([x], [y]))


def test_a_layer_that_reads_ahead_is_refused() -> None:
    builder = ModelBuilder()
    x, y, z = (builder.tensor((4,), scale=0.1) for _ in range(3))
    builder.operator("ADD", [x, z], [y])
    builder.operator("ADD", [x, y], [z])
    with pytest.raises(ModelError, match="reads tensor 2 before anything writes it"):
        compile_model(builder.build([x], [z]))


@pytest.mark.parametrize("inputs", [[0], []])
def test_the_accumulator_must_not_overflow(inputs: list[int]) -> None:
    builder = ModelBuilder()
    depth = 65535
    x, y = builder.tensor((1, depth), scale=0.1), builder.tensor((1, 1), scale=1e4)
    w = builder.tensor((1, depth), scale=0.1, data=[[127] * depth])
    bias = builder.tensor((1,), "int32", scale=0.01, data=[2**31 - 1])
    builder.operator("FULLY_CONNECTED", [x, w, bias], [y])
    with pytest.raises(CodegenError, match=r"it could reach 4278|before anything"):
        compile_model(builder.build([x] if inputs else [], [y]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"target": "cortex-m5"}, "unknown target 'cortex-m5'.*did you mean cortex-m55"),
        ({"target": ""}, f"allowed are {', '.join(list(TARGETS)[:3])}"),
        ({"prefix": ""}, "prefix '' is not allowed"),
        ({"prefix": "1st"}, "prefix '1st' is not allowed"),
        ({"prefix": "a-b"}, "prefix 'a-b' is not allowed"),
        ({"prefix": "a b"}, "is not allowed"),
        ({"prefix": "a\n"}, "is not allowed"),
        ({"prefix": "é"}, "is not allowed"),
        ({"prefix": "_a"}, "is not allowed"),
        ({"prefix": "x" * 42}, "at most 40"),
        ({"prefix": "while"}, "no C keyword"),
        ({"prefix": "class"}, "no C keyword"),
        ({"prefix": "tn_x"}, "not starting with 'tn_'"),
        ({"prefix": "TN_x"}, "not starting with 'tn_'"),
        ({"prefix": "string"}, "no name of a standard header"),
        ({"prefix": "StdInt"}, "no name of a standard header"),
        ({"prefix": "library"}, "not 'library'"),
        ({"schedule": "fast"}, "unknown schedule 'fast'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        compile_model(small_model(), **options)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_compiles(target: str) -> None:
    compiled = compile_model(small_model(), target=target)
    assert compiled.target == target
    assert [layer.op for layer in compiled.layers][-1] == "SOFTMAX"
    assert compiled.macs == 8 * 8 * 4 * 18 + 4 * 4 * 6 * 36 + 18
