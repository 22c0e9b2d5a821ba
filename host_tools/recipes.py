"""The recipe of a run: one TOML file, validated key by key.

Every mistake is one :class:`RecipeError` sentence that names the key, what is allowed and what came::

    recipe sleep.toml: quantize.agreement_windows must be a whole number of at least 1, got 0

The tables and their keys are described, with defaults, in ``docs/recipes.md``; a test keeps the two together.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from .errors import HostToolsError
from .recipe_search import ModelTable, SearchTable
from .recipe_table import Table as _Table

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_PREFIX = r"^[a-z][a-z0-9_]*$"


class RecipeError(HostToolsError):
    """A recipe that cannot be read, or a key in it that is unknown or out of range."""


class SyntheticSignals(_Table):
    """``[signals.synthetic]``: the embedded generator, used when no folder is given."""

    subjects: int = Field(default=10, ge=1, le=100, description="persons to make up, one night each")
    hours: float = Field(default=2.5, ge=1, le=12, description="length of each night")
    seed: int = Field(default=2026, ge=0, description="decides every person and night")


class SignalsTable(_Table):
    """``[signals]``: where the recordings come from and how they are read.

    A key left out takes the default of :class:`thumbnet.training.sleep.config.SignalConfig`.
    """

    folder: str = Field(default="", description="recordings; empty: synthetic; relative to the recipe; --data wins")
    source: str = Field(default="", description="where the recordings come from, for report and bundle")
    licence: str = Field(default="", description="of the recordings, for report and bundle; synthetic ones are free")
    cache: str = Field(default="", description="folder for preprocessed epochs; empty: in the run's own folder")
    synthetic: SyntheticSignals = Field(default=SyntheticSignals(), description="the embedded generator")
    channels: dict[str, Any] | None = Field(default=None, description="role of each channel to its names in the files")
    rate: float | None = Field(default=None, description="samples per second; other rates are resampled")
    emg: str | None = Field(default=None, description='"raw" or "envelope"; required when a channel is an EMG')
    unit: str | None = Field(default=None, description="unit of channels whose header names no voltage")
    hypnogram: str | None = Field(default=None, description='"auto", "file", "annotations" or "channel"')
    hypnogram_channel: str | None = Field(default=None, description="signal that holds codes of stages")
    hypnogram_codes: dict[str, Any] | None = Field(default=None, description='code to stage: "5" = "W"')
    wake_minutes: float | None = Field(default=None, description="wake kept before and after sleep")
    epoch_seconds: float | None = Field(default=None, description="length of a window")
    recordings: str | None = Field(default=None, description='pattern of the names of recordings: "*.rec"')
    hypnogram_file: str | None = Field(default=None, description='hypnogram beside each recording: "{stem}_1.txt"')
    hypnogram_seconds: float | None = Field(default=None, description="that each code of a text file speaks of")
    filters: dict[str, Any] | None = Field(default=None, description="causal filters of each kind or role of channel")
    converter: dict[str, Any] | None = Field(
        default=None, description="of the device: bits, what a count is worth, rate"
    )
    subjects: str | None = Field(default=None, description='whose a recording is: "name" or "folder"')

    def reader_settings(self) -> dict[str, Any]:
        """Return the keys that the reader of recordings takes, without those left out."""
        values = self.model_dump(exclude={"folder", "source", "licence", "cache", "synthetic"})
        return {key: value for key, value in values.items() if value is not None}


class TrainingTable(_Table):
    """``[training]``: split and optimisation."""

    seed: int = Field(default=1, ge=0, description="split, initial weights, order of the batches")
    fractions: tuple[float, float, float] = Field(
        default=(0.6, 0.2, 0.2), description="shares of subjects for train, validation, test"
    )
    epochs: int = Field(default=50, ge=1, le=10_000, description="passes over the training windows at most")
    window_passes: int = Field(
        default=15_000, ge=1, description="training windows seen in all at most; the smaller limit holds"
    )
    batch_size: int = Field(default=32, ge=1, le=4096, description="windows per step")
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="start of the cosine schedule")
    first_restart: float = Field(
        default=1 / 3, gt=0, le=1, description="share of all steps before the cosine starts again; 1: never"
    )
    patience: int = Field(default=10, ge=1, description="passes without a better validation loss before stopping")
    selection: Literal["loss", "last"] = Field(
        default="loss", description="pass that counts: that of the least validation loss, or the last whatever it is"
    )
    class_weights: bool = Field(default=False, description="weigh rare stages more")
    augment_gain_db: float = Field(
        default=0.0,
        ge=0,
        le=20,
        description="training windows are made louder or softer by up to this, each channel",
    )
    augment_flip: bool = Field(default=False, description="turn half of the training windows upside down")
    augment_noise: float = Field(
        default=0.0, ge=0, lt=1, description="white noise added to training windows, standard deviation of full scale"
    )

    @field_validator("fractions", mode="before")
    @classmethod
    def _list_is_a_tuple(cls, value: Any) -> Any:
        if not isinstance(value, list) or len(value) != 3:
            raise ValueError("must be three positive shares that sum to 1")
        return tuple(value)

    @field_validator("fractions")
    @classmethod
    def _shares(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) <= 0 or abs(sum(value) - 1) > 1e-6:
            raise ValueError("must be three positive shares that sum to 1")
        return value


class FoldsTable(_Table):
    """``[folds]``: k-fold runs beside the one network that is compiled."""

    count: int = Field(default=0, ge=0, le=1000, description="folds of each protocol; 0: none")
    protocols: tuple[Literal["subject-wise", "published"], ...] = Field(
        default=("subject-wise",), description="who is tested when; published is for comparison and leaks"
    )
    validation: float = Field(
        default=0.2, gt=0, lt=1, description="share of the other people who validate; subject-wise only"
    )
    int8: bool = Field(default=True, description="quantize the network of each fold too")
    threads: int = Field(default=1, ge=1, le=64, description="of one fold; other numbers give other roundings")

    @field_validator("count")
    @classmethod
    def _one_is_none(cls, value: int) -> int:
        if value == 1:
            raise ValueError("must be 0 or at least 2")
        return value

    @field_validator("protocols", mode="before")
    @classmethod
    def _list_is_a_tuple(cls, value: Any) -> Any:
        return tuple(dict.fromkeys(value)) if isinstance(value, list) else value


class QuantizeTable(_Table):
    """``[quantize]``: int8 conversion."""

    calibration_windows: int = Field(default=300, ge=8, description="training windows that fix the ranges")
    clip_percentile: float = Field(
        default=99.9, gt=50, le=100, description="of |signal| on training subjects, that +-127 stands for"
    )
    seed: int = Field(default=1, ge=0, description="which training windows calibrate")


class CompressionTable(_Table):
    """``[compression]``: ways to make the trained network smaller, side by side."""

    stages: tuple[str, ...] = Field(
        default=(), description="points of the table: float, int8, int16x8, qat, prune50, prune50+distill, ..."
    )
    board: str = Field(default="qemu_m4", description="where each point is measured")
    epochs: int = Field(default=15, ge=1, le=10_000, description="passes of every training after the first at most")
    window_passes: int = Field(
        default=10_000, ge=1, description="training windows seen in each at most; the smaller limit holds"
    )
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="start of their cosine schedule")
    teacher: Literal["wide_ulw_sleepnet", "tiny_sleepnet"] = Field(
        default="wide_ulw_sleepnet", description="network that points with distill learn from"
    )
    temperature: float = Field(default=2.0, gt=0, le=100, description="of teacher and student in distillation")
    alpha: float = Field(default=0.5, ge=0, le=1, description="weight of the teacher; the labels have the rest")
    layers: bool = Field(default=False, description="also name the layers whose rounding costs most")

    @field_validator("stages", mode="before")
    @classmethod
    def _list_is_a_tuple(cls, value: Any) -> Any:
        return tuple(dict.fromkeys(value)) if isinstance(value, list) else value

    @field_validator("stages")
    @classmethod
    def _points(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from thumbnet.quantize.errors import PruneError
        from thumbnet.quantize.names import parse_point

        try:
            for name in value:
                parse_point(name)
        except PruneError as error:
            raise ValueError(f"must be names of points: {error}") from None
        return value


class CodegenTable(_Table):
    """``[codegen]``: the C that is written."""

    engine: Literal["aot"] = Field(default="aot", description="compiler that writes the C")
    prefix: str = Field(default="model", pattern=_PREFIX, description="first word of every C name")
    schedule: Literal["whole", "stream", "stream-h", "stream-w", "auto", "min-ram", "min-instructions"] = Field(
        default="whole", description="layer after layer, or slice by slice as the signal arrives"
    )
    max_ram: int | None = Field(
        default=None,
        ge=1,
        description="state of model and preprocessing, in bytes; a schedule that the compiler chooses obeys",
    )


class BoardsTable(_Table):
    """``[boards]``: where the firmware runs and how much is checked there."""

    names: tuple[str, ...] = Field(default=("qemu_m4", "netduinoplus2"), description="boards to build for and run on")
    windows: int = Field(default=64, ge=1, le=100_000, description="parity windows per board, from held-out subjects")

    @field_validator("names", mode="before")
    @classmethod
    def _list_is_a_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("names")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must name at least one board")
        return tuple(dict.fromkeys(value))


class BudgetsTable(_Table):
    """``[budgets]``: limits that fail the run when exceeded; a key left out is not checked."""

    ram_bytes: int | None = Field(default=None, ge=0, description=".data + .bss of the firmware, on every board")
    flash_bytes: int | None = Field(default=None, ge=0, description="whole firmware, on every board")
    state_bytes: int | None = Field(default=None, ge=0, description="the model's state struct")
    stack_bytes: int | None = Field(default=None, ge=0, description="stack of one inference, on every board")
    instructions: int | None = Field(default=None, ge=0, description="per inference, on every emulated board")
    accuracy_drop: float | None = Field(
        default=None, ge=0, le=1, description="float accuracy minus int8 accuracy, as a share of 1"
    )
    agreement: float | None = Field(default=None, ge=0, le=1, description="least share of equal float and int8 answers")
    parity_mismatches: int = Field(default=0, ge=0, description="output bytes that differ from the oracle, per board")


class Recipe(_Table):
    """A whole recipe."""

    name: str = Field(pattern=_NAME, description="name of the run's folder")
    task: Literal["sleep"] = Field(default="sleep", description="what is learned")
    signals: SignalsTable = Field(default=SignalsTable(), description="recordings")
    model: ModelTable = Field(default=ModelTable(), description="network")
    training: TrainingTable = Field(default=TrainingTable(), description="split and optimisation")
    folds: FoldsTable = Field(default=FoldsTable(), description="k-fold runs")
    quantize: QuantizeTable = Field(default=QuantizeTable(), description="int8 conversion")
    compression: CompressionTable = Field(default=CompressionTable(), description="ways to a smaller network")
    codegen: CodegenTable = Field(default=CodegenTable(), description="generated C")
    boards: BoardsTable = Field(default=BoardsTable(), description="where it runs")
    budgets: BudgetsTable = Field(default=BudgetsTable(), description="limits that fail the run")
    search: SearchTable = Field(default=SearchTable(), description="other sizes of the network to look for")

    @model_validator(mode="before")
    @classmethod
    def _board_is_short_for_boards(cls, value: Any) -> Any:
        """``[board] name = "x"`` is accepted for ``[boards] names = ["x"]``."""
        if isinstance(value, dict) and isinstance(value.get("board"), dict) and "boards" not in value:
            table = dict(value["board"])
            if isinstance(table.get("name"), str):
                table["names"] = [table.pop("name")]
            value = {**{key: item for key, item in value.items() if key != "board"}, "boards": table}
        return value


def with_compression(recipe: Recipe, stages: str | None, board: str | None, layers: bool = False) -> Recipe:
    """Return the recipe with other points of compression (names joined by commas), measured elsewhere, or with layers.

    Raises
    ------
    RecipeError
        When there is no point between two commas.
    QuantizeError
        When a name is none of a point.
    """
    from thumbnet.quantize.names import parse_point

    changes: dict[str, Any] = {} if board is None else {"board": board}
    if layers:
        changes["layers"] = True
    if stages is not None:
        names = [name.strip() for name in stages.split(",")]
        if not all(names):
            raise RecipeError(f"--stages must be names joined by commas, got {stages!r}")
        for name in names:
            parse_point(name)
        changes["stages"] = tuple(dict.fromkeys(names))
    return recipe.model_copy(update={"compression": recipe.compression.model_copy(update=changes)})


def read_toml(path: Path) -> dict[str, Any]:
    """Read the tables of a recipe; RecipeError when the file is missing, unreadable or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"recipe {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {path} is not TOML: {error}") from None


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    path : pathlib.Path
        The TOML file. Relative `signals.folder` and `signals.cache` are taken from its folder.

    Returns
    -------
    Recipe

    Raises
    ------
    RecipeError
        When the file is missing, is not TOML, or a key is unknown, missing or out of range.
    """
    content = read_toml(path)
    recipe = parse_recipe(content, path.name)
    signals = recipe.signals
    places = {key: str((path.parent / value).resolve())
              for key, value in (("folder", signals.folder), ("cache", signals.cache)) if value}  # fmt: skip
    return recipe.model_copy(update={"signals": signals.model_copy(update=places)})


def parse_recipe(content: dict[str, Any], where: str = "as given") -> Recipe:
    """Check the content of a recipe; `where` names it in errors."""
    from thumbnet.training.errors import TrainingError
    from thumbnet.training.sleep.config import SignalConfig

    try:
        recipe = Recipe.model_validate(content)
        SignalConfig.from_table(recipe.signals.reader_settings())
    except ValidationError as error:
        raise RecipeError(f"recipe {where}: {sentence_of(error)}") from None
    except TrainingError as error:
        raise RecipeError(f"recipe {where}: {error}") from None
    return recipe


def sentence_of(error: ValidationError, root: type[BaseModel] | None = None) -> str:
    """Turn the first complaint into: key, what is allowed, what came; `root` is the recipe's class, if another one."""
    root = root or Recipe
    first = error.errors(include_url=False)[0]
    path = tuple(first["loc"])
    key = ".".join(str(part) for part in path) or "the file"
    got = first["input"]
    context = first.get("ctx", {})
    if first["type"] == "extra_forbidden":
        keys = ", ".join(_table_of(path, root).model_fields)
        return f"{key} is not a key; allowed in {_table_title(path)} are {keys}, got {got!r}"
    if first["type"] == "missing":
        return f"{key} is missing; it gives the {_description(path, root)}, got keys {sorted(got)}"
    if first["type"] == "value_error":
        return f"{key} {context['error']}, got {_shown(got)}"
    return f"{key} must be {_allowed(first['type'], context)}, got {_shown(got)}"


def _shown(value: Any) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)


def _allowed(kind: str, context: dict[str, Any]) -> str:
    texts = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "string_type": "a text",
        "dict_type": "a table",
        "model_type": "a table",
        "model_attributes_type": "a table",
        "tuple_type": "a list",
        "greater_than": "greater than {gt}",
        "greater_than_equal": "at least {ge}",
        "less_than": "less than {lt}",
        "less_than_equal": "at most {le}",
        "literal_error": "{expected}",
        "string_pattern_mismatch": "a text that matches {pattern}",
    }
    template = texts.get(kind)
    return template.format(**context) if template else f"valid ({kind.replace('_', ' ')})"


def _table_of(path: tuple[int | str, ...], table: type[BaseModel]) -> type[BaseModel]:
    """Return the table that holds the last key of `path`."""
    for part in path[:-1]:
        field = table.model_fields.get(str(part))
        inner = field.annotation if field else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            table = inner
    return table


def _description(path: tuple[int | str, ...], root: type[BaseModel]) -> str:
    field = _table_of(path, root).model_fields.get(str(path[-1]))
    return field.description or "given" if field else "given"


def _table_title(path: tuple[int | str, ...]) -> str:
    return f"[{'.'.join(str(part) for part in path[:-1])}]" if len(path) > 1 else "a recipe"


def describe_keys(root: type[BaseModel] | None = None) -> list[tuple[str, str, str, str]]:
    """List every key as (table, key, default, meaning), in order; the documentation is printed from it."""
    return _rows(root or Recipe, "")


def _rows(table: type[BaseModel], prefix: str) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    nested: list[tuple[str, type[BaseModel]]] = []
    for key, field in table.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            nested.append((f"{prefix}.{key}" if prefix else key, inner))
            continue
        default = "required" if field.is_required() else _toml(field.get_default(call_default_factory=True))
        rows.append((prefix, key, default, field.description or ""))
    for title, inner in nested:
        rows.extend(_rows(inner, title))
    return rows


def _toml(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
