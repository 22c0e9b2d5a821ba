"""The processors that code can be generated for, as data."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from .errors import OptionError


@dataclass(frozen=True)
class Target:
    """A processor core.

    Attributes
    ----------
    name : str
        What users write, for example ``cortex-m4``.
    tiers : tuple of str
        Sets of kernels for it, best first; :mod:`thumbnet.codegen.tiers` knows all but ``portable``.
    pointer_bytes : int
        Size of a pointer in the generated state.
    extensions : tuple of str
        Instruction-set extensions that a kernel may rely on.
    disabled : frozenset of str
        Kernels that shall not be used, names of :data:`thumbnet.codegen.passes.SWITCHES`.
    """

    name: str
    tiers: tuple[str, ...] = ("portable",)
    pointer_bytes: int = 4
    extensions: tuple[str, ...] = ()
    disabled: frozenset[str] = frozenset()

    @property
    def lanes(self) -> int:
        """Channels that the kernels take at once: a tensor that loses dead channels keeps a multiple of this."""
        # Measured on a MobileNet: pairs of filters count on DSP cores, vectors of four accumulators on MVE.
        return {"mve": 4, "dsp": 2}.get(self.tiers[0], 1)


_DSP = ("dsp", "portable")
_MVE = ("mve", *_DSP)

#: ``host-dsp`` and ``host-mve`` run the kernels of their tiers with the instructions emulated, to test them anywhere.
TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("cortex-m0"),
        Target("cortex-m3"),
        Target("cortex-m4", _DSP, extensions=("dsp",)),
        Target("cortex-m7", _DSP, extensions=("dsp",)),
        Target("cortex-m33", _DSP, extensions=("dsp",)),
        Target("cortex-m55", _MVE, extensions=("dsp", "mve")),
        Target("host", pointer_bytes=8),
        Target("host-dsp", _DSP, pointer_bytes=8),
        Target("host-mve", _MVE, pointer_bytes=8),
    )
}


def find_target(name: str) -> Target:
    """Target called `name`.

    Raises
    ------
    OptionError
        When there is none; names the nearest.
    """
    if name in TARGETS:
        return TARGETS[name]
    near = get_close_matches(name, TARGETS, 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise OptionError(f"unknown target '{name}'{hint}: allowed are {', '.join(TARGETS)}")
