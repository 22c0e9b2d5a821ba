"""The NumPy reference, and the oracle itself where it is installed, against recorded TFLM results.

Equality of every output byte for single operators, of every layer's checksum for networks. A failure that
only the oracle shows means that the wheel changed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import oracle
from thumbnet.codegen.reference import run_graph, run_model
from thumbnet.codegen.tflite import read_graph

from .vectors import FOLDER, Array, checksum, window

VECTORS: dict[str, Array] = dict(np.load(FOLDER / "operators.npz"))
MODELS: dict[str, Any] = json.loads((FOLDER / "models.json").read_text())
OPERATORS = sorted({key.rsplit("/", 2)[0] for key in VECTORS if key.endswith("input0")})
NETWORKS = [entry for entry in MODELS["models"] if f"{entry['name']}/model" in VECTORS]
PUBLIC = [entry for entry in MODELS["models"] if f"{entry['name']}/model" not in VECTORS]


def numbered(prefix: str) -> list[Array]:
    """Arrays `prefix0`, `prefix1`, ..."""
    values = []
    while f"{prefix}{len(values)}" in VECTORS:
        values.append(VECTORS[f"{prefix}{len(values)}"])
    return values


@pytest.mark.parametrize("engine", ["reference", "oracle"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_operators(operator: str, engine: str) -> None:
    if engine == "oracle" and not oracle.available():
        pytest.skip("the tflite-micro wheel is not installed")
    number = 0
    while f"{operator}/{number}/model" in VECTORS:
        key = f"{operator}/{number}"
        model, inputs = VECTORS[f"{key}/model"].tobytes(), numbered(f"{key}/input")
        wanted = numbered(f"{key}/output")
        got = run_model(model, inputs) if engine == "reference" else oracle.run_model(model, inputs, len(wanted))
        for index, (left, right) in enumerate(zip(got, wanted, strict=True)):
            np.testing.assert_array_equal(left, right, err_msg=f"{key}, output {index}")
        number += 1
    assert number >= 3


def compare_layers(entry: dict[str, Any], model: bytes) -> None:
    graph = read_graph(model)
    written = [(node, index) for node in graph.nodes for index in node.outputs]
    for number, row in enumerate(entry["layers"]):
        values = run_graph(graph, window(graph, number), keep=True)
        for (node, index), wanted in zip(written, row, strict=True):
            assert checksum(values[index]) == wanted, f"window {number}: layer {node.index} {node.op} diverges"


@pytest.mark.parametrize("entry", NETWORKS, ids=lambda entry: entry["name"])
def test_networks(entry: dict[str, Any]) -> None:
    compare_layers(entry, VECTORS[f"{entry['name']}/model"].tobytes())


@pytest.mark.parametrize("entry", PUBLIC, ids=lambda entry: entry["name"])
def test_public_models(entry: dict[str, Any], shared_dir: Path) -> None:
    path = shared_dir / "models" / entry["name"]
    if not path.exists():
        pytest.skip(f"{entry['name']} is not on this machine")
    model = path.read_bytes()
    assert hashlib.sha256(model).hexdigest() == entry["sha256"]
    compare_layers(entry, model)


def test_provenance_is_recorded() -> None:
    assert set(MODELS["header"]) == {"generator", "interpreter", "tflite_micro"}
