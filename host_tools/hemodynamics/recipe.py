"""Recipes with ``task = "hemodynamics"``: which windows, which mixture of experts, how it is trained and compressed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, field_validator

from ..recipe_table import Table
from ..recipes import BoardsTable, CodegenTable, RecipeError, read_toml, sentence_of

if TYPE_CHECKING:
    from thumbnet.training.hemodynamics.config import Distillation, Lsm2oeConfig
    from thumbnet.training.hemodynamics.sources import DataConfig
    from thumbnet.training.settings import TrainingSettings

TASK = "hemodynamics"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_FILES = ("folder", "ppg_file", "labels_file")


class HemoModelTable(Table):
    """``[model]``: the network that is trained; keys left out are those of the configuration."""

    configuration: Literal["reference", "paper", "edge"] = Field(
        default="edge", description="published code's network, the paper's, or one for microcontrollers"
    )
    experts: int | None = Field(default=None, description="experts there are")
    k: int | None = Field(default=None, description="experts that a gate chooses for a window")
    channels: int | None = Field(default=None, description="of every expert, a multiple of 16")
    blocks: int | None = Field(default=None, description="residual blocks of an expert")
    strides: tuple[int, ...] | None = Field(default=None, description="of each block's first convolution")
    stem_taps: int | None = Field(default=None, description="samples under the convolution that reads the window")
    stem_stride: int | None = Field(default=None, description="samples between its outputs")
    expert_kind: str | None = Field(default=None, description='"resnet", or "msfgm": modules without blocks')
    use_msfgm: bool | None = Field(default=None, description="false: blocks of two plain convolutions")
    gates: str | None = Field(default=None, description='"single", "multi" (one per task) or "shared" (one choice)')
    gate_kind: str | None = Field(default=None, description='"linear" in the samples, or "convolution"')
    gate_channels: int | None = Field(default=None, description="of the latter")
    shared_bottom: bool | None = Field(default=None, description="one stem for all experts")
    features: int | None = Field(default=None, description="that an expert gives to the towers; 0: no towers")
    tower_units: int | None = Field(default=None, description="hidden units of each tower; 0: linear")
    noisy: bool | None = Field(default=None, description="noise on the gates in training")
    noise: str | None = Field(
        default=None, description='"gaussian", "uniform", "poisson", "beta", "salt-and-pepper" or "speckle"'
    )
    balance: float | None = Field(default=None, description="weight of the load-balancing loss")

    @field_validator("strides", mode="before")
    @classmethod
    def _list_is_a_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    def sizes(self, samples: int, tasks: int) -> Lsm2oeConfig:
        """Return the network's configuration for windows and tasks; ConfigError where a value is impossible."""
        from thumbnet.training.hemodynamics.config import configuration

        given = {key: value for key, value in self.model_dump(exclude={"configuration"}).items() if value is not None}
        return configuration(self.configuration, tasks).with_options(samples=samples, **given)


class HemoTrainingTable(Table):
    """``[training]``: optimisation."""

    seed: int = Field(default=1, ge=0, description="initial weights, order of the batches, noise")
    epochs: int = Field(default=50, ge=1, le=10_000, description="passes over the training windows at most")
    window_passes: int = Field(
        default=60_000, ge=1, description="training windows seen in all at most; the smaller limit holds"
    )
    batch_size: int = Field(default=32, ge=1, le=4096, description="windows per step")
    learning_rate: float = Field(default=2e-3, gt=0, le=1, description="start of the cosine schedule")
    patience: int = Field(default=15, ge=1, description="passes without a better validation error before stopping")
    weights: str = Field(default="", description="trained network (model.keras) to take in place of training")

    def settings(self) -> TrainingSettings:
        """Return the settings of the loop: one cosine without restarts."""
        from thumbnet.training.settings import TrainingSettings

        return TrainingSettings(**self.model_dump(exclude={"weights"}), first_restart=1.0)


class HemoConverterTable(Table):
    """``[converter]``: what gives the device its samples; the bundle declares it."""

    bits: int = Field(default=16, ge=2, le=24, description="resolution, the sign included")
    rate: float | None = Field(
        default=None, gt=0, le=100_000, description="Hz; left out: 1000 with `ppg-bp`, else that of the windows"
    )


class HemoCompressionTable(Table):
    """``[compression]``: from the trained network, the teacher, to the int8 one."""

    target_sparsity: float = Field(
        default=0.0, ge=0, lt=1, description="share of the parameters that pruning removes at least; 0: none"
    )
    distillation: Literal["two-way", "one-way", "none"] = Field(
        default="two-way", description="how the pruned network is trained again: with its teacher, or labels alone"
    )
    epochs: int = Field(default=20, ge=1, le=10_000, description="passes of that training at most")
    window_passes: int = Field(default=30_000, ge=1, description="windows seen in it at most")
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="start of its cosine schedule")
    alpha: float = Field(default=0.5, ge=0, description="weight of the labels in the student's loss")
    beta: float = Field(default=0.5, ge=0, description="weight of the teacher in the student's loss")
    gamma: float = Field(default=0.1, ge=0, description="weight of the student in the teacher's loss")
    aware_epochs: int = Field(
        default=5, ge=0, le=10_000, description="passes with the rounding of int8; 0: quantized after training"
    )
    aware_learning_rate: float = Field(default=2e-4, gt=0, le=1, description="start of their cosine schedule")
    calibration_windows: int = Field(default=256, ge=1, description="training windows that fix the ranges")
    compare: bool = Field(default=False, description="also the pruned network trained on labels alone and one-way")
    costs: bool = Field(
        default=True, description="every int8 row of the table is built and run on the first emulated board"
    )

    def given(self, two_way: bool) -> Distillation:
        """Return how student and teacher learn."""
        from thumbnet.training.hemodynamics.config import Distillation

        return Distillation(self.alpha, self.beta, self.gamma if two_way else 0.0, two_way)


class HemoBudgetsTable(Table):
    """``[budgets]``: limits that fail the run when exceeded; a key left out is not checked."""

    ram_bytes: int | None = Field(default=None, ge=0, description=".data + .bss of the firmware, on every board")
    flash_bytes: int | None = Field(default=None, ge=0, description="whole firmware, on every board")
    instructions: int | None = Field(default=None, ge=0, description="per inference, on every emulated board")
    gain_kept: float | None = Field(
        default=None, ge=0, description="least share of the teacher's gain over the mean predictor that int8 keeps"
    )
    expert_share: float | None = Field(
        default=None, ge=0, le=1, description="least share of the held-out windows that each expert serves on a device"
    )
    instructions_per_mac: float | None = Field(
        default=None, ge=0, description="instructions of an inference over its active MACs, on every emulated board"
    )
    parity_mismatches: int = Field(default=0, ge=0, description="output bytes that differ from the oracle, per board")


class HemoRecipe(Table):
    """A whole recipe."""

    name: str = Field(pattern=_NAME, description="name of the run's folder")
    task: Literal["hemodynamics"] = Field(default="hemodynamics", description="what is learned")
    data: dict[str, Any] = Field(default={}, description="windows and their division, see docs/hemodynamics.md")
    converter: HemoConverterTable = Field(default=HemoConverterTable(), description="of the device")
    model: HemoModelTable = Field(default=HemoModelTable(), description="network")
    training: HemoTrainingTable = Field(default=HemoTrainingTable(), description="optimisation")
    compression: HemoCompressionTable = Field(default=HemoCompressionTable(), description="pruning and int8")
    codegen: CodegenTable = Field(default=CodegenTable(), description="generated C")
    boards: BoardsTable = Field(default=BoardsTable(names=("qemu_m4",), windows=64), description="where it runs")
    budgets: HemoBudgetsTable = Field(default=HemoBudgetsTable(), description="limits that fail the run")

    @property
    def source(self) -> DataConfig:
        """Which windows."""
        from thumbnet.training.hemodynamics.sources import DataConfig

        return DataConfig.from_table(self.data)


def is_hemodynamics(path: Path) -> bool:
    """Whether a file is a recipe of this task; what cannot be read is none, and is complained about elsewhere."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")).get("task") == TASK
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


def load_hemo_recipe(path: Path) -> HemoRecipe:
    """Read and check a recipe; files in its ``[data]`` and weights are taken from its folder.

    Raises
    ------
    RecipeError
        When the file is missing, is not TOML, or a key is unknown, missing or out of range.
    """
    content = read_toml(path)
    for table, keys in (("data", _FILES), ("training", ("weights",))):
        given = content.get(table)
        if isinstance(given, dict):
            content[table] = given | {key: str((path.parent / given[key]).resolve())
                                      for key in keys if isinstance(given.get(key), str) and given[key]}  # fmt: skip
    return parse_hemo_recipe(content, path.name)


def parse_hemo_recipe(content: dict[str, Any], where: str = "as given") -> HemoRecipe:
    """Check the content of a recipe; `where` names it in errors."""
    from thumbnet.training.errors import TrainingError

    from .converter import declared

    try:
        recipe = HemoRecipe.model_validate(content)
        tasks = len(recipe.source.tasks) or 10
        recipe.model.sizes(1250, tasks)
        recipe.compression.given(True)
        declared(recipe)
    except ValidationError as error:
        raise RecipeError(f"recipe {where}: {sentence_of(error, HemoRecipe)}") from None
    except TrainingError as error:
        raise RecipeError(f"recipe {where}: {error}") from None
    return recipe
