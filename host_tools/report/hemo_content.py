"""The content of a report about hemodynamic parameters, gathered from the folder of a run: one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..hemodynamics.budgets import check_hemo_budgets
from ..hemodynamics.costs import TABLE, table_of
from ..hemodynamics.recipe import HemoBudgetsTable
from ..pipeline.folder import RunError, RunFolder
from .boards import board_results
from .content import file_hashes, read_json, stage_seconds

SCHEMA = "thumbnet.hemodynamics-report/1"
STAGES = ("data", "train", "prune", "compress", "generate", "build", "parity", "profile", "cost", "evaluate")
_FILES = ("model.bundle", TABLE, "evaluation.json", "report.html")


def gather(folder: RunFolder) -> dict[str, Any]:
    """Collect everything a reader of the report may want.

    Parameters
    ----------
    folder : RunFolder
        A run whose stages up to `evaluate` are finished; boards that were not run are left out.

    Returns
    -------
    dict
        JSON values, schema `thumbnet.hemodynamics-report/1`.

    Raises
    ------
    RunError
        When a stage or one of its files is missing or damaged.
    """
    data, evaluated = folder.facts("data"), folder.facts("evaluate")
    table, boards = table_of(folder), board_results(folder)
    evaluation = read_json(folder, evaluated["file"])
    recipe = folder.info["recipe"]
    budgets = check_hemo_budgets(HemoBudgetsTable(**recipe["budgets"]), table["rows"], boards)
    return {
        "schema": SCHEMA,
        "run": {
            "name": folder.name,
            "created": folder.info["updated"],
            "source": data["name"],
            "synthetic": recipe["data"].get("source", "synthetic") == "synthetic",
            "protocol": data["protocol"],
            "generalises": evaluation["protocol"]["generalises"],
        },
        "model": {"title": "LSM2oE", "hash": folder.stages["compress"].outputs.get("model.bundle", "")},
        "data": data,
        "train": folder.facts("train"),
        "compress": table,
        "evaluation": evaluation,
        "points": evaluated["points"],
        "history": read_json(folder, "history.json"),
        "boards": boards,
        "generated": _generated(folder),
        "budgets": [budget.to_dict() for budget in budgets],
        "stages": stage_seconds(folder, STAGES),
        "seeds": folder.info["seeds"],
        "versions": folder.info["versions"],
        "hashes": file_hashes(folder),
        "inputs": [],
        "files": [name for name in _FILES if name == "report.html" or (folder.path / name).is_file()],
    }


def _generated(folder: RunFolder) -> list[dict[str, Any]]:
    """What the compiler chose for each core: its notes, and the walks of a schedule that streams."""
    found = []
    for name in sorted(folder.stages):
        stage, _, target = name.partition(":")
        if stage == "generate":
            schedule = _manifest(folder.path / "generated" / target / "model.json").get("schedule", {})
            facts = folder.facts(name)
            found.append({"target": target, "notes": facts.get("notes", []), "schedule": schedule.get("name", ""),
                          "walks": [_walk(segment) for segment in schedule.get("segments", ())]})  # fmt: skip
    return found


def _manifest(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from None
    return found


def _walk(segment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sources": list(segment["sources"]),
        "layers": segment["layers"],
        "stored": sum(int(tensor["bytes"]) for tensor in segment["stores"]),
        "again": len(segment["again"]),
        "again_macs": segment["again_macs"],
    }
