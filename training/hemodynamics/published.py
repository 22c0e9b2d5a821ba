"""Published figures, each with its data and with what is known of its protocol, to stand beside one's own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .protocols import CALIBRATION_BASED, CALIBRATION_FREE


@dataclass(frozen=True)
class PublishedFigure:
    """A row of the comparison.

    Attributes
    ----------
    model, data, protocol, source : str
        What was measured on what, how, and where it is written.
    mae : dict of str to float
        Mean absolute error by parameter, in its unit.
    """

    model: str
    data: str
    protocol: str
    source: str
    mae: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


_PAPER = "Liu et al., IEEE Internet of Things Journal 2025"
_UNSAID = "as in its paper; whether people are in training and test at once is not known to us"
_BENCHMARK = "Moulaeifard, Charlton and Strodthoff 2025, arXiv 2502.19167"

PUBLISHED_FIGURES: tuple[PublishedFigure, ...] = (
    PublishedFigure("LSM2oE", "MIMIC", _UNSAID, _PAPER, {"SBP": 5.06, "MAP": 3.98, "DBP": 2.81}),
    PublishedFigure("LSM2oE", "VitalDB", _UNSAID, _PAPER, {"SBP": 4.76, "MAP": 3.26, "DBP": 2.95}),
    PublishedFigure("LSM2oE", "CNAP-2", "trained on other databases, tested on this one", _PAPER,
                    {"SBP": 5.90, "MAP": 3.97, "DBP": 3.69, "HR": 3.43, "CO": 0.34, "CI": 0.19, "SV": 3.10, "SI": 1.81,
                     "SVR": 58.2, "SVRI": 110.8}),
    PublishedFigure("XResNet1d101", "PulseDB", CALIBRATION_FREE, _BENCHMARK, {"SBP": 14.0, "DBP": 8.5}),
    PublishedFigure("XResNet1d101", "PulseDB", CALIBRATION_BASED, _BENCHMARK, {"SBP": 9.4, "DBP": 6.0}),
    PublishedFigure("five networks, best case", "external sets, trained on PulseDB", CALIBRATION_FREE, _BENCHMARK,
                    {"SBP": 15.0, "DBP": 7.0}),
    PublishedFigure("five networks, worst case", "external sets, trained on PulseDB", CALIBRATION_FREE, _BENCHMARK,
                    {"SBP": 25.1, "DBP": 10.4}),
)  # fmt: skip
