"""Names of the points of a compression table, and the steps that they stand for. No TensorFlow here.

Steps are joined with "+": ``float``; ``int8`` (quantized after training); ``int16x8``; ``qat`` (quantization-aware
training); ``prune50`` (half of the filters of each layer removed); ``sparse50`` (half of the weights 0); ``sparse2x4``
(two of every four); ``distill`` (trained towards a teacher); ``more`` (only trained for as long as those, to compare
them with); ``prune50+distill+qat``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .errors import PruneError

EXAMPLES = "float, int8, int16x8, more, qat, prune50, sparse50, sparse2x4, distill, prune50+distill, prune50+qat"
_STEP = re.compile(
    r"(?P<filters>prune(?P<filter_percent>\d{1,2}))|(?P<pairs>sparse2x4)|(?P<zeros>sparse(?P<zero_percent>\d{1,2}))"
    r"|(?P<distill>distill)|(?P<more>more)|(?P<aware>qat)|(?P<file>float|int8|int16x8)"
)


@dataclass(frozen=True)
class Point:
    """Steps of a point.

    Attributes
    ----------
    name : str
        As it was written.
    filters : float or None
        Share of the filters that go.
    zeros : float or None
        Share of the weights that become 0.
    pairs : bool
        Two of every four weights become 0.
    distill : bool
        A teacher helps.
    more : bool
        Trained again as it is.
    aware : bool
        Trained with the rounding of int8.
    kind : str
        Of the file at the end: "float", "int8" or "int16x8".
    """

    name: str
    filters: float | None = None
    zeros: float | None = None
    pairs: bool = False
    distill: bool = False
    more: bool = False
    aware: bool = False
    kind: str = "int8"

    @property
    def trainings(self) -> int:
        """How often the network is trained again."""
        return int(self.changed or self.more) + int(self.aware)

    @property
    def changed(self) -> bool:
        """Whether a step asks for a training of the float network that is not only more of the same."""
        return self.sparse or self.filters is not None or self.distill

    @property
    def sparse(self) -> bool:
        """Whether weights are set to 0."""
        return self.pairs or self.zeros is not None


def parse_point(name: str) -> Point:
    """Read the steps of a point from its name.

    Raises
    ------
    PruneError
        An unknown step, one given twice, shares of 0 %, or steps that exclude each other.
    """
    found: dict[str, Any] = {}
    for step in name.split("+"):
        match = _STEP.fullmatch(step)
        if match is None:
            raise PruneError(f"compression stage {name!r} has an unknown step {step!r}; examples are {EXAMPLES}")
        kind = match.lastgroup if match.lastgroup in ("pairs", "distill", "more", "aware") else None
        percent = match["filter_percent"] or match["zero_percent"]
        if percent is not None and int(percent) == 0:
            raise PruneError(f"compression stage {name!r} removes 0 %; allowed are 1 to 99")
        key, value = (
            ("kind", match["file"]) if match["file"]
            else ("filters", int(percent) / 100) if match["filters"]
            else ("zeros", int(percent) / 100) if match["zeros"]
            else (str(kind), True)
        )  # fmt: skip
        if key in found:
            raise PruneError(f"compression stage {name!r} gives the step {step!r} or one of its kind twice")
        found[key] = value
    point = Point(name, **found)
    if point.aware and point.kind != "int8":
        raise PruneError(f"compression stage {name!r} asks for qat and {point.kind}; qat gives int8")
    if point.more and point.changed:
        raise PruneError(f"compression stage {name!r} asks for more training and for a step that trains anyway")
    if point.pairs and point.zeros is not None:
        raise PruneError(f"compression stage {name!r} asks for two kinds of sparsity; one is allowed")
    return point
