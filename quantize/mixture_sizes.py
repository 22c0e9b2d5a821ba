"""Sizes of a pruned mixture of experts. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Iterator

from ..training.hemodynamics.config import UNIT, Lsm2oeConfig
from ..training.hemodynamics.lsm2oe_sizes import count_parameters
from .errors import PruneError


def smaller_sizes(config: Lsm2oeConfig, sparsity: float, *, or_least: bool = False) -> Lsm2oeConfig:
    """Return the largest network without some channels, blocks or experts that meets a target.

    Parameters
    ----------
    config : Lsm2oeConfig
        Of the large network; with `removed` blocks none are taken any more.
    sparsity : float
        Share of the trainable parameters that go at least, above 0 and below 1.
    or_least : bool
        Return the least network where the target is out of reach, instead of an error.

    Returns
    -------
    Lsm2oeConfig
        Of equal ones, that with more experts. `removed` names the last blocks; which go is chosen when it is done.

    Raises
    ------
    PruneError
        Share out of range, or more than can go.
    """
    check_kind(config)
    if not 0 < sparsity < 1:
        raise PruneError(f"the target sparsity must be above 0 and below 1, got {sparsity!r}")
    limit = (1 - sparsity) * count_parameters(config)
    found = [(count_parameters(small), small.experts, small) for small in _smaller(config)]
    fitting = [entry for entry in found if entry[0] <= limit]
    if not fitting and or_least:
        return min(found, key=lambda entry: entry[:2])[2]
    if not fitting:
        least = 1 - min(entry[0] for entry in found) / count_parameters(config)
        raise PruneError(f"the target sparsity must be at most {least:.3f} for this network, got {sparsity!r}")
    return max(fitting, key=lambda entry: entry[:2])[2]


def check_kind(config: Lsm2oeConfig) -> None:
    """Refuse, with a PruneError, experts that cannot be pruned."""
    if config.expert_kind != "resnet":
        raise PruneError(f"experts must be of the kind 'resnet' to be pruned, got {config.expert_kind!r}")


def _smaller(config: Lsm2oeConfig) -> Iterator[Lsm2oeConfig]:
    depths = [config.removed]
    if not config.removed:
        depths = [tuple(range(config.blocks - gone + 1, config.blocks + 1)) for gone in range(config.blocks)]
    for channels in range(UNIT, config.channels + 1, UNIT):
        for experts in range(config.k, config.experts + 1):
            for removed in depths:
                yield config.with_options(channels=channels, experts=experts, removed=removed)
