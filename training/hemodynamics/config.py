"""Sizes and shape of an LSM2oE network, and the three configurations that bear a name.

`reference` is the network of the public code at its defaults, `paper` the one that the paper describes (a gate and a
tower per task over a shared bottom), `edge` one that a microcontroller runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import ConfigError

GATES = ("single", "multi", "shared")
GATE_KINDS = ("linear", "convolution")
EXPERT_KINDS = ("resnet", "msfgm")
NOISES = ("gaussian", "uniform", "poisson", "beta", "salt-and-pepper", "speckle")
SUBSETS = 4
"""Parts that a multi-scale module (MSFGM) splits its channels into."""
GROUP = 4
"""Channels of an attention group."""
UNIT = SUBSETS * GROUP
"""Channels that come and go together: one attention group of each subset."""
MSFGM_DEPTH = 3
"""Modules of an expert of the kind `msfgm`."""


@dataclass(frozen=True)
class Lsm2oeConfig:
    """Sizes of a network.

    Attributes
    ----------
    samples : int
        Of a window.
    tasks : int
        Parameters that are estimated.
    experts, k : int
        Experts there are, and experts that a gate chooses for a window.
    channels : int
        Of every expert, a multiple of `UNIT`.
    blocks : int
        Residual blocks of an expert of the kind `resnet`.
    strides : tuple of int
        Of the first convolution of each block, the shortcut is averaged likewise; empty: 1 everywhere.
    removed : tuple of int
        Blocks, from 1, of which pruning left the shortcut alone.
    stem_taps, stem_stride : int
        Of the convolution that reads the window.
    expert_kind : str
        "resnet", or "msfgm": multi-scale modules one after the other, without blocks around them.
    use_msfgm : bool
        False: blocks of two plain convolutions.
    gates : str
        "single": one gate, the same experts and weights for all tasks. "multi": a gate per task, at most
        ``min(experts, k * tasks)`` experts run. "shared": one choice of experts, weights of their own for each task.
    gate_kind : str
        "linear" in the samples, or a small "convolution" network.
    gate_channels : int
        Of the latter.
    shared_bottom : bool
        One stem for all experts; otherwise each has its own.
    features : int
        That an expert gives to the towers, between -1 and 1; 0: experts give the tasks themselves and there are no
        towers.
    tower_units : int
        Hidden units of each tower; 0: towers are linear.
    noisy : bool
        Noise on the logits of the gates in training.
    noise : str
        Its kind, one of `NOISES`.
    balance : float
        Weight of the load-balancing loss.
    """

    samples: int = 1250
    tasks: int = 10
    experts: int = 16
    k: int = 3
    channels: int = 128
    blocks: int = 20
    strides: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    stem_taps: int = 3
    stem_stride: int = 1
    expert_kind: str = "resnet"
    use_msfgm: bool = True
    gates: str = "single"
    gate_kind: str = "linear"
    gate_channels: int = 16
    shared_bottom: bool = False
    features: int = 0
    tower_units: int = 0
    noisy: bool = True
    noise: str = "uniform"
    balance: float = 1e-2

    def __post_init__(self) -> None:
        for name, low in (("samples", 16), ("tasks", 1), ("experts", 1), ("k", 1), ("blocks", 1), ("stem_taps", 1),
                          ("stem_stride", 1), ("gate_channels", 1), ("features", 0), ("tower_units", 0)):  # fmt: skip
            _check_whole(name, getattr(self, name), low)
        _check_whole("channels", self.channels, UNIT)
        if self.channels % UNIT:
            raise ConfigError(
                f"model.channels must be a multiple of {UNIT} ({SUBSETS} subsets of attention groups of {GROUP} "
                f"channels), got {self.channels}"
            )
        if self.k > self.experts:
            raise ConfigError(f"model.k must be at most the number of experts, {self.experts}, got {self.k}")
        for name, allowed in (("expert_kind", EXPERT_KINDS), ("gates", GATES), ("gate_kind", GATE_KINDS),
                              ("noise", NOISES)):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise ConfigError(f"model.{name} must be one of {list(allowed)}, got {getattr(self, name)!r}")
        if self.strides and (len(self.strides) != self.blocks or min(self.strides) < 1):
            raise ConfigError(
                f"model.strides must give a stride of at least 1 for each of {self.blocks} blocks, "
                f"got {list(self.strides)}"
            )
        if not set(self.removed) < set(range(1, self.blocks + 1)):
            raise ConfigError(
                f"model.removed must name some of the blocks 1 to {self.blocks} and leave one, got {list(self.removed)}"
            )
        if not self.features and (self.gates != "single" or self.tower_units):
            raise ConfigError("model.features must be at least 1 where each task has weights or a tower, got 0")
        if self.balance < 0:
            raise ConfigError(f"model.balance must be at least 0, got {self.balance!r}")

    @property
    def block_strides(self) -> tuple[int, ...]:
        """Stride of each block."""
        return self.strides or (1,) * self.blocks

    @property
    def whole_blocks(self) -> int:
        """Blocks that are more than their shortcut."""
        return self.blocks - len(self.removed)

    @property
    def gate_rows(self) -> int:
        """Logits per expert: one, one per task, or one choice and then one per task."""
        return {"single": 1, "multi": self.tasks, "shared": 1 + self.tasks}[self.gates]

    @property
    def choices(self) -> int:
        """Choices of k experts made for a window."""
        return self.tasks if self.gates == "multi" else 1

    @property
    def most_active(self) -> int:
        """Experts that run for a window at most."""
        return min(self.experts, self.k * self.choices)

    def with_options(self, **changes: Any) -> Lsm2oeConfig:
        """Return the configuration with other values; a new number of blocks has strides of 1 unless they are given."""
        blocks = changes.get("blocks", self.blocks)
        if blocks != self.blocks:
            changes = {"strides": (), "removed": (), **changes}
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Lsm2oeConfig:
        """Read what :meth:`to_dict` returned."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()})


@dataclass(frozen=True)
class Distillation:
    """How two networks learn from each other, see :mod:`.distillation`.

    Attributes
    ----------
    alpha, beta : float
        Weights of the labels and of the teacher in the student's loss.
    gamma : float
        Weight of the student in the teacher's loss.
    two_way : bool
        Whether the teacher learns too.
    teacher_rate : float
        Learning rate of the teacher as a share of the student's.
    """

    alpha: float = 0.5
    beta: float = 0.5
    gamma: float = 0.1
    two_way: bool = True
    teacher_rate: float = 0.2

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma", "teacher_rate"):
            if getattr(self, name) < 0:
                raise ConfigError(f"distillation.{name} must be at least 0, got {getattr(self, name)!r}")
        if self.alpha + self.beta == 0:
            raise ConfigError("distillation.alpha and distillation.beta must not both be 0, got 0 and 0")


def reference(tasks: int = 4) -> Lsm2oeConfig:
    """Return the public code's network at its defaults; its four tasks are SBP, MAP, DBP and HR."""
    return Lsm2oeConfig(tasks=tasks)


def paper(tasks: int = 10) -> Lsm2oeConfig:
    """Return the paper's network: shared bottom, a gate and a tower for each task."""
    return Lsm2oeConfig(tasks=tasks, gates="multi", shared_bottom=True, features=128, tower_units=64)


def edge(tasks: int = 10) -> Lsm2oeConfig:
    """Return the deployable network: 2 of 8 experts of 32 channels, chosen once for all tasks."""
    return Lsm2oeConfig(
        tasks=tasks,
        experts=8,
        k=2,
        channels=32,
        blocks=3,
        strides=(1, 2, 2),
        stem_taps=7,
        stem_stride=4,
        gates="shared",
        gate_kind="convolution",
        features=32,
        tower_units=16,
        noise="gaussian",
        balance=0.3,
    )


CONFIGURATIONS: dict[str, Callable[..., Lsm2oeConfig]] = {"reference": reference, "paper": paper, "edge": edge}


def configuration(name: str, tasks: int | None = None) -> Lsm2oeConfig:
    """Return a configuration by name.

    Raises
    ------
    ConfigError
        When there is none of that name.
    """
    if name not in CONFIGURATIONS:
        raise ConfigError(f"the configuration must be one of {list(CONFIGURATIONS)}, got {name!r}")
    return CONFIGURATIONS[name]() if tasks is None else CONFIGURATIONS[name](tasks)


def _check_whole(name: str, value: Any, low: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ConfigError(f"model.{name} must be a whole number of at least {low}, got {value!r}")
