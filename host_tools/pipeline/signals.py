"""Stage `signals`: make up or find the recordings, read them once, decide the split."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from .context import Run
from .hashing import file_hash, versions

_CODE = ("training/cache.py", "training/epochs.py", "training/mapped.py", "training/splits.py", "training/sleep")
_PACKAGES = ("mne", "numpy", "scipy", "edfio")


def signals(run: Run) -> dict[str, Any]:
    """Run the stage; its facts hold source, counts, subjects per part, protocol and the hash of all windows."""
    table = run.recipe.signals
    files = [] if run.is_synthetic else _input_files(run, run.data)
    depends = {
        "provenance": _provenance(run),
        "reader": table.reader_settings(),
        "synthetic": table.synthetic.model_dump() if run.is_synthetic else None,
        "files": files,
        "split": [run.recipe.training.seed, list(run.recipe.training.fractions)],
        "versions": versions(_PACKAGES),
    }
    facts = run.stage("signals", depends, _CODE, lambda folder: _work(run, folder, files))
    for line in facts["skipped"]:
        run.say(f"  skipped: {line}")
    return facts


def _work(run: Run, folder: Path, files: list[dict[str, str]]) -> dict[str, Any]:
    if run.is_synthetic:
        from thumbnet.training.sleep.synthetic import write_synthetic_dataset

        table = run.recipe.signals.synthetic
        emg = run.config.emg or "raw"
        write_synthetic_dataset(folder / "signals", table.subjects, table.hours, table.seed, emg=emg)
        files = _input_files(run, folder / "signals")
        # Read from where they are made; the stages after this one share what was read.
        run.cached = run.read_recordings(folder / "signals")
    return {**_facts(run), "inputs": files}


def _input_files(run: Run, folder: Path) -> list[dict[str, str]]:
    """Recordings and hypnograms below a folder with their hashes."""
    from thumbnet.training.sleep.dataset import find_recordings

    found, _ = find_recordings(folder, run.config)
    root = folder if folder.is_dir() else folder.parent
    return [
        {"file": path.relative_to(root).as_posix(), "sha256": file_hash(path)}
        for path in sorted({path for files in found for path in files.paths})
    ]


def _provenance(run: Run) -> dict[str, str]:
    """Where the recordings come from and under which licence: the recipe's words, else those left by a download."""
    from thumbnet.training.sleep.dataset import read_data_file

    table = run.recipe.signals
    if run.is_synthetic:
        made_up = f"synthetic, {table.synthetic.subjects} subjects x {table.synthetic.hours:g} h"
        return {"source": made_up, "licence": "Apache-2.0 (synthetic signals of thumbnet)"}
    noted = read_data_file(run.data) if run.data.is_dir() else {}
    return {
        "source": table.source or noted.get("source") or f"recordings in {run.data.name}",
        "licence": table.licence or noted.get("licence") or "not stated by the recipe",
    }


def _facts(run: Run) -> dict[str, Any]:
    from thumbnet.training.sleep.stages import STAGES

    epochs, split = run.epochs, run.split
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    counts = epochs.counts(len(STAGES))
    return {
        **_provenance(run),
        "source_kind": "synthetic" if run.is_synthetic else "recordings",
        "classes": list(STAGES),
        "channels": list(epochs.channels),
        "rate": epochs.rate,
        "epoch_seconds": run.config.epoch_seconds,
        "windows": {part: len(members) for part, members in parts.items()},
        "subjects": {part: np.unique(epochs.subjects[members]).tolist() for part, members in parts.items()},
        "counts": dict(zip(STAGES, counts.tolist(), strict=True)),
        "recordings": len(np.unique(epochs.recordings)),
        "preprocessing": run.config.steps(),
        "protocol": split.protocol,
        "generalises": split.generalises,
        "notes": list(epochs.notes),
        "skipped": list(epochs.skipped),
        "epochs_sha256": _epochs_hash(run),
    }


def _epochs_hash(run: Run) -> str:
    """Hash of every window, label and place in the split: what training really depends on."""
    from thumbnet.training.mapped import chunks_of

    digest = hashlib.sha256()
    epochs, split = run.epochs, run.split
    for chunk in chunks_of(epochs.signals):
        digest.update(chunk.data)
    for array in (epochs.labels, epochs.onsets, split.train, split.validation, split.test):
        digest.update(np.ascontiguousarray(array).data)
    for names in (epochs.subjects, epochs.recordings):
        digest.update("\n".join(names.tolist()).encode())
    return digest.hexdigest()
