"""Peak memory of training on a set as large as Sleep-EDF-78, by hand: ``python tests/training/large_set.py FOLDER``.

Writes noise for 78 people x 2 nights x 1250 epochs of 4 channels through the cache (9.4 GB), then in a process of its
own opens it, divides it by subjects, fits the scaling, trains for some thousand windows drawn over all recordings,
validates, hashes every sample, and says how much memory that process took at its peak.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

EPOCHS, CHANNELS, SAMPLES = 1250, 4, 3000


def write(folder: Path, subjects: int) -> Path:
    """Fill a cache with noise; returns its manifest."""
    from thumbnet.training.cache import Cache, hash_of
    from thumbnet.training.epochs import EpochSet

    names = tuple("ABCD"[:CHANNELS])
    store, entries = Cache(folder), []
    noise = np.random.default_rng(1).standard_normal((EPOCHS, CHANNELS, SAMPLES), np.float32) * 20
    for subject in range(subjects):
        for night in (1, 2):
            name = f"SC4{subject:02d}{night}"
            key = hash_of([name, 1])
            entries.append((name, key))
            if store.has(name, key):
                continue
            labels = np.random.default_rng((subject, night)).integers(0, 5, EPOCHS)
            epochs = EpochSet(
                noise, labels, np.full(EPOCHS, name[:5]), np.full(EPOCHS, name), 30.0 * np.arange(EPOCHS), names, 100.0
            )
            store.put(name, key, epochs, np.ones(EPOCHS, bool))
    return store.finish(entries, {}, names, 100.0).manifest


def measure(manifest: Path, windows: int) -> dict[str, float]:
    """Train on a set and return what it took; to be called in a fresh process."""
    import hashlib
    import resource

    from thumbnet.quantize.scaling import ScaledWindows, fit_scaling
    from thumbnet.training.cache import open_set
    from thumbnet.training.loop import seed_everything, train
    from thumbnet.training.mapped import chunks_of
    from thumbnet.training.settings import TrainingSettings
    from thumbnet.training.sleep.ulw_sleepnet import build_ulw_sleepnet
    from thumbnet.training.splits import subject_split

    started = time.monotonic()
    epochs = open_set(manifest).epochs()
    digest = hashlib.sha256()
    for chunk in chunks_of(epochs.signals):
        digest.update(chunk.data)
    split = subject_split(epochs, 1)
    scaling = fit_scaling(epochs.take(split.train).signals, epochs.channels, 99.5)
    seed_everything(1, 2)
    model = build_ulw_sleepnet(CHANNELS, SAMPLES, 5)
    rng = np.random.default_rng(2)
    chosen = np.sort(rng.choice(split.train, min(windows, len(split.train)), replace=False))
    validation = np.sort(rng.choice(split.validation, min(windows // 4, len(split.validation)), replace=False))
    inputs = ScaledWindows(epochs.signals, scaling)
    train(model, inputs.take(chosen), epochs.labels[chosen], inputs.take(validation), epochs.labels[validation],
          TrainingSettings(epochs=1))  # fmt: skip
    return {
        "epochs": len(epochs),
        "gigabytes_on_disk": epochs.signals.size * 4 / 1e9,
        "windows_trained": len(chosen),
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "seconds": time.monotonic() - started,
    }


def run(folder: Path, subjects: int, windows: int) -> dict[str, float]:
    """Write the set where it is not there, and measure in a process of its own."""
    manifest = write(folder, subjects)
    code = (
        "import json, large_set, pathlib, sys; "
        "print(json.dumps(large_set.measure(pathlib.Path(sys.argv[1]), int(sys.argv[2]))))"
    )
    words = [sys.executable, "-c", code, str(manifest), str(windows)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", type=int, default=78)
    parser.add_argument("--windows", type=int, default=4000)
    options = parser.parse_args()
    print(json.dumps(run(options.folder, options.subjects, options.windows), indent=1))
