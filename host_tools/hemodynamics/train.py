"""Stage `train` of a run about hemodynamic parameters."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HostToolsError
from ..pipeline.folder import write_json
from ..pipeline.hashing import versions
from ..pipeline.quiet import quiet_libraries
from .networks import MODEL, NETWORK_CODE, PACKAGES, STANDARD, describe_network, judge, load_network, load_standard

if TYPE_CHECKING:
    from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe

    from .context import HemoRun

HISTORY = "history.json"
_CODE = (*NETWORK_CODE, "host_tools/hemodynamics/train.py")


def train(run: HemoRun) -> dict[str, Any]:
    """Train the network, or take a trained one; the facts hold MAE per task on the held-out windows."""
    recipe = run.recipe
    depends = {
        "data": run.folder.facts("data")["sha256"],
        "model": recipe.model.model_dump(),
        "training": recipe.training.model_dump(),
        "weights": _digest(recipe.training.weights),
        "versions": versions(PACKAGES),
    }
    return run.stage("train", depends, _CODE, lambda folder: _train_work(run, folder))


@quiet_libraries()
def _train_work(run: HemoRun, folder: Path) -> dict[str, Any]:
    from thumbnet.training.hemodynamics.learning import Standard, train_mixture
    from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe
    from thumbnet.training.loop import seed_everything

    table = run.recipe.training
    facts = run.folder.facts("data")
    windows, labels = run.part("train")
    checks, expected = run.part("validation")
    seed_everything(table.seed)
    if table.weights:
        model, standard = _taken(Path(table.weights), labels)
        if (model.config.samples, model.config.tasks) != (facts["samples"], len(facts["tasks"])):
            raise HostToolsError(
                f"the network {table.weights} is for {model.config.samples} samples and {model.config.tasks} tasks, "
                f"the data have {facts['samples']} and {len(facts['tasks'])}"
            )
        history: dict[str, Any] = {}
    else:
        standard = Standard.fit(labels)
        settings = table.settings()
        model = Lsm2oe(run.recipe.model.sizes(facts["samples"], len(facts["tasks"])))
        task = run.new_task("training", settings.passes(len(windows)) * len(windows))
        done = train_mixture(
            model, windows, standard.apply(labels), checks, standard.apply(expected), settings, advance=task
        )
        history = done.to_dict()
    model.save(folder / MODEL)
    write_json(folder / STANDARD, {"schema": "thumbnet.standard/1", **standard.to_dict()})
    write_json(folder / HISTORY, {"schema": "thumbnet.mixture-history/1", **history})
    return {"network": describe_network(model), "passes": len(history.get("loss", [])),
            "quality": judge(run, model, standard)}  # fmt: skip


def _taken(path: Path, labels: np.ndarray[Any, Any]) -> tuple[Lsm2oe, Any]:
    """A network and its standard from the folder of an earlier run; without one the labels' own."""
    from thumbnet.training.hemodynamics.learning import Standard

    beside = path.parent / STANDARD
    standard = load_standard(beside) if beside.is_file() else Standard.fit(labels)
    return load_network(path), standard


def _digest(name: str) -> str:
    if not name:
        return ""
    path = Path(name)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
