"""The oracles agree with each other, tell their names, and refuse what they cannot run.

What is tested: that both engines give the same bytes for outputs and inner tensors of small models and, where they
are on this machine, of public ones. What is not: that TensorFlow Lite Micro itself is right; it is the definition.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from support.small_models import small_model, two_inputs_model
from thumbnet.codegen.tflite import read_graph
from thumbnet.host_tools.errors import HostToolsError
from thumbnet.host_tools.oracle import open_oracle, tflm_arena_bytes

tflm_only = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None,
    reason="the tflite-micro wheel exists for x86-64 Linux only",
)


def random_inputs(tflite: bytes, seed: int) -> list[np.ndarray]:
    graph, rng = read_graph(tflite), np.random.default_rng(seed)
    return [rng.integers(-128, 128, graph.tensors[i].shape, np.int8) for i in graph.inputs]


def assert_engines_agree(tflite: bytes, windows: int) -> None:
    golden, reference = open_oracle(tflite, "tflm"), open_oracle(tflite, "numpy")
    for seed in range(windows):
        inputs = random_inputs(tflite, seed)
        for got, expected in zip(reference.run(inputs), golden.run(inputs), strict=True):
            np.testing.assert_array_equal(got, expected)
        inner, expected_inner = reference.run_all(inputs), golden.run_all(inputs)
        assert inner.keys() == expected_inner.keys()
        for index, expected in expected_inner.items():
            np.testing.assert_array_equal(inner[index], expected, err_msg=f"tensor {index}")


@tflm_only
@pytest.mark.parametrize("make", [small_model, two_inputs_model])
def test_both_engines_give_the_same_bytes(make):
    assert_engines_agree(make(), windows=5)


@tflm_only
@pytest.mark.parametrize("name", ["kws_ref_model.tflite", "pretrainedResnet_quant.tflite"])
def test_both_engines_agree_on_public_models(shared_dir: Path, name):
    assert_engines_agree((shared_dir / "models" / name).read_bytes(), windows=1)


@tflm_only
def test_the_golden_engine_names_its_version():
    assert open_oracle(small_model()).name.startswith("tflite-micro 0.")


def test_the_reference_names_itself():
    assert open_oracle(small_model(), "numpy").name.startswith("thumbnet NumPy reference ")


def test_without_the_wheel_the_reference_stands_in(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tflite_micro", None)
    assert "NumPy" in open_oracle(small_model()).name
    with pytest.raises(HostToolsError, match="tflite-micro wheel is not installed"):
        open_oracle(small_model(), "tflm")


@tflm_only
def test_a_wrong_number_of_inputs_is_refused_before_it_reaches_the_wheel():
    model = two_inputs_model()
    with pytest.raises(HostToolsError, match="has 2 inputs, got 1"):
        open_oracle(model).run(random_inputs(model, 0)[:1])


@tflm_only
def test_a_wrong_shape_is_one_sentence():
    with pytest.raises(HostToolsError, match="TensorFlow Lite Micro cannot run the model"):
        open_oracle(small_model()).run([np.zeros((1, 3), np.int8)])


@tflm_only
def test_two_windows_do_not_disturb_each_other():
    model = small_model()
    oracle = open_oracle(model)
    first = [array.copy() for array in oracle.run(random_inputs(model, 0))]
    kept = oracle.run(random_inputs(model, 0))
    oracle.run(random_inputs(model, 1))
    np.testing.assert_array_equal(kept[0], first[0])


@tflm_only
def test_the_arena_is_measured_and_the_same_every_time():
    model = small_model()
    size, source = tflm_arena_bytes(model)
    assert size is not None
    assert 500 < size < 20_000
    assert "64-bit host" in source
    assert tflm_arena_bytes(model)[0] == size
