"""What every table of a recipe is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """Keys as listed and no others, values of the types as written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
