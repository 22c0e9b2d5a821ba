"""Geometry of the report's charts; the template holds their looks.

Every function turns numbers into plain shapes in a unit square or in data coordinates. Text is never part of
a shape: the page sets it in HTML, so that it keeps its size on a narrow screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Top to bottom, as sleep laboratories draw it: REM between wake and light sleep.
HYPNOGRAM_ORDER = ("W", "REM", "N1", "N2", "N3")


@dataclass(frozen=True)
class Tick:
    """A label at a place along an axis; `at` is a share of its length, from the left or the top."""

    at: float
    label: str


@dataclass(frozen=True)
class Tile:
    """A rectangle of a treemap; all in percent of the map."""

    name: str
    kind: str
    bytes: int
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Weight:
    """A named amount that a treemap or a list of bars shows."""

    name: str
    kind: str
    bytes: int


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten) between two limits, about `count` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def axis(low: float, high: float, count: int = 4) -> list[Tick]:
    """Ticks of a vertical axis, the highest value at the top."""
    span = (high - low) or 1.0
    return [Tick(1 - (value - low) / span, f"{value:g}") for value in nice_ticks(low, high, count)]


def polyline(values: Sequence[float], low: float, high: float) -> str:
    """Points of a curve in the unit square scaled by 1000, first value at the left edge."""
    span = (high - low) or 1.0
    step = 1000 / max(1, len(values) - 1)
    return " ".join(
        f"{index * step:.1f},{1000 * (1 - (value - low) / span):.1f}"
        for index, value in enumerate(values)
        if math.isfinite(value)
    )


def stage_steps(onsets: Sequence[float], rows: Sequence[int], epoch_seconds: float) -> str:
    """SVG path of a hypnogram: x in epochs from the first onset, y the row's middle; gaps stay open."""
    if not onsets:
        return ""
    parts, previous_end, previous_row = [], -1.0, -1
    for onset, row in zip(onsets, rows, strict=True):
        x = (onset - onsets[0]) / epoch_seconds
        y = row + 0.5
        if abs(x - previous_end) > 1e-6:
            parts.append(f"M{x:g} {y:g}")
        elif row != previous_row:
            parts.append(f"V{y:g}")
        parts.append(f"H{x + 1:g}")
        previous_end, previous_row = x + 1, row
    return "".join(parts)


def stage_blocks(onsets: Sequence[float], rows: Sequence[int], epoch_seconds: float) -> list[tuple[int, float, float]]:
    """Runs of one stage as (row, start, length), in epochs from the first onset."""
    blocks: list[tuple[int, float, float]] = []
    for onset, row in zip(onsets, rows, strict=True):
        x = (onset - onsets[0]) / epoch_seconds
        if blocks and blocks[-1][0] == row and abs(blocks[-1][1] + blocks[-1][2] - x) < 1e-6:
            blocks[-1] = (row, blocks[-1][1], blocks[-1][2] + 1)
        else:
            blocks.append((row, x, 1.0))
    return blocks


def stacked(onsets: Sequence[float], probabilities: Sequence[Sequence[float]], epoch_seconds: float) -> list[str]:
    """SVG paths of stacked probabilities, one per class, y from 0 (top) to 1; gaps stay empty."""
    classes = len(probabilities[0]) if probabilities else 0
    paths = [""] * classes
    for onset, shares in zip(onsets, probabilities, strict=True):
        x = (onset - onsets[0]) / epoch_seconds
        total, top = sum(shares) or 1.0, 0.0
        for index, share in enumerate(shares):
            height = share / total
            if height > 0.002:
                # A sliver of overlap hides the seams between neighbours.
                paths[index] += f"M{x:g} {top:.3f}h1.02v{height:.3f}h-1.02z"
            top += height
    return paths


def hour_ticks(onsets: Sequence[float], epoch_seconds: float) -> list[Tick]:
    """Whole or half hours since the first epoch, along the horizontal axis."""
    if not onsets:
        return []
    span = onsets[-1] - onsets[0] + epoch_seconds
    step = 3600.0 if span > 3 * 3600 else 1800.0 if span > 3600 else 600.0
    count = int(span // step)
    return [Tick(number * step / span, _duration(number * step)) for number in range(count + 1)]


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d}" if hours and minutes else f"{hours} h" if hours else f"{minutes} min"


def merge_small(weights: Sequence[Weight], keep: int) -> list[Weight]:
    """Keep the heaviest and add the others up, kind by kind."""
    ordered = sorted(weights, key=lambda weight: (-weight.bytes, weight.name))
    kept, rest = ordered[:keep], ordered[keep:]
    others = [
        Weight(f"{sum(w.kind == kind for w in rest)} more", kind, sum(w.bytes for w in rest if w.kind == kind))
        for kind in dict.fromkeys(w.kind for w in rest)
    ]
    return sorted(kept + others, key=lambda weight: -weight.bytes)


def treemap(weights: Sequence[Weight], aspect: float = 1.6) -> list[Tile]:
    """Squarified treemap (Bruls, Huizing and van Wijk 2000) of positive amounts.

    Parameters
    ----------
    weights : sequence of Weight
        Nothing or less than a byte is left out.
    aspect : float
        Width over height of the area, so that tiles come out square on the page.

    Returns
    -------
    list of Tile
        Places in percent; the areas are proportional to the bytes.
    """
    items = sorted((weight for weight in weights if weight.bytes > 0), key=lambda weight: -weight.bytes)
    total = sum(weight.bytes for weight in items)
    tiles: list[Tile] = []
    left, top, width, height = 0.0, 0.0, aspect, 1.0
    scale = aspect / total if total else 0.0
    start = 0
    while start < len(items):
        side = min(width, height)
        end = _row_end([weight.bytes * scale for weight in items], start, side)
        row = items[start:end]
        thickness = sum(weight.bytes for weight in row) * scale / side
        offset = 0.0
        for weight in row:
            length = weight.bytes * scale / thickness
            box = (
                (left, top + offset, thickness, length) if height <= width else (left + offset, top, length, thickness)
            )
            tiles.append(_tile(weight, box, aspect))
            offset += length
        if height <= width:
            left, width = left + thickness, width - thickness
        else:
            top, height = top + thickness, height - thickness
        start = end
    return tiles


def _tile(weight: Weight, box: tuple[float, float, float, float], aspect: float) -> Tile:
    left, top, width, height = box
    places = (100 * left / aspect, 100 * top, 100 * width / aspect, 100 * height)
    return Tile(weight.name, weight.kind, weight.bytes, *(round(place, 3) for place in places))


def _row_end(areas: Sequence[float], start: int, side: float) -> int:
    """Index after the last item of a row: items are added while the worst aspect ratio gets better."""
    end, best = start + 1, _worst(areas[start : start + 1], side)
    while end < len(areas):
        ratio = _worst(areas[start : end + 1], side)
        if ratio > best:
            break
        end, best = end + 1, ratio
    return end


def _worst(row: Sequence[float], side: float) -> float:
    total = sum(row)
    return max(side**2 * max(row) / total**2, total**2 / (side**2 * min(row)))
