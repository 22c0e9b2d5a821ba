"""Stage `signals`: make up or find the recordings, read them once, decide the split."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from .context import Run
from .hashing import file_hash, versions

_CODE = ("training/epochs.py", "training/splits.py", "training/sleep")
_PACKAGES = ("mne", "numpy", "scipy", "edfio")


def signals(run: Run) -> dict[str, Any]:
    """Run the stage; its facts hold source, counts, subjects per part, protocol and the hash of all windows."""
    table = run.recipe.signals
    files = [] if run.is_synthetic else _input_files(run.data)
    depends = {
        "reader": table.reader_settings(),
        "synthetic": table.synthetic.model_dump() if run.is_synthetic else None,
        "files": files,
        "split": [run.recipe.training.seed, list(run.recipe.training.fractions)],
        "versions": versions(_PACKAGES),
    }
    return run.stage("signals", depends, _CODE, lambda folder: _work(run, folder, files))


def _work(run: Run, folder: Path, files: list[dict[str, str]]) -> dict[str, Any]:
    if run.is_synthetic:
        from thumbnet.training.sleep.synthetic import write_synthetic_dataset

        table = run.recipe.signals.synthetic
        emg = run.config.emg or "raw"
        write_synthetic_dataset(folder / "signals", table.subjects, table.hours, table.seed, emg=emg)
        files = _input_files(folder / "signals")
        # Read from where they are made; the stages after this one share what was read.
        run.epochs = run.read_epochs(folder / "signals")
    return {**_facts(run), "inputs": files}


def _input_files(folder: Path) -> list[dict[str, str]]:
    """Recordings below a folder with their hashes; the reader says what is wrong with an empty one."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".edf") if folder.is_dir() else [folder]
    return [
        {"file": path.relative_to(folder).as_posix() if path != folder else path.name, "sha256": file_hash(path)}
        for path in paths
        if path.is_file()
    ]


def _facts(run: Run) -> dict[str, Any]:
    from thumbnet.training.sleep.stages import STAGES

    epochs, split = run.epochs, run.split
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    counts = epochs.counts(len(STAGES))
    table = run.recipe.signals.synthetic
    made_up = f"synthetic, {table.subjects} subjects x {table.hours:g} h"
    return {
        "source": made_up if run.is_synthetic else f"recordings in {run.data.name}",
        "source_kind": "synthetic" if run.is_synthetic else "recordings",
        "classes": list(STAGES),
        "channels": list(epochs.channels),
        "rate": epochs.rate,
        "epoch_seconds": run.config.epoch_seconds,
        "windows": {part: len(members) for part, members in parts.items()},
        "subjects": {part: np.unique(epochs.subjects[members]).tolist() for part, members in parts.items()},
        "counts": dict(zip(STAGES, counts.tolist(), strict=True)),
        "protocol": split.protocol,
        "generalises": split.generalises,
        "notes": list(epochs.notes),
        "skipped": list(epochs.skipped),
        "epochs_sha256": _epochs_hash(run),
    }


def _epochs_hash(run: Run) -> str:
    """Hash of every window, label and place in the split: what training really depends on."""
    digest = hashlib.sha256()
    epochs, split = run.epochs, run.split
    for array in (epochs.signals, epochs.labels, epochs.onsets, split.train, split.validation, split.test):
        digest.update(np.ascontiguousarray(array).data)
    for names in (epochs.subjects, epochs.recordings):
        digest.update("\n".join(names.tolist()).encode())
    return digest.hexdigest()
