"""Costs of the compression table: what is built, what is refused in a sentence, and what decides a trained network."""

from __future__ import annotations

import ast
import types
from pathlib import Path

import pytest
from thumbnet.codegen.errors import UnsupportedError
from thumbnet.host_tools import options
from thumbnet.host_tools.errors import BuildError, DeviceTimeout, ToolchainMissing
from thumbnet.host_tools.hemodynamics import costs
from thumbnet.host_tools.hemodynamics.context import HemoRun
from thumbnet.host_tools.hemodynamics.converter import declared
from thumbnet.host_tools.hemodynamics.networks import NETWORK_CODE
from thumbnet.host_tools.hemodynamics.prune import _CODE as PRUNE_CODE
from thumbnet.host_tools.hemodynamics.recipe import parse_hemo_recipe
from thumbnet.host_tools.pipeline.folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with three int8 rows, of which the last is deployed."""
    folder = RunFolder.create(tmp_path / "run", "run")
    bundles = {
        "teacher-int8": "compression/teacher-int8.bundle",
        "int8": "compression/int8.bundle",
        "aware": "model.bundle",
    }
    folder.perform("compress", "key", lambda place: {"bundles": bundles, "rows": []})
    for name in bundles.values():
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).write_bytes(name.encode())
    names = {"names": ["host", "qemu_m4", "qemu_m55"]}
    recipe = parse_hemo_recipe({"name": "run", "boards": names, "codegen": {"max_ram": 30_000}})
    read = lambda path: types.SimpleNamespace(tflite=path.read_bytes(), signals=declared(recipe))  # noqa: E731
    monkeypatch.setattr("thumbnet.quantize.bundle.Bundle.read", read)
    boards = [options.choose_board(name) for name in recipe.boards.names]
    return HemoRun(recipe, folder, boards, lambda line: None, lambda *words: lambda step: None)


def costing(found):
    """Stands in for building and running: what is found for each model."""

    def cost_of(tflite, board, folder, *, schedule, signals, max_ram):
        result = found[tflite.decode().split("/")[-1].removesuffix(".bundle")]
        if isinstance(result, Exception):
            raise result
        assert max_ram == 30_000 and signals.normalise is not None
        return types.SimpleNamespace(to_dict=lambda: {"board": board.name, "schedule": schedule, "flash_bytes": result})

    return cost_of


def test_rows_that_are_not_deployed_are_measured_on_the_first_emulated_board(run, monkeypatch):
    monkeypatch.setattr(costs, "cost_of", costing({"teacher-int8": 200, "int8": 100}))
    costs.costs(run)
    assert run.folder.facts("cost:teacher-int8")["cost"] == {
        "board": "qemu_m4",
        "schedule": "whole",
        "flash_bytes": 200,
    }
    assert run.folder.facts("cost:int8")["why_no_cost"] is None
    assert "cost:aware" not in run.folder.stages


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            UnsupportedError("the model holds EXP, which is not translated"),
            "qemu_m4: the model holds EXP, which is not",
        ),
        (BuildError("region FLASH overflowed by 8 bytes\nld: more"), "qemu_m4: region FLASH overflowed by 8 bytes"),
    ],
)
def test_what_cannot_be_built_keeps_its_row_and_says_why(run, monkeypatch, error, why):
    monkeypatch.setattr(costs, "cost_of", costing({"teacher-int8": error, "int8": 100}))
    costs.costs(run)
    facts = run.folder.facts("cost:teacher-int8")
    assert facts["cost"] is None and facts["why_no_cost"].startswith(why) and "more" not in facts["why_no_cost"]
    assert run.folder.facts("cost:int8")["cost"]["flash_bytes"] == 100


@pytest.mark.parametrize(
    "error", [ToolchainMissing("arm-none-eabi-gcc is missing"), DeviceTimeout("nothing came back")]
)
def test_what_another_day_may_put_right_is_no_result(run, monkeypatch, error):
    monkeypatch.setattr(costs, "cost_of", costing({"teacher-int8": error, "int8": 100}))
    with pytest.raises(type(error)):
        costs.costs(run)
    assert "cost:teacher-int8" not in run.folder.stages


def test_nothing_is_measured_where_nobody_asks(run, monkeypatch):
    monkeypatch.setattr(costs, "cost_of", costing({}))
    table = run.recipe.compression.model_copy(update={"costs": False})
    run.recipe = run.recipe.model_copy(update={"compression": table})
    costs.costs(run)
    run.boards = run.boards[:1]
    run.recipe = parse_hemo_recipe({"name": "run"})
    costs.costs(run)
    assert list(run.folder.stages) == ["compress"]


def imported(path: Path, package: Path) -> set[str]:
    """Modules of the same package that a module imports."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module]
    return {name for name in names if (package / f"{name}.py").is_file()}


@pytest.mark.parametrize(("code", "roots"), [(NETWORK_CODE, {"learning", "lsm2oe"}), (PRUNE_CODE, {"distillation"})])
def test_every_source_of_a_trained_network_decides_its_stage(code, roots):
    """A file that is left out would leave a stage up to date that is not."""
    package = ROOT / "training" / "hemodynamics"
    found, new = set(), roots
    while new:
        found |= new
        new = set().union(*(imported(package / f"{name}.py", package) for name in new)) - found
    listed = {Path(name).stem for name in code if name.startswith("training/hemodynamics/")}
    assert found <= listed
    assert all((ROOT / name).is_file() for name in code)
