"""Windows as the device's converter gives them: kept by `compress`, run through preprocessing and model by `parity`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..modelfile import ModelFile
from ..oracle import Oracle
from ..parity import Expected
from ..parity_run import ParityPlan, run_board
from ..signals import BUNDLE, Front, RecordedWindows, compile_behind, read_plan, schedule_behind

if TYPE_CHECKING:
    from thumbnet.quantize.scaling import ChannelScaling
    from thumbnet.training.epochs import EpochSet

    from ..boards import Board
    from ..progress import NewTask
    from .context import Run

SAMPLES = "parity_samples.npy"


def write_samples(run: Run, folder: Path, windows: EpochSet, scaling: ChannelScaling) -> dict[str, Any]:
    """Keep windows as samples of the declared converter: int32, shape (windows, samples, channels).

    Parameters
    ----------
    run : Run
        Its recordings are read once more, without filters.
    folder : pathlib.Path
        Where the file goes.
    windows : EpochSet
        The windows.
    scaling : ChannelScaling
        Of the network's input.

    Returns
    -------
    dict
        The fact `signals`: the converter, and for each channel the filters and the share of clipped samples;
        empty where the recipe declares no preprocessing of the device.
    """
    from thumbnet.quantize.signals import declare_signals

    declared = declare_signals(run.config, scaling)
    if declared is None:
        return {}
    counts = np.concatenate(_counts(run, windows, declared))
    np.save(folder / SAMPLES, counts)
    half = 2 ** (declared["bits"] - 1)
    clipped = ((counts == -half) | (counts == half - 1)).mean(axis=(0, 1))
    rows = zip(declared["channels"], clipped.tolist(), strict=True)
    return {
        "signals": {
            "bits": declared["bits"],
            "rate": declared["rate"],
            "channels": [
                {
                    "name": row["name"],
                    "microvolts_per_count": row["microvolts_per_count"],
                    "steps": [note.partition(": ")[2] for note in run.config.device_notes(row["name"])],
                    "share_clipped": share,
                }
                for row, share in rows
            ],
        }
    }


def _counts(run: Run, windows: EpochSet, declared: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
    """Samples of each window, recording after recording."""
    from thumbnet.quantize.signals import to_counts
    from thumbnet.training.sleep.dataset import find_recordings
    from thumbnet.training.sleep.recording import read_converter_signals

    files = {found.recording: found.signals for found in find_recordings(run.data, run.config)[0]}
    rate = declared["rate"]
    samples = int(np.ceil(run.config.epoch_seconds * rate - 1e-9))
    cut = []
    for recording in dict.fromkeys(windows.recordings.tolist()):
        counts = to_counts(declared, read_converter_signals(files[recording], run.config)).T
        for onset in windows.onsets[windows.recordings == recording]:
            first = round(float(onset) * rate)
            window = counts[first : first + samples]
            # An envelope may leave the last second open; it keeps the last value, as the epochs do.
            cut.append(np.pad(window, ((0, samples - len(window)), (0, 0)), mode="edge")[None])
    return cut


@dataclass(frozen=True)
class Behind:
    """A model behind its preprocessing, with windows and what is expected of them."""

    model: ModelFile
    front: Front
    expected: Expected
    schedule: str
    max_ram: int | None = None

    def run(self, board: Board, folder: Path, new_task: NewTask) -> dict[str, Any]:
        """Compare every output byte, and the codes that preprocessing gives, on one board.

        Returns
        -------
        dict
            The fact `signals` of the stage `parity`: windows, bytes, mismatches, the first diverging layer, and for
            each channel how far integers are from floating point, in microvolts.
        """
        plan = ParityPlan(self.model, self.expected, folder, None, True, None, self.schedule, self.front.plan,
                          self.max_ram)  # fmt: skip
        found = run_board(plan, board, new_task).to_dict()
        kept = ("inputs", "windows", "bytes", "mismatches", "first_diverging_layer", "passed", "schedule", "seconds")
        return {**{key: found[key] for key in kept}, **self.front.to_dict()}


def open_samples(run: Run, oracle: Oracle) -> Behind | None:
    """Open what `compress` kept; None where the bundle declares no preprocessing."""
    if run.model.bundle is None or run.model.bundle.signals is None:
        return None
    plan = read_plan(BUNDLE, run.model)
    schedule = schedule_behind(plan, run.recipe.codegen.schedule)
    compiled = compile_behind(run.model, plan, schedule)
    counts = np.load(run.folder.output(SAMPLES))
    told = f"{len(counts)} held-out windows, as the converter gives them"
    windows = RecordedWindows(counts.reshape(-1, counts.shape[2]), counts.shape[1], told)
    front = Front(plan, compiled, windows)
    return Behind(run.model, front, Expected(front.behind(oracle), windows), schedule,
                  run.recipe.codegen.max_ram)  # fmt: skip
