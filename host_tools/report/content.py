"""The content of a report, gathered from the folder of a run: one JSON object that the page is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from thumbnet.training.sleep.published import PUBLISHED_FIGURES

from ..pipeline.budgets import check_budgets
from ..pipeline.compression import compression_rows, layer_report
from ..pipeline.folder import RunError, RunFolder
from ..pipeline.plots import longest_recording
from ..recipes import BudgetsTable, CompressionTable

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
    boards = board_results(folder)
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
        "history": _read_json(folder, "history.json"),
        "hypnogram": _night(folder, signals),
        "folds": folder.facts("folds") if "folds" in folder.stages else None,
        "published": [figure.to_dict() for figure in PUBLISHED_FIGURES],
        "quantization": compressed["quantization"],
        "compression": _compression(folder),
        "search": folder.facts("search") if "search" in folder.stages else None,
        "boards": boards,
        "budgets": [budget.to_dict() for budget in budgets],
        "stages": _stage_seconds(folder),
        "signals": {key: value for key, value in signals.items() if key != "inputs"}
        | {"device": compressed.get("signals")},
        "seeds": folder.info["seeds"],
        "versions": folder.info["versions"],
        "hashes": _hashes(folder),
        "inputs": signals["inputs"],
    }


def _compression(folder: RunFolder) -> dict[str, Any] | None:
    """The points of the compression table, and the layers whose rounding costs most; None where there is neither."""
    table = CompressionTable(**folder.info["recipe"].get("compression", {}))
    rows, layers = compression_rows(folder, table), layer_report(folder, table)
    return {"board": table.board, "rows": rows, "layers": layers} if rows or layers else None


def board_results(folder: RunFolder) -> list[dict[str, Any]]:
    """Parity, profile and memory of every board that finished."""
    names = [name.partition(":")[2] for name in folder.stages if name.startswith("profile:")]
    order = list(folder.info["recipe"]["boards"]["names"])
    return [_board(folder, name) for name in sorted(names, key=order.index)]


def _board(folder: RunFolder, name: str) -> dict[str, Any]:
    parity, profile = folder.facts(f"parity:{name}"), folder.facts(f"profile:{name}")
    # Layers of the generated code point at operators of the model, whose noise `compress` measured.
    nodes = folder.facts(f"generate:{parity['target']}")["nodes"]
    noise = {layer["index"]: layer["snr_db"] for layer in folder.facts("compress")["quantization"]["layers"]}
    layers = [
        {**layer, "bytes": int(np.prod(layer["shape"])), "snr_db": noise.get(nodes[layer["index"]])}
        for layer in profile["layers"]
    ]
    # Sizes of a host program are its operating system's as much as the firmware's.
    unmeasured = ("flash_bytes", "ram_bytes", "stack_bytes") if parity["target"] == "host" else ()
    return {
        "name": name,
        "target": parity["target"],
        "parity": parity,
        "profile": {
            **profile,
            **dict.fromkeys(unmeasured),
            "per_mac": profile["instructions_per_mac"],
            "layers": layers,
        },
        "memory": folder.facts(f"build:{name}")["memory"],
    }


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


def _read_json(folder: RunFolder, name: str) -> Any:
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


def _stage_seconds(folder: RunFolder) -> list[dict[str, Any]]:
    """Seconds of each stage; boards are worked on side by side, so the slowest of a stage counts."""
    rows = []
    for stage in STAGES:
        seconds = [record.seconds for name, record in folder.stages.items() if name.partition(":")[0] == stage]
        if seconds:
            rows.append({"name": stage, "seconds": max(seconds)})
    return rows


def _hashes(folder: RunFolder) -> dict[str, str]:
    wanted = ("model.keras", "model.tflite", "model.bundle", ".elf")
    found: dict[str, str] = {}
    for record in folder.stages.values():
        found.update({name: digest for name, digest in record.outputs.items() if name.endswith(wanted)})
    return found
