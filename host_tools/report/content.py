"""The content of a report, gathered from the folder of a run: one JSON object that the page is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from thumbnet.training.sleep.published import PUBLISHED_FIGURES

from ..pipeline.budgets import check_budgets
from ..pipeline.compression import compression_rows, layer_report
from ..pipeline.folder import RunError, RunFolder
from ..pipeline.plots import longest_recording
from ..recipes import BudgetsTable, CompressionTable
from .boards import board_results

SCHEMA = "thumbnet.report/1"
STAGES = (
    "signals",
    "folds",
    "train",
    "compress",
    "compression",
    "cost",
    "plots",
    "generate",
    "build",
    "parity",
    "profile",
)


def gather(folder: RunFolder) -> dict[str, Any]:
    """Collect everything a reader of the report may want.

    Parameters
    ----------
    folder : RunFolder
        A run whose stages up to `compress` are finished; boards that were not run are left out.

    Returns
    -------
    dict
        JSON values, schema `thumbnet.report/1`.

    Raises
    ------
    RunError
        When a stage or one of its files is missing or damaged.
    """
    signals, trained, compressed = (folder.facts(stage) for stage in ("signals", "train", "compress"))
    noise = {layer["index"]: layer["snr_db"] for layer in compressed["quantization"]["layers"]}
    boards = board_results(folder, noise)
    metrics = {**compressed["metrics"], "baseline": trained["baseline"]}
    budgets = check_budgets(
        BudgetsTable(**folder.info["recipe"]["budgets"]), metrics, compressed["agreement"]["share"], boards
    )
    people = len(signals["subjects"]["test"])
    return {
        "schema": SCHEMA,
        "run": {
            "name": folder.name,
            "created": folder.info["updated"],
            "source": signals["source"],
            "source_kind": signals["source_kind"],
            "protocol": signals["protocol"],
            "generalises": signals["generalises"],
            "test_windows": signals["windows"]["test"],
            "test_subjects": f"{people} subject{'s' if people != 1 else ''}",
        },
        "classes": signals["classes"],
        "model": _model(folder, trained, compressed),
        "metrics": metrics,
        "agreement": compressed["agreement"],
        "history": read_json(folder, "history.json"),
        "hypnogram": _night(folder, signals),
        "folds": folder.facts("folds") if "folds" in folder.stages else None,
        "published": [figure.to_dict() for figure in PUBLISHED_FIGURES],
        "quantization": compressed["quantization"],
        "compression": _compression(folder),
        "search": folder.facts("search") if "search" in folder.stages else None,
        "boards": boards,
        "budgets": [budget.to_dict() for budget in budgets],
        "stages": stage_seconds(folder, STAGES),
        "signals": {key: value for key, value in signals.items() if key != "inputs"}
        | {"device": compressed.get("signals")},
        "seeds": folder.info["seeds"],
        "versions": folder.info["versions"],
        "hashes": file_hashes(folder),
        "inputs": signals["inputs"],
    }


def _compression(folder: RunFolder) -> dict[str, Any] | None:
    """The points of the compression table, and the layers whose rounding costs most; None where there is neither."""
    table = CompressionTable(**folder.info["recipe"].get("compression", {}))
    rows, layers = compression_rows(folder, table), layer_report(folder, table)
    return {"board": table.board, "rows": rows, "layers": layers} if rows or layers else None


def _model(folder: RunFolder, trained: Mapping[str, Any], compressed: Mapping[str, Any]) -> dict[str, Any]:
    macs = next((folder.facts(name)["macs"] for name in folder.stages if name.startswith("generate:")), None)
    return {
        "title": trained["title"],
        "parameters": trained["parameters"],
        "macs": macs,
        "bytes": compressed["sizes"]["int8"],
        "hash": folder.stages["compress"].outputs["model.tflite"],
        "sizes": compressed["sizes"],
    }


def read_json(folder: RunFolder, name: str) -> Any:
    """Read a file of a run; RunError where it is missing or damaged."""
    path = folder.output(name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from None


def _night(folder: RunFolder, signals: Mapping[str, Any]) -> dict[str, Any]:
    """Return the longest held-out recording, with the int8 model's probabilities."""
    with np.load(folder.output("test_int8.npz"), allow_pickle=False) as arrays:
        recordings, onsets = arrays["recordings"], arrays["onsets"]
        labels, predicted, probabilities = arrays["labels"], arrays["predicted"], arrays["probabilities"]
    name, members = longest_recording(recordings, onsets)
    return {
        "recording": name,
        "epoch_seconds": signals["epoch_seconds"],
        "onsets": onsets[members].tolist(),
        "true": labels[members].tolist(),
        "predicted": predicted[members].tolist(),
        "probabilities": np.round(probabilities[members], 4).tolist(),
    }


def stage_seconds(folder: RunFolder, stages: Sequence[str]) -> list[dict[str, Any]]:
    """Seconds of each stage; boards are worked on side by side, so the slowest of a stage counts."""
    rows = []
    for stage in stages:
        seconds = [record.seconds for name, record in folder.stages.items() if name.partition(":")[0] == stage]
        if seconds:
            rows.append({"name": stage, "seconds": max(seconds)})
    return rows


def file_hashes(folder: RunFolder) -> dict[str, str]:
    """SHA-256 of the models and firmwares of a run, by their paths in it."""
    wanted = ("model.keras", "student.keras", "model.tflite", "model.bundle", ".elf")
    found: dict[str, str] = {}
    for record in folder.stages.values():
        found.update({name: digest for name, digest in record.outputs.items() if name.endswith(wanted)})
    return found
