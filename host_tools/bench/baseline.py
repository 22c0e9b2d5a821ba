"""What there is to beat: figures of TensorFlow Lite Micro, kept as data with their provenance.

`data/baseline.json` says which engine, versions, compiler and flags were measured, and how the instructions were
counted. A model of the user's is one of those there when its bytes are, when its operators, shapes and MACs are (the
weights of another training hardly change an instruction count), or when its file has the known name and its MACs are
the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from thumbnet.codegen import analyze_model

from ..modelfile import ModelFile


@dataclass(frozen=True)
class Reference:
    """One model in one engine on one core.

    Attributes
    ----------
    engine : str
        Engine and registrations, as ``TFLM CMSIS-NN, int8 registrations``.
    instructions : int
        Of one inference.
    arena_bytes, stack_bytes, flash_bytes : int
        Arena in use, painted stack, code and model.
    """

    model: str
    core: str
    engine: str
    optimisation: str
    instructions: int
    arena_bytes: int
    stack_bytes: int
    flash_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return dict(self.__dict__)


@cache
def baseline() -> dict[str, Any]:
    """The whole data file."""
    path = files("thumbnet.host_tools") / "data" / "baseline.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def provenance() -> str:
    """One sentence on where the baseline comes from."""
    data, versions = baseline(), baseline()["versions"]
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    shown = data["shown"]
    return (
        f"baseline: {shown['engine']}, {shown['optimisation']}; {names}; {data['compiler']}; {data['how']}; "
        f"flash is {data['flash']}; measured {data['measured']}"
    )


def find_model(model: ModelFile) -> str | None:
    """Name under which the baseline knows a model; None where it does not."""
    analysis = analyze_model(model.tflite)
    layers = ";".join(f"{layer.op}{list(layer.shape)}{layer.macs}" for layer in analysis.layers)
    architecture = hashlib.sha256(layers.encode()).hexdigest()[:16]
    for name, facts in baseline()["models"].items():
        if model.sha256 in facts["sha256"] or architecture in facts["architecture"]:
            return str(name)
        if model.name in facts["files"] and analysis.macs in _macs(name):
            return str(name)
    return None


def find_reference(name: str | None, core: str) -> Reference | None:
    """Figures of a model on a core, of the build that `data/baseline.json` says to show; None where there are none."""
    shown = baseline()["shown"]
    for row in baseline()["figures"]:
        if (row["model"], row["core"]) == (name, core) and all(row[key] == shown[key] for key in shown):
            return Reference(**{key: row[key] for key in Reference.__dataclass_fields__})
    return None


def _macs(name: str) -> set[int]:
    return {row["macs"] for row in baseline()["figures"] if row["model"] == name}
