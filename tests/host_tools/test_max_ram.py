"""A recipe's limit of the state reaches the compiler in every stage of a board."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
from thumbnet.codegen.errors import CodegenError
from thumbnet.host_tools.modelfile import read_model
from thumbnet.host_tools.options import choose_board
from thumbnet.host_tools.pipeline import firmware
from thumbnet.host_tools.recipes import CodegenTable

MODEL = Path(__file__).resolve().parents[2] / "firmware" / "example_model" / "model.tflite"


def generated(place, limit):
    """Facts of the stage `generate`, and what it depends on."""
    found = {}

    def stage(name, depends, code, work):
        found[name] = (work(place), depends)

    codegen = CodegenTable(schedule="auto", max_ram=limit)
    run = types.SimpleNamespace(model=read_model(MODEL), recipe=types.SimpleNamespace(codegen=codegen), stage=stage,
                                boards=[choose_board("qemu_m4")])  # fmt: skip
    firmware.generate(run)
    return found["generate:cortex-m4"]


def test_the_compiler_obeys_the_limit_of_a_recipe(tmp_path):
    free, depends = generated(tmp_path / "free", None)
    tight, limited = generated(tmp_path / "tight", 4_096)
    assert tight["state_bytes"] <= 4_096 < free["state_bytes"]
    assert "max_ram" not in depends and limited["max_ram"] == 4_096


def test_a_limit_that_nothing_fits_is_refused(tmp_path):
    with pytest.raises(CodegenError, match="64"):
        generated(tmp_path, 64)
