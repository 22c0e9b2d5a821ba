"""How many parameters a network has, without building it. No TensorFlow here."""

from __future__ import annotations

from .config import MSFGM_DEPTH, Lsm2oeConfig


def count_parameters(config: Lsm2oeConfig, *, unused_gates: bool = False) -> int:
    """Trainable parameters of a network, without building it.

    Parameters
    ----------
    config : Lsm2oeConfig
        Sizes.
    unused_gates : bool
        Count the gates of the published modules that nothing uses, one of ``channels + 1`` numbers in each. They are
        41,280 of the 24,338,496 of `reference`.
    """
    c, quarter = config.channels, config.channels // 4
    gates = 3 if unused_gates else 2
    module = 3 * (3 * quarter**2 + quarter) + gates * (c + 1) + c * c + c + 2 * c
    stem = config.stem_taps * c + 2 * c
    plain = 3 * c * c + 2 * c
    if config.expert_kind == "msfgm":
        stem += c
        body = MSFGM_DEPTH * module
    else:
        body = config.whole_blocks * (plain + (module if config.use_msfgm else plain))
    expert = body + (c + 1) * (config.features or config.tasks) + (0 if config.shared_bottom else stem)
    bottom = stem if config.shared_bottom else 0
    return config.experts * expert + bottom + _gate_parameters(config) + _tower_parameters(config)


def _gate_parameters(config: Lsm2oeConfig) -> int:
    outputs = (config.gate_rows + config.choices) * config.experts
    if config.gate_kind == "linear":
        return config.samples * outputs
    first, second = config.gate_channels // 2 or 1, config.gate_channels
    return 15 * first + 2 * first + 7 * first * second + 2 * second + (second + 1) * outputs


def _tower_parameters(config: Lsm2oeConfig) -> int:
    if not config.features:
        return 0
    units = config.tower_units
    one = (config.features + 1) * units + units + 1 if units else config.features + 1
    return config.tasks * one
