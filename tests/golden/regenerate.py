"""Rewrite the golden vectors with the TFLM wheel of this machine.

    cd tests && python -m golden.regenerate [FOLDER OF PUBLIC MODELS]

`operators.npz` holds small models with inputs and outputs in full, drawn by the property suite's own
problems. `models.json` holds one CRC-32 per layer and window for the random networks in it and for public
models, which are named by the SHA-256 of their file and not kept here. Commit both together with the reason
for the change.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from property.catalogue import PROBLEMS
from property.graphs import SmallGraph
from support import oracle
from thumbnet.codegen.tflite import read_graph

from .vectors import FOLDER, Array, checksum, window

PROBLEMS_PER_OPERATOR = 3
NETWORKS = 5
WINDOWS = 4


def header() -> dict[str, str]:
    """Where golden values come from."""
    return {
        "generator": "tests/golden/regenerate.py",
        "interpreter": "TensorFlow Lite Micro, reference kernels",
        "tflite_micro": oracle.version(),
    }


def operator_vectors() -> dict[str, Array]:
    """Models, inputs and outputs of a few problems per operator, keyed `name/number/what`."""
    vectors = {}
    for kind in PROBLEMS:
        for number in range(PROBLEMS_PER_OPERATOR):
            problem = kind.random(Random(f"{kind.__name__} {number}"))
            model, inputs = problem.model(), problem.inputs()
            outputs = oracle.run_model(model, inputs, len(read_graph(model).outputs))
            key = f"{kind.__name__}/{number}"
            vectors[f"{key}/model"] = np.frombuffer(model, dtype=np.uint8)
            vectors |= {f"{key}/input{index}": value for index, value in enumerate(inputs)}
            vectors |= {f"{key}/output{index}": value for index, value in enumerate(outputs)}
    return vectors


def layer_checksums(model: bytes) -> list[list[int]]:
    """CRC-32 of each operator's outputs, one row per window."""
    graph, interpreter = read_graph(model), oracle.Oracle(model)
    rows = []
    for number in range(WINDOWS):
        interpreter.run(*window(graph, number))
        written = [index for node in graph.nodes for index in node.outputs]
        rows.append([checksum(interpreter.tensor(index)) for index in written])
    return rows


def networks() -> dict[str, bytes]:
    """Random networks, by name."""
    return {f"network {number}": SmallGraph.random(Random(f"golden {number}")).model() for number in range(NETWORKS)}


def model_entry(name: str, model: bytes) -> dict[str, Any]:
    """One row of `models.json`."""
    return {
        "name": name,
        "sha256": hashlib.sha256(model).hexdigest(),
        "layers": layer_checksums(model),
    }


def main(public: Path | None) -> None:
    """Write both files."""
    entries = [model_entry(name, model) for name, model in networks().items()]
    if public is not None:
        entries += [model_entry(path.name, path.read_bytes()) for path in sorted(public.glob("*.tflite"))]
    vectors = operator_vectors()
    vectors |= {f"{name}/model": np.frombuffer(model, np.uint8) for name, model in networks().items()}
    np.savez_compressed(FOLDER / "operators.npz", **vectors)
    rows = ",\n".join("  " + json.dumps(entry) for entry in entries)
    text = f'{{\n "header": {json.dumps(header())},\n "models": [\n{rows}\n ]\n}}\n'
    (FOLDER / "models.json").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
