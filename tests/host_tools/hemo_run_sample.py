"""The folder of a run about hemodynamic parameters whose stages left made-up facts, for the tests of its report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from thumbnet.host_tools.hemodynamics.evaluation import chart_points
from thumbnet.host_tools.hemodynamics.judging import BUNDLE, TITLES, Judged, OnDevice
from thumbnet.host_tools.hemodynamics.recipe import parse_hemo_recipe
from thumbnet.host_tools.pipeline.folder import RunFolder
from thumbnet.training.hemodynamics.protocols import divide
from thumbnet.training.hemodynamics.sources import Data, DataConfig
from thumbnet.training.hemodynamics.synthetic import synthetic_windows

EXPERTS, K = 4, 2
CONFIG = {"experts": EXPERTS, "k": K, "channels": 16, "gates": "shared", "tasks": 10}
SIGNALS = {"bits": 16, "rate": 125.0, "steps": ["highpass"], "share_of_codes_that_differ": 0.0012,
           "largest_difference": 1}  # fmt: skip
BEHIND = {"windows": 20, "bytes": 800, "mismatches": 0, "first_diverging_layer": None, "passed": True, "channels": []}
PROFILE = {
    "target": "cortex-m4", "schedule": "whole", "instructions": 2_554_000, "macs": 950_000, "flash_bytes": 55_432,
    "instructions_per_mac": 2.688, "code_bytes": 20_480, "weight_bytes": 30_080, "ram_bytes": 26_160,
    "state_bytes": 20_480, "stack_bytes": 640, "arena_bytes_tflm_host": None,
}  # fmt: skip
LAYERS = (
    ("preprocessing", "SIGNALS", 0, 51_000),
    ("gate: gate/first/Relu;gate/first/Conv2D", "CONV_2D", 37_560, 67_824),
    ("choice of experts", "TOP_K", 0, 231),
    ("expert 0: expert0/stem/Relu", "CONV_2D", 35_056, 78_101),
    ("expert 0: expert0/average/Mean", "MEAN", 0, 3_561),
    ("expert 1: expert0/stem/Relu", "CONV_2D", 35_056, 78_103),
    ("expert 1: expert0/average/Mean", "MEAN", 0, 3_561),
    ("mixture", "MIXTURE", 640, 13_823),
    ("towers: towers/hidden/Relu", "DEPTHWISE_CONV_2D", 5_120, 103_911),
    ("values", "CALIBRATE", 10, 295),
)


def sample_judged(seed: int = 3, tasks: tuple[str, ...] = (), each: int = 4) -> Judged:
    """Estimates that are near the truth, of a network and of its integers, for 12 people; nothing is known of them
    where the tasks are named."""
    windows = synthetic_windows(12, each, seed=seed)
    if tasks:
        windows = replace(windows.with_tasks(tasks), people=np.full((len(windows), 4), np.nan))
    division, rng = divide(windows, seed=seed), np.random.default_rng(seed)
    spread = windows.labels.std(axis=0)
    estimated = windows.labels + 0.3 * spread * rng.normal(size=windows.labels.shape)
    chosen = np.array([rng.permutation(EXPERTS) < K for _ in division.test])
    weights = np.repeat((chosen / K)[:, None], len(windows.tasks), axis=1)
    device = OnDevice(estimated + 0.01 * spread, chosen)
    return Judged("compressed network, float", DataConfig(subjects=12, each=4, seed=seed).to_dict(), None,
                  Data(windows, division), estimated, {TITLES[BUNDLE]: device.estimated}, weights, device)  # fmt: skip


def table_row(name: str, kind: str, gain: float, kept: float | None, tasks: list[str]) -> dict[str, Any]:
    """A row of the compression table; the last task gains nothing."""
    flat = dict.fromkeys(tasks, kept)
    return {
        "name": name, "title": f"title of {name}", "kind": kind, "config": CONFIG, "parameters": 15_258,
        "active_macs": 936_664, "most_active": K, "mae": dict.fromkeys(tasks, 5.0),
        "mean_mae": dict.fromkeys(tasks, 5.0 / (1 - gain)), "gain": {**dict.fromkeys(tasks, gain), tasks[-1]: -0.1},
        "served": [0.5, 0.5, 0.6, 0.4], "gain_kept": None if kept is None else {**flat, tasks[-1]: None},
    }  # fmt: skip


def sample_run(
    place: Path, *, board: str = "qemu_m4", on_device: bool = True, judged: Judged | None = None, **budgets: float
) -> RunFolder:
    """A finished run.

    Parameters
    ----------
    place : pathlib.Path
        Where to make it.
    board : str
        The one board.
    on_device : bool
        Whether the network was one for devices.
    judged : Judged, optional
        What it estimates.
    **budgets : float
        Of the recipe.
    """
    recipe = parse_hemo_recipe({"name": "sample", "boards": {"names": [board]}, "budgets": budgets})
    folder = RunFolder.create(place, "sample")
    folder.info = {"updated": "2026-01-02 03:04 UTC", "recipe": recipe.model_dump(mode="json"),
                   "seeds": {"data": 3, "training": 1}, "versions": {"thumbnet": "0.1.0"}}  # fmt: skip
    judged = judged or sample_judged()
    tasks = list(judged.data.windows.tasks)
    network = {"config": CONFIG, "parameters": 15_258, "active_macs": 936_664, "most_active": K}
    windows = {part: len(getattr(judged.data.division, part)) for part in ("train", "validation", "test", "known")}
    _leave(folder, "data", {"name": "synthetic population", "tasks": tasks, "samples": 1250, "notes": ["a note"],
                            "protocol": "calibration-free", "label": "label", "leaks": [], "sha256": "00" * 32,
                            "windows": windows}, {"data.json": {"schema": "x", "data": {}}})  # fmt: skip
    history = {"loss": [4.5, 3.9, 3.7], "val_error": [0.8, 0.7, 0.71], "best_pass": 1}
    _leave(folder, "train", {"network": network, "passes": 3, "quality": {}}, {"history.json": history})
    rows = [table_row("teacher", "float", 0.6, None, tasks), table_row("two-way", "float", 0.55, 0.92, tasks)]
    _leave(folder, "prune", {"rows": rows, "network": network}, {})
    made = [table_row("teacher-int8", "int8", 0.6, 0.99, tasks), table_row("int8", "int8", 0.5, 0.85, tasks),
            table_row("aware", "int8", 0.54, 0.91, tasks)]  # fmt: skip
    bundles = {"teacher-int8": "compression/teacher-int8.bundle", "int8": "compression/int8.bundle",
               "aware": "model.bundle"}  # fmt: skip
    why = None if on_device else "a mixture of experts for devices needs towers"
    _leave(folder, "compress", {
        "rows": [rows[0], made[0], rows[1], *made[1:]] if on_device else rows,
        "missing": [] if on_device else [{"name": "int8", "title": "int8 after training", "why": why}],
        "network": network, "table": {}, "bundles": bundles if on_device else {}, "why_no_bundle": why,
        "signals": SIGNALS if on_device else None,
        "bytes": {"gate.tflite": 9_000, "towers.tflite": 12_000} if on_device else {},
    }, {"model.bundle": {}} if on_device else {})  # fmt: skip
    if on_device:
        _board(folder, board)
        cost = {"board": board, "schedule": "whole", "macs": 1, "state_bytes": 1, "stack_bytes": 1, "code_bytes": 1,
                "weight_bytes": 1, "ram_bytes": 30_000, "flash_bytes": 77_700, "instructions": 3_570_000}  # fmt: skip
        _leave(folder, "cost:teacher-int8", {"cost": cost, "why_no_cost": None}, {})
        _leave(folder, "cost:int8", {"cost": None, "why_no_cost": "qemu_m4: region FLASH overflowed"}, {})
    report = judged.report()
    if not on_device:
        del report["device"]
    _leave(folder, "evaluate", {"file": "evaluation.json", "points": chart_points(judged)}, {"evaluation.json": report})
    return folder


def _board(folder: RunFolder, board: str) -> None:
    host = board == "host"
    profile = {**PROFILE, "board": board, "layers": [
        {"index": index, "name": name, "op": op, "shape": [1, 1, 313, 16], "macs": macs, "weight_bytes": 16,
         "instructions": None if host else count}
        for index, (name, op, macs, count) in enumerate(LAYERS)
    ]}  # fmt: skip
    if host:
        profile |= {"target": "host", "instructions": None, "instructions_per_mac": None}
    target = profile["target"]
    nodes = list(range(len(LAYERS)))
    segment = {"slices": 313, "sources": ["expert: input"], "layers": 7, "again": ["a"], "again_macs": 1_500_000,
               "stores": [{"name": "a", "bytes": 2_048}]}  # fmt: skip
    manifest = {"schedule": {"name": "whole", "segments": [segment]}}
    _leave(folder, f"generate:{target}", {"macs": 950_000, "state_bytes": 20_480, "nodes": nodes,
                                          "notes": ["2 of 4 experts run for a window"]},
           {f"generated/{target}/model.json": manifest})  # fmt: skip
    memory = {"flash": [{"name": "model_weights", "kind": "weights", "bytes": 30_000}],
              "ram": [{"name": "state", "kind": "state", "bytes": 20_480}]}  # fmt: skip
    _leave(folder, f"build:{board}", {"flash_bytes": 55_432, "ram_bytes": 26_160,
                                      "memory": {"flash": [], "ram": []} if host else memory}, {})  # fmt: skip
    _leave(folder, f"parity:{board}", {"target": target, "windows": 20, "bytes": 800, "mismatches": 0,
                                       "oracle": "tflite-micro 0.dev1, parts composed in NumPy",
                                       "first_diverging_layer": None, "signals": BEHIND}, {})  # fmt: skip
    _leave(folder, f"profile:{board}", profile, {})


def _leave(folder: RunFolder, stage: str, facts: dict[str, Any], files: dict[str, Any]) -> None:
    def work(place: Path) -> dict[str, Any]:
        for name, content in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(json.dumps(content), encoding="utf-8")
        return facts

    folder.perform(stage, "key", work)
