"""Training speed beside the published formulation: ``python -m thumbnet.training.bench``.

The published code wraps a network of one-dimensional signals in ``TimeDistributed`` and runs it eagerly, one operation
after the other from Python. Here the same network (equal outputs, see ``tests/training/test_ulw_sleepnet.py``) is one
compiled graph over images whose rows are the channels. Both train on the same windows with the same batch size and
optimizer, in turns in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np


def compare_speed(windows: int = 320, rounds: int = 2, threads: int = 2, channels: int = 4) -> dict[str, Any]:
    """Time one pass over some windows in both formulations, in turns; the fastest of each counts.

    Parameters
    ----------
    windows, channels
        Training windows of a pass (batches of 32) and signals of each.
    rounds : int
        Passes of each that are timed, after one of each that is not.
    threads : int
        Threads of TensorFlow.

    Returns
    -------
    dict
        Windows per second of both, their quotient, and what was measured.
    """
    import tensorflow as tf

    from .loop import seed_everything

    seed_everything(1, threads)
    rng = np.random.default_rng(1)
    inputs = rng.uniform(-1, 1, (windows, channels, 3000, 1)).astype(np.float32)
    labels = rng.integers(0, 5, windows)
    passes = {"reference": _reference(inputs, labels), "thumbnet": _thumbnet(inputs, labels)}
    best = dict.fromkeys(passes, float("inf"))
    for number in range(rounds + 1):
        for name, one_pass in passes.items():
            started = time.perf_counter()
            one_pass(number)
            if number:
                best[name] = min(best[name], time.perf_counter() - started)
    return {
        "schema": "thumbnet.training-bench/1",
        "windows": windows,
        "batch_size": 32,
        "channels": channels,
        "threads": threads,
        "tensorflow": tf.__version__,
        "seconds_per_pass": best,
        "windows_per_second": {name: windows / seconds for name, seconds in best.items()},
        "speedup": best["reference"] / best["thumbnet"],
    }


def _reference(inputs: np.ndarray, labels: np.ndarray):
    import tf_keras as keras

    from .sleep.ulw_sleepnet import build_time_distributed

    model = build_time_distributed(inputs.shape[1])
    model.compile(
        keras.optimizers.Adam(1e-3, amsgrad=True), "sparse_categorical_crossentropy", metrics=["accuracy"],
        run_eagerly=True,
    )  # fmt: skip
    return lambda _number: model.fit(inputs, labels, batch_size=32, epochs=1, verbose=0)


def _thumbnet(inputs: np.ndarray, labels: np.ndarray):
    from .settings import TrainingSettings
    from .sleep.ulw_sleepnet import build_ulw_sleepnet
    from .steps import Trainer

    trainer = Trainer(build_ulw_sleepnet(inputs.shape[1]), 1e-3, TrainingSettings(batch_size=32), labels)
    return lambda number: trainer.one_pass(inputs, labels, number, None)


def main() -> None:
    """Print the figures as a line, or as JSON with --json."""
    parser = argparse.ArgumentParser(prog="python -m thumbnet.training.bench", description=main.__doc__)
    parser.add_argument("--windows", type=int, default=320, help="training windows of a pass (default: 320)")
    parser.add_argument("--rounds", type=int, default=2, help="passes that are timed (default: 2)")
    parser.add_argument("--threads", type=int, default=2, help="threads of TensorFlow (default: 2)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = compare_speed(options.windows, options.rounds, options.threads)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    speed = found["windows_per_second"]
    print(
        f"{speed['thumbnet']:.0f} windows/s, reference (TimeDistributed, eager) {speed['reference']:.0f} windows/s: "
        f"{found['speedup']:.1f} times as fast ({found['threads']} threads, {found['windows']} windows a pass)"
    )


if __name__ == "__main__":
    main()
