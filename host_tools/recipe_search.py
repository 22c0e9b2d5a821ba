"""The tables of a recipe that say which network: ``[model]`` fixes one, ``[search]`` describes those to look among."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from .recipe_table import Table

_Filters = Annotated[int, Field(ge=1, le=256)]
_Taps = Annotated[int, Field(ge=1, le=31)]
_Units = Annotated[int, Field(ge=0, le=1024)]
_MOST_BLOCKS = 5
_Blocks = Annotated[int, Field(ge=1, le=_MOST_BLOCKS)]
_Share = Annotated[float, Field(ge=0, lt=1)]
_Percentile = Annotated[float, Field(gt=50, le=100)]


class ModelTable(Table):
    """``[model]``: which network, and how large."""

    name: Literal["ulw_sleepnet"] = Field(default="ulw_sleepnet", description="the network")
    filters: tuple[_Filters, ...] = Field(default=(8, 16, 32), description="of each dual-stream block, 1 to 5 of them")
    taps: _Taps = Field(default=3, description="samples under the kernels of the main streams")
    hidden_units: _Units = Field(default=64, description="of the hidden layer; 0: none")

    @field_validator("filters", mode="before")
    @classmethod
    def _list_is_a_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("filters")
    @classmethod
    def _depth(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not 1 <= len(value) <= _MOST_BLOCKS:
            raise ValueError(f"must be a list of 1 to {_MOST_BLOCKS} numbers")
        return value

    def sizes(self) -> dict[str, Any]:
        """Return the keyword arguments of `build_ulw_sleepnet`."""
        return self.model_dump(exclude={"name"})


class SearchTable(Table):
    """``[search]``: networks to look among, budgets, and how long to look."""

    trials: int = Field(default=30, ge=1, le=100_000, description="networks to look at; one over budget takes seconds")
    seed: int = Field(default=1, ge=0, description="of the choices; weights and batches take training.seed")
    window_passes: int = Field(default=3_000, ge=1, description="training windows that a trial sees, most of them less")
    pruner: Literal["median", "none"] = Field(
        default="median", description="what stops a trial whose accuracy lags behind"
    )
    finalists: int = Field(default=2, ge=1, le=100, description="best networks to train in full, by [training]")
    blocks: tuple[_Blocks, ...] = Field(default=(2, 3, 4), description="numbers of dual-stream blocks to try")
    filters: tuple[_Filters, ...] = Field(default=(4, 8, 12, 16, 24, 32), description="of each block")
    taps: tuple[_Taps, ...] = Field(default=(3, 5, 7), description="samples under the kernels of the main streams")
    hidden_units: tuple[_Units, ...] = Field(default=(0, 16, 32, 64), description="of the hidden layer; 0: none")
    prune: tuple[_Share, ...] = Field(
        default=(0.0, 0.25, 0.5), description="shares of filters removed when half the passes are over"
    )
    clip_percentile: tuple[_Percentile, ...] = Field(
        default=(99.0, 99.5, 99.9), description="of |signal| on training subjects, that +-127 stands for"
    )
    target: str = Field(default="cortex-m4", description="core that costs are for")
    schedule: Literal["whole", "stream", "stream-h", "stream-w", "auto", "min-ram", "min-instructions"] = Field(
        default="auto", description="how the C walks the network; auto: the fewest instructions within the budgets"
    )
    state_bytes: int | None = Field(default=None, ge=1, description="budget of the model's state struct")
    flash_bytes: int | None = Field(default=None, ge=1, description="budget of the model's own code and weights")
    instructions: int | None = Field(default=None, ge=1, description="budget of one inference, as the compiler says")
    threads: int = Field(default=1, ge=1, le=64, description="of one trial; other numbers give other roundings")

    @field_validator("blocks", "filters", "taps", "hidden_units", "prune", "clip_percentile", mode="before")
    @classmethod
    def _list_is_a_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("blocks", "filters", "taps", "hidden_units", "prune", "clip_percentile")
    @classmethod
    def _some(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not value:
            raise ValueError("must be a list of at least one number")
        return tuple(sorted(set(value)))

    @field_validator("target")
    @classmethod
    def _known(cls, value: str) -> str:
        from thumbnet.codegen.targets import TARGETS

        if value not in TARGETS:
            raise ValueError(f"must be one of {', '.join(TARGETS)}")
        return value

    @property
    def budgets(self) -> dict[str, int]:
        """The budgets that are given."""
        found = {key: getattr(self, key) for key in ("state_bytes", "flash_bytes", "instructions")}
        return {key: value for key, value in found.items() if value is not None}
