"""Published figures, each with its data and with what is known of its protocol, to stand beside one's own."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PublishedFigure:
    """A row of the comparison; None where nothing was published.

    Attributes
    ----------
    model, data, protocol, source : str
        What was measured on what, how, and where it is written.
    parameters : int or None
        Trainable parameters.
    accuracy, macro_f1, kappa, n1_f1 : float or None
        Shares of 1.
    """

    model: str
    data: str
    protocol: str
    source: str
    parameters: int | None = None
    accuracy: float | None = None
    macro_f1: float | None = None
    kappa: float | None = None
    n1_f1: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


_OWN = "published: folds by recording, checkpoint picked on the test fold (public code)"
_PAPER = "Wang et al., ICASSP 2026, arXiv 2602.23852; macro F1, kappa and N1 as quoted elsewhere"
_CITED = "as cited by Wang et al., ICASSP 2026"

PUBLISHED_FIGURES: tuple[PublishedFigure, ...] = (
    PublishedFigure("ULW-SleepNet", "Sleep-EDF-20", _OWN, _PAPER, 13_300, 0.869, 0.807, 0.820, 0.458),
    PublishedFigure("ULW-SleepNet", "Sleep-EDF-78", _OWN, _PAPER, 13_300, 0.814, 0.740, 0.740, 0.393),
    PublishedFigure("TinySleepNet", "Sleep-EDF-20", "as in its paper", _CITED, 1_300_000, 0.854),
    PublishedFigure("AttnSleep", "Sleep-EDF-20", "as in its paper", _CITED, 520_000, 0.844),
    PublishedFigure("MicroSleepNet", "Sleep-EDF-20", "as in its paper", _CITED, 48_200, 0.828),
    PublishedFigure("DeepSleepNet", "Sleep-EDF-20", "as in its paper", _CITED, 24_700_000, 0.820),
)
