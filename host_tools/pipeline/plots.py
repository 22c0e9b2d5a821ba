"""Stage `plots`: figures of the run for papers and slides; the report draws its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .compress import INT8_RESULTS
from .context import Run
from .hashing import versions
from .quiet import quiet_libraries
from .train import HISTORY

FOLDER = "plots"
_CODE = ("training/plots.py", "host_tools/pipeline/plots.py")

Array = np.ndarray[Any, Any]


def plots(run: Run) -> dict[str, Any]:
    """Draw learning curves, confusion matrices of float and int8, and the longest held-out night."""
    depends = {
        "history": run.output_hash("train", HISTORY),
        "results": run.output_hash("compress", INT8_RESULTS),
        "versions": versions(["matplotlib"]),
    }
    return run.stage("plots", depends, _CODE, lambda folder: _work(run, folder / FOLDER))


@quiet_libraries()
def _work(run: Run, folder: Path) -> dict[str, Any]:
    from thumbnet.training.loop import History
    from thumbnet.training.metrics import staging_metrics
    from thumbnet.training.plots import confusion_figure, hypnogram_figure, learning_curves_figure, save_figure

    signals = run.folder.facts("signals")
    with np.load(run.folder.output(INT8_RESULTS), allow_pickle=False) as arrays:
        results = dict(arrays)
    history = History.read(run.folder.output(HISTORY))
    save_figure(learning_curves_figure(history), folder / "learning_curves")
    for kind, key in (("float", "float_predicted"), ("int8", "predicted")):
        metrics = staging_metrics(results["labels"], results[key], signals["classes"])
        save_figure(confusion_figure(metrics, kind), folder / f"confusion_{kind}")
    name, members = longest_recording(results["recordings"], results["onsets"])
    figure = hypnogram_figure(
        results["onsets"][members],
        results["labels"][members],
        results["predicted"][members],
        signals["classes"],
        epoch_seconds=signals["epoch_seconds"],
        title=f"{name}, int8",
    )
    save_figure(figure, folder / "hypnogram")
    return {"recording": name}


def longest_recording(recordings: Array, onsets: Array) -> tuple[str, Array]:
    """Name of the recording with most windows, the first of equals, and the places of its windows in time order."""
    names, counts = np.unique(recordings, return_counts=True)
    name = names[np.argmax(counts)]
    members = np.flatnonzero(recordings == name)
    return str(name), members[np.argsort(onsets[members])]
