"""The networks that a search looks among, and how Optuna is asked for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..recipes import Recipe

if TYPE_CHECKING:
    from optuna import Trial

    from ..recipe_search import SearchTable


@dataclass(frozen=True)
class Candidate:
    """One network and how it is compressed.

    Attributes
    ----------
    filters : tuple of int
        Of each dual-stream block, before pruning.
    taps : int
        Samples under the kernels of the main streams.
    hidden_units : int
        Of the hidden layer, before pruning; 0 for none.
    prune : float
        Share of filters that are removed on the way.
    clip_percentile : float
        Of the magnitude of each channel, that full scale stands for.
    """

    filters: tuple[int, ...]
    taps: int
    hidden_units: int
    prune: float
    clip_percentile: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "filters": list(self.filters)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Candidate:
        """Read what :meth:`to_dict` gave."""
        return cls(**{**content, "filters": tuple(content["filters"])})

    @property
    def title(self) -> str:
        """The same for people: filters, kernel, hidden units, what is pruned, clip."""
        pruned = f", {self.prune:.0%} pruned" if self.prune else ""
        widths = "-".join(map(str, self.filters))
        return f"{widths} k{self.taps} h{self.hidden_units}{pruned}, clip {self.clip_percentile:g} %"


def own_network(recipe: Recipe) -> Candidate:
    """The network that the recipe's own [model] and [quantize] describe: what others are compared with."""
    model = recipe.model
    return Candidate(model.filters, model.taps, model.hidden_units, 0.0, recipe.quantize.clip_percentile)


def smallest(table: SearchTable) -> dict[str, int]:
    """Parameters of the smallest network, so that a search begins with one that most likely fits."""
    params = dict.fromkeys(_names(table), 0)
    return {**params, "prune": len(table.prune) - 1, "clip_percentile": len(table.clip_percentile) // 2}


def first_trials(own: Candidate, table: SearchTable) -> list[dict[str, int]]:
    """Parameters of the first trials: the recipe's own network, the smallest, and the own one pruned.

    An own network that the search cannot choose leaves its places to chance.
    """
    pruned = (parameters_of(replace(own, prune=share), table) for share in table.prune if share > own.prune)
    return [parameters_of(own, table) or {}, smallest(table), *(found for found in pruned if found)]


def parameters_of(candidate: Candidate, table: SearchTable) -> dict[str, int] | None:
    """Parameters that :func:`suggest` turns into this candidate; None where the search cannot choose it."""
    try:
        places = [table.filters.index(width) for width in candidate.filters]
        return {
            "blocks": table.blocks.index(len(candidate.filters)),
            **{f"filters_{n}": place for n, place in enumerate(places, start=1)},
            **{f"filters_{n}": 0 for n in range(len(places) + 1, table.blocks[-1] + 1)},
            "taps": table.taps.index(candidate.taps),
            "hidden_units": table.hidden_units.index(candidate.hidden_units),
            "prune": table.prune.index(candidate.prune),
            "clip_percentile": table.clip_percentile.index(candidate.clip_percentile),
        }
    except ValueError:
        return None


def suggest(trial: Trial, table: SearchTable) -> Candidate:
    """Ask for a candidate. Every parameter is a place in a list of the recipe, so that its order counts for something.

    Widths of blocks that the candidate does not have are asked for too: a space that never changes can be modelled as
    a whole.
    """
    place = {name: trial.suggest_int(name, 0, len(values) - 1) for name, values in _names(table).items()}
    count = table.blocks[place["blocks"]]
    return Candidate(
        filters=tuple(table.filters[place[f"filters_{number}"]] for number in range(1, count + 1)),
        taps=table.taps[place["taps"]],
        hidden_units=table.hidden_units[place["hidden_units"]],
        prune=table.prune[place["prune"]],
        clip_percentile=table.clip_percentile[place["clip_percentile"]],
    )


def _names(table: SearchTable) -> dict[str, Sequence[float]]:
    """Parameters in the order in which they are asked for, with what they may be."""
    return {
        "blocks": table.blocks,
        **{f"filters_{number}": table.filters for number in range(1, table.blocks[-1] + 1)},
        **{name: getattr(table, name) for name in ("taps", "hidden_units", "prune", "clip_percentile")},
    }
