"""A made-up report, complete in every part, for the tests of the page."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

CLASSES = ["W", "N1", "N2", "N3", "REM"]


def sample_report(boards: tuple[str, ...] = ("qemu_m4", "netduinoplus2")) -> dict[str, Any]:
    """A report of two boards and one night of 2.5 hours."""
    rng = np.random.default_rng(7)
    true = _night(rng)
    probabilities = _probabilities(true, rng)
    return {
        "schema": "thumbnet.report/1",
        "run": {
            "name": "sleep_demo",
            "created": "2026-01-02 03:04 UTC",
            "source": "synthetic, 10 subjects x 2.5 h",
            "source_kind": "synthetic",
            "protocol": "subject-wise",
            "generalises": True,
            "test_windows": 600,
            "test_subjects": "2 subjects",
        },
        "classes": CLASSES,
        "model": {
            "title": "ULW-SleepNet",
            "parameters": 13337,
            "macs": 2795264,
            "bytes": 41824,
            "hash": "3f" * 32,
            "sizes": {"float": 68420, "int8": 41824},
        },
        "metrics": {
            "float": _metrics(0.842, 0.781, 0.779, 1),
            "int8": _metrics(0.839, 0.776, 0.774, 2),
            "baseline": _metrics(0.744, 0.672, 0.655, 3),
        },
        "agreement": {"windows": 600, "share": 0.9867, "interval_95": [0.9738, 0.9933], "over": "subjects", "units": 4},
        "history": {
            "loss": [1.5 * math.exp(-n / 5) + 0.42 for n in range(20)],
            "val_loss": [1.5 * math.exp(-n / 4) + 0.5 + 0.03 * math.sin(3 * n) for n in range(20)],
            "accuracy": [0.84 - 0.5 * math.exp(-n / 4) for n in range(20)],
            "val_accuracy": [0.82 - 0.5 * math.exp(-n / 3) + 0.012 * math.sin(3 * n) for n in range(20)],
        },
        "hypnogram": {
            "recording": "SC4091E0",
            "epoch_seconds": 30.0,
            "onsets": [30.0 * n for n in range(len(true))],
            "true": true,
            "predicted": [int(np.argmax(epoch)) for epoch in probabilities],
            "probabilities": probabilities,
        },
        "quantization": {
            "channels": [
                {
                    "name": name,
                    "clip_uv": clip,
                    "gain": 1 / clip,
                    "microvolts_per_step": clip / 127,
                    "share_clipped": share,
                }
                for name, clip, share in (
                    ("EEG Fpz-Cz", 212.4, 0.0011),
                    ("EEG Pz-Oz", 180.9, 0.0009),
                    ("EOG", 301.2, 0.0013),
                    ("EMG", 22.7, 0.0008),
                )
            ],
            "layers": [{"name": layer["name"], "snr_db": 31.0 - 0.4 * layer["index"]} for layer in _layers(1)],
        },
        "boards": [_board(name) for name in boards],
        "budgets": [
            {"key": "ram_bytes", "where": "qemu_m4", "limit": 124000, "value": 104640, "ok": True, "least": False},
            {
                "key": "accuracy_drop",
                "where": "held-out windows",
                "limit": 0.02,
                "value": 0.003,
                "ok": True,
                "least": False,
            },
        ],
        "stages": [
            {"name": name, "seconds": seconds}
            for name, seconds in (
                ("signals", 14.2),
                ("train", 96.0),
                ("compress", 31.0),
                ("generate", 0.8),
                ("build", 5.2),
                ("parity", 71.0),
                ("profile", 8.0),
                ("report", 0.6),
            )
        ],
        "signals": {
            "source": "synthetic, 10 subjects x 2.5 h",
            "channels": ["EEG Fpz-Cz", "EEG Pz-Oz", "EOG", "EMG"],
            "rate": 100.0,
            "windows": {"train": 1800, "validation": 600, "test": 600},
            "subjects": {
                "train": ["SC400", "SC401", "SC402", "SC405", "SC407", "SC408"],
                "validation": ["SC403", "SC406"],
                "test": ["SC404", "SC409"],
            },
            "counts": {"W": 620, "N1": 190, "N2": 1240, "N3": 480, "REM": 470},
            "notes": ["EMG taken as raw"],
            "skipped": [],
        },
        "seeds": {"signals": 2026, "training": 1, "quantize": 1},
        "versions": {
            "thumbnet": "0.1.0",
            "python": "3.11.7",
            "tensorflow": "2.21.0",
            "gcc": "12.2.1",
            "qemu": "7.2.22",
        },
        "hashes": {"model.tflite": "3f" * 32, "qemu_m4.elf": "a7" * 32},
        "inputs": [{"file": "SC4001E0-PSG.edf", "sha256": "12" * 32}],
    }


def _night(rng: np.random.Generator) -> list[int]:
    stages: list[int] = [0] * 20
    for length, stage in (
        (6, 1),
        (30, 2),
        (42, 3),
        (14, 2),
        (18, 4),
        (4, 1),
        (36, 2),
        (30, 3),
        (22, 2),
        (26, 4),
        (6, 0),
        (5, 1),
        (24, 2),
        (17, 4),
    ):
        stages += [stage] * max(2, length + int(rng.integers(-4, 5)))
    return stages


def _probabilities(true: list[int], rng: np.random.Generator) -> list[list[float]]:
    rows = []
    for stage in true:
        logits = rng.normal(0, 0.9, 5)
        logits[stage] += 3.0
        shares = np.exp(logits) / np.exp(logits).sum()
        rows.append([round(float(share), 4) for share in shares])
    return rows


def _metrics(accuracy: float, macro_f1: float, kappa: float, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    sizes = [124, 38, 248, 96, 94]
    confusion = []
    for row, size in enumerate(sizes):
        right = round(size * (0.5 if row == 1 else 0.88))
        spread = rng.multinomial(size - right, [0.25] * 4).tolist()
        confusion.append([*spread[:row], right, *spread[row:]])
    f1 = {name: round(macro_f1 + 0.06 - (0.28 if name == "N1" else 0.0) + 0.02 * rng.normal(), 3) for name in CLASSES}
    return {
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "kappa": kappa,
        "per_class_f1": f1,
        "confusion": confusion,
        "absent": [],
    }


def _layers(scale: float) -> list[dict[str, Any]]:
    rows = (
        ("CONV_2D", "main_a", (4, 3000, 8), 288000),
        ("MAX_POOL_2D", "pool_a", (4, 1500, 8), 0),
        ("DEPTHWISE_CONV_2D", "main_b_depthwise", (4, 1500, 8), 144000),
        ("CONV_2D", "main_b", (4, 1500, 8), 384000),
        ("ADD", "add", (4, 750, 8), 0),
        ("CONV_2D", "block2_a", (4, 750, 16), 384000),
        ("CONV_2D", "block2_b", (4, 375, 16), 384000),
        ("CONV_2D", "block3_a", (4, 188, 32), 385024),
        ("CONV_2D", "block3_b", (4, 94, 32), 385024),
        ("MEAN", "average", (4, 32), 0),
        ("FULLY_CONNECTED", "hidden", (64,), 8192),
        ("FULLY_CONNECTED", "stages", (5,), 320),
        ("SOFTMAX", "softmax", (5,), 0),
    )
    return [
        {
            "index": index,
            "name": f"ulw_sleepnet/block/{name}",
            "op": op,
            "shape": list(shape),
            "macs": macs,
            "bytes": math.prod(shape),
            "snr_db": 31.0 - 0.4 * index,
            "instructions": round(scale * (macs * 6.5 + math.prod(shape) * 9)),
        }
        for index, (op, name, shape, macs) in enumerate(rows)
    ]


def _board(name: str) -> dict[str, Any]:
    layers = _layers(1.0 if name == "qemu_m4" else 1.01)
    flash = [
        ("model_weights", "weights", 16980),
        ("tn_conv2d_s8", "kernels", 2810),
        ("tn_depthwise_conv2d_s8", "kernels", 2240),
        ("tn_add_s8", "kernels", 930),
        ("tn_softmax_s8", "kernels", 1420),
        ("model_run", "model", 2210),
        ("tn_link_poll", "link", 1890),
        ("tn_frame_decode", "link", 720),
        ("main", "application", 1660),
        ("hal_init", "board", 540),
        ("vectors", "board", 392),
        ("memcpy", "library", 310),
        ("memset", "library", 156),
    ]
    ram = [
        ("state", "state", 96048),
        ("input_block", "application", 12000),
        ("rx_ring", "link", 2048),
        ("frame", "link", 1100),
        ("stack", "stack", 4096),
    ]
    total = sum(layer["instructions"] for layer in layers)
    return {
        "name": name,
        "target": "cortex-m4",
        "parity": {
            "windows": 64,
            "bytes": 320,
            "mismatches": 0,
            "max_abs_diff": 0,
            "first_diverging_layer": None,
            "oracle": "tflite-micro 0.dev20261023",
        },
        "profile": {
            "instructions": total,
            "macs": 2795264,
            "per_mac": total / 2795264,
            "flash_bytes": sum(row[2] for row in flash),
            "code_bytes": 9610,
            "weight_bytes": 16980,
            "ram_bytes": sum(row[2] for row in ram),
            "state_bytes": 96048,
            "stack_bytes": 612,
            "arena_bytes_tflm_host": 186836,
            "layers": layers,
        },
        "memory": {
            "flash": [{"name": n, "kind": kind, "bytes": size} for n, kind, size in flash],
            "ram": [{"name": n, "kind": kind, "bytes": size} for n, kind, size in ram],
        },
    }
