"""Stage `train`: the float network and the band-power baseline beside it, on the same windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .context import Run
from .hashing import versions
from .quiet import quiet_libraries

if TYPE_CHECKING:
    from thumbnet.quantize.scaling import ChannelScaling

MODEL = "model.keras"
HISTORY = "history.json"
TITLES = {"ulw_sleepnet": "ULW-SleepNet"}
LOGS = "tensorboard"
_CODE = ("training/epochs.py", "training/loop.py", "training/settings.py", "training/steps.py", "training/augment.py",
         "training/metrics.py", "training/sleep/baseline.py", "training/sleep/ulw_sleepnet.py", "quantize/scaling.py",
         "host_tools/pipeline/train.py")  # fmt: skip
_PACKAGES = ("tensorflow", "tf-keras", "numpy", "scikit-learn", "scipy")


def train(run: Run) -> dict[str, Any]:
    """Run the stage; its facts hold the metrics of network and baseline on the held-out windows."""
    recipe = run.recipe
    depends = {
        "epochs": run.folder.facts("signals")["epochs_sha256"],
        "model": recipe.model.model_dump(),
        "training": recipe.training.model_dump(),
        "clip_percentile": recipe.quantize.clip_percentile,
        "versions": versions(_PACKAGES),
    }
    return run.stage("train", depends, _CODE, lambda folder: _work(run, folder))


@quiet_libraries()
def _work(run: Run, folder: Path) -> dict[str, Any]:
    from thumbnet.quantize.scaling import ScaledWindows
    from thumbnet.training.loop import predict_probabilities, seed_everything
    from thumbnet.training.loop import train as fit
    from thumbnet.training.settings import TrainingSettings
    from thumbnet.training.sleep.stages import STAGES
    from thumbnet.training.sleep.ulw_sleepnet import build_ulw_sleepnet

    epochs, split = run.epochs, run.split
    scaling = scaling_of(run)
    inputs = ScaledWindows(epochs.signals, scaling)
    settings = TrainingSettings(**run.recipe.training.model_dump(exclude={"fractions"}))
    seed_everything(settings.seed)
    model = build_ulw_sleepnet(len(epochs.channels), epochs.signals.shape[2], len(STAGES), **run.recipe.model.sizes())
    total = settings.passes(len(split.train)) * len(split.train)
    history = fit(
        model,
        inputs.take(split.train),
        epochs.labels[split.train],
        inputs.take(split.validation),
        epochs.labels[split.validation],
        settings,
        advance=run.new_task("training", total),
        log_folder=folder / LOGS,
    )
    probabilities = predict_probabilities(model, inputs.take(split.test))
    model.save(folder / MODEL)
    history.write(folder / HISTORY)
    metrics, baseline = _metrics(run, probabilities)
    return {
        "title": TITLES[run.recipe.model.name],
        "parameters": int(sum(np.prod(weight.shape) for weight in model.trainable_weights)),
        "metrics": metrics.to_dict(),
        "baseline": baseline,
        "passes": len(history.loss),
        "best_pass": history.best_pass,
        "clip_uv": list(scaling.clip_uv),
    }


def scaling_of(run: Run) -> ChannelScaling:
    """Gain and clip of each channel, from training subjects only."""
    from thumbnet.quantize.scaling import fit_scaling

    train = run.epochs.take(run.split.train)
    return fit_scaling(train.signals, train.channels, run.recipe.quantize.clip_percentile)


def _metrics(run: Run, probabilities: np.ndarray[Any, Any]) -> tuple[Any, dict[str, Any] | None]:
    """Metrics of the network, and of the baseline; None where the training windows hold one stage only."""
    from thumbnet.training.metrics import staging_metrics
    from thumbnet.training.sleep.baseline import BandPowerBaseline
    from thumbnet.training.sleep.stages import STAGES

    epochs, split = run.epochs, run.split
    test = epochs.take(split.test)
    network = staging_metrics(test.labels, probabilities.argmax(axis=1), STAGES)
    if len(np.unique(epochs.labels[split.train])) < 2:
        return network, None
    baseline = BandPowerBaseline().fit(epochs.take(split.train))
    return network, staging_metrics(test.labels, baseline.predict(test), STAGES).to_dict()
