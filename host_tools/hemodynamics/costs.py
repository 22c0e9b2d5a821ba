"""What the int8 rows of the compression table cost on a board: compiled, built and run, no estimate."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thumbnet.codegen.errors import CodegenError
from thumbnet.codegen.signals import SignalPlan

from ..cost import cost_of
from ..errors import BuildError, ToolchainMissing
from ..pipeline.folder import RunFolder, write_json

if TYPE_CHECKING:
    from ..boards import Board
    from .context import HemoRun

TABLE = "compression.json"
SCHEMA = "thumbnet.hemodynamics-compression/1"
KEYS = ("board", "schedule", "macs", "state_bytes", "ram_bytes", "flash_bytes", "code_bytes", "weight_bytes",
        "stack_bytes", "instructions")  # fmt: skip
_COST = "cost:"
_CODE = ("codegen", "firmware", "host_tools/cost.py", "host_tools/workbench.py", "host_tools/build.py")
_FLOAT = "the compiler takes int8 models only"
_NOT_MEASURED = "not built and measured in this run"


def costs(run: HemoRun) -> None:
    """Measure every int8 row on the first emulated board of the recipe; the deployed one was, when it was profiled.

    A network that does not compile or does not fit the board keeps its row, which says why.
    """
    facts, board = run.folder.facts("compress"), cost_board(run)
    if board is None or not run.recipe.compression.costs:
        return
    for name in facts["bundles"]:
        if name != deployed(facts):
            _cost(run, name, facts["bundles"][name], board)


def cost_board(run: HemoRun) -> Board | None:
    """First emulated board of a run: this computer counts no instructions and its programs have no flash."""
    return next((board for board in run.boards if not board.is_host), None)


def deployed(facts: Mapping[str, Any]) -> str | None:
    """Name of the row whose bundle is the run's, None where there is none."""
    return next((name for name, file in facts["bundles"].items() if "/" not in file), None)


def _cost(run: HemoRun, name: str, file: str, board: Board) -> None:
    from thumbnet.quantize.bundle import Bundle

    bundle = Bundle.read(run.folder.output(file))
    tflite = bundle.tflite
    signals = None if bundle.signals is None else SignalPlan.from_dict(bundle.signals)
    schedule, limit = run.recipe.codegen.schedule, run.recipe.codegen.max_ram

    def work(_folder: Path) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="thumbnet-", ignore_cleanup_errors=True) as scratch:
            try:
                cost = cost_of(tflite, board, Path(scratch), schedule=schedule, signals=signals, max_ram=limit)
                return {"cost": cost.to_dict(), "why_no_cost": None}
            except ToolchainMissing:
                raise
            except (CodegenError, BuildError) as error:
                return {"cost": None, "why_no_cost": f"{board.name}: {_sentence(error)}"}

    depends = {"model": hashlib.sha256(tflite).hexdigest(), "board": board.name, "schedule": schedule,
               "signals": bundle.signals, **({} if limit is None else {"max_ram": limit})}  # fmt: skip
    run.stage(f"{_COST}{name}", depends, _CODE, work)


def _sentence(error: Exception) -> str:
    """First line of an error; what a compiler printed may follow it."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def table_of(folder: RunFolder) -> dict[str, Any]:
    """Facts of the stage `compress`, with `cost` and `why_no_cost` of each row; one of both is null."""
    facts = folder.facts("compress")
    rows = [{**row, **_found(folder, facts, row)} for row in facts["rows"]]
    return {**facts, "deployed": deployed(facts), "rows": rows}


def _found(folder: RunFolder, facts: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    if row["kind"] == "float":
        return {"cost": None, "why_no_cost": _FLOAT}
    if row["name"] == deployed(facts):
        return _profiled(folder)
    record = folder.stages.get(f"{_COST}{row['name']}")
    return dict(record.facts) if record else {"cost": None, "why_no_cost": _NOT_MEASURED}


def _profiled(folder: RunFolder) -> dict[str, Any]:
    """The deployed network's cost, from its profile on the first emulated board."""
    for name in folder.info["recipe"]["boards"]["names"]:
        record = folder.stages.get(f"profile:{name}")
        if record and record.facts["target"] != "host":
            return {"cost": {key: record.facts[key] for key in KEYS}, "why_no_cost": None}
    return {"cost": None, "why_no_cost": _NOT_MEASURED}


def write_table(folder: RunFolder) -> None:
    """Write `compression.json`."""
    write_json(folder.path / TABLE, {"schema": SCHEMA, **table_of(folder)})
