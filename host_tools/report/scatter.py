"""Agreement of estimates and measurements as two small charts for each parameter; text is set by the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import charts, formats

Content = Mapping[str, Any]
LIMITS = 1.96


def agreement_charts(evaluation: Content, points: Mapping[str, Mapping[str, Sequence[float]]]) -> list[dict[str, Any]]:
    """Scatter and Bland-Altman chart of each parameter that has points.

    Parameters
    ----------
    evaluation : mapping
        Errors of all windows, from which the lines are drawn.
    points : mapping
        `measured` and `estimated` values of some windows, by parameter.
    """
    name = evaluation["device"]["model"] if "device" in evaluation else "model"
    errors = evaluation["errors"][name]
    return [_charts(task, errors[task], points[task]) for task in points if points[task]["measured"] and task in errors]


def _charts(task: str, errors: Content, pairs: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    measured, estimated = pairs["measured"], pairs["estimated"]
    low, high = _range([*measured, *estimated])
    means = [(one + other) / 2 for one, other in zip(measured, estimated, strict=True)]
    differences = [other - one for one, other in zip(measured, estimated, strict=True)]
    bounds = [errors["me"] + sign * LIMITS * (errors["sd"] or 0.0) for sign in (-1, 0, 1)]
    least, most = _range([*differences, *bounds])
    left, right = _range(means)
    return {
        "task": task,
        "unit": errors["unit"],
        "figures": f"MAE {formats.figure(errors['mae'])}, R² {formats.decimals(errors['r2'], 2)}",
        "limits": f"{formats.signed(errors['me'])} ({formats.signed(bounds[0])} to {formats.signed(bounds[2])})",
        "scatter": _chart(measured, estimated, (low, high), (low, high)) | {"diagonal": True, "lines": []},
        "difference": _chart(means, differences, (left, right), (least, most))
        | {"diagonal": False, "lines": [{"at": _place(value, least, most), "mean": place == 1}
                                        for place, value in enumerate(bounds)]},
    }  # fmt: skip


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.04 * ((high - low) or 1.0)
    return low - margin, high + margin


def _place(value: float, low: float, high: float) -> float:
    """Share of the height from the top."""
    return 1 - (value - low) / (high - low)


def _chart(
    x: Sequence[float], y: Sequence[float], across: tuple[float, float], up: tuple[float, float]
) -> dict[str, Any]:
    dots = (
        f"M{1000 * (a - across[0]) / (across[1] - across[0]):.0f} {1000 * _place(b, *up):.0f}h.1"
        for a, b in zip(x, y, strict=True)
    )
    ticks = charts.nice_ticks(*across)
    span = across[1] - across[0]
    return {
        "dots": "".join(dots),
        "y": charts.axis(*up),
        "x": [charts.Tick((value - across[0]) / span, f"{value:g}") for value in ticks],
    }
