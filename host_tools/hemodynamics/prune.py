"""Stage `prune` of a run about hemodynamic parameters: parts leave the network, and what is left learns again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pipeline.hashing import versions
from ..pipeline.quiet import quiet_libraries
from .networks import MODEL, NETWORK_CODE, PACKAGES, STANDARD, STUDENT, describe_network, load_network, load_standard
from .rows import TEACHER, TITLES, Rows

if TYPE_CHECKING:
    from thumbnet.quantize.mixture_points import MixtureMaterial
    from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe

    from .context import HemoRun

_QUANTIZE = ("fold", "mixture_points", "mixture_pruning", "mixture_sizes")
_CODE = (*NETWORK_CODE, "training/hemodynamics/distillation.py", *(f"quantize/{name}.py" for name in _QUANTIZE),
         "host_tools/hemodynamics/prune.py", "host_tools/hemodynamics/rows.py")  # fmt: skip
_OWN = {"target_sparsity", "distillation", "epochs", "window_passes", "learning_rate", "alpha", "beta", "gamma",
        "compare"}  # fmt: skip
"""Keys of `[compression]` that decide this stage."""


def prune(run: HemoRun) -> dict[str, Any]:
    """Run the stage; its facts hold the rows of the float networks and the sizes of the student."""
    recipe = run.recipe
    depends = {
        "data": run.folder.facts("data")["sha256"],
        "model": run.output_hash("train", MODEL),
        "standard": run.output_hash("train", STANDARD),
        "compression": recipe.compression.model_dump(include=_OWN),
        "training": [recipe.training.seed, recipe.training.batch_size, recipe.training.patience],
        "versions": versions(PACKAGES),
    }
    return run.stage("prune", depends, _CODE, lambda folder: _work(run, folder))


@quiet_libraries()
def _work(run: HemoRun, folder: Path) -> dict[str, Any]:
    from thumbnet.training.loop import seed_everything

    seed_everything(run.recipe.training.seed)
    teacher = load_network(run.folder.output(MODEL))
    rows = Rows(run, load_standard(run.folder.output(STANDARD)))
    rows.add(TEACHER, teacher)
    student = _student(run, teacher, rows)
    student.save(folder / STUDENT)
    return {"rows": rows.rows, "network": describe_network(student)}


def material_of(run: HemoRun, epochs: int, rate: float) -> MixtureMaterial:
    """Windows and labels of a run to train a network again with, for so many passes at such a rate."""
    from thumbnet.quantize.mixture_points import MixtureMaterial

    standard, table = load_standard(run.folder.output(STANDARD)), run.recipe.compression
    windows, labels = run.part("train")
    checks, expected = run.part("validation")
    settings = replace(
        run.recipe.training.settings(), epochs=epochs, learning_rate=rate, window_passes=table.window_passes
    )
    return MixtureMaterial(windows, standard.apply(labels), checks, standard.apply(expected), settings)


def _student(run: HemoRun, teacher: Lsm2oe, rows: Rows) -> Lsm2oe:
    """Prune and train again; the teacher itself where nothing is to be removed."""
    from thumbnet.quantize.mixture_points import copy_mixture, distill_mixture, prune_mixture
    from thumbnet.quantize.mixture_sizes import smaller_sizes

    table = run.recipe.compression
    if not table.target_sparsity:
        return copy_mixture(teacher)
    small = smaller_sizes(teacher.config, table.target_sparsity, or_least=True)
    pruned = prune_mixture(teacher, small, run.part("train")[0])
    rows.add("pruned", pruned)
    material = material_of(run, table.epochs, table.learning_rate)
    ways = {"none": "retrained"}.get(table.distillation, table.distillation)
    wanted = [name for name in ("retrained", "one-way", "two-way") if name == ways or table.compare]
    students = {}
    for name in wanted:
        student = copy_mixture(pruned)
        task = run.new_task(TITLES[name], material.settings.passes(len(material.windows)) * len(material.windows))
        if name == "retrained":
            material.train(student, advance=task)
        else:
            distill_mixture(teacher, student, material, table.given(name == "two-way"), task)
        rows.add(name, student)
        students[name] = student
    return students[ways]
