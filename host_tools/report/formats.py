"""Numbers as a reader of the report wants to see them; a missing one is a dash. KB is 1000 bytes."""

from __future__ import annotations

from collections.abc import Callable


def count(value: float | None) -> str:
    """Whole number with thousands separated."""
    return "–" if value is None else f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Share of 1 as a percentage."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def decimals(value: float | None, digits: int) -> str:
    """Number with so many decimals."""
    return "–" if value is None else f"{value:.{digits}f}"


def figure(value: float | None) -> str:
    """Error or measurement with about three digits, and never more than two decimals."""
    return "–" if value is None else f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def signed(value: float | None) -> str:
    """The same with its sign."""
    return figure(value) if value is None or value < 0 else f"+{figure(value)}"


def short(name: str) -> str:
    """Layer's part of a tensor's name; converters join the names of everything they fused with ';'."""
    path = next((part for part in name.split(";") if part), name).split("/")
    return path[-2] if len(path) > 1 else path[0]


def decibels(value: float | None) -> str:
    """Level in decibels."""
    return "–" if value is None else f"{value:.1f} dB"


def split_mega(value: float | None) -> tuple[str, str]:
    """Number and unit in millions."""
    return ("–", "") if not value else (f"{value / 1e6:.2f}", "million")


def mega(value: float | None) -> str:
    """Number in millions."""
    return "–" if not value else f"{value / 1e6:.2f} M"


def split_kilobytes(value: float | None) -> tuple[str, str]:
    """Number and unit of a size."""
    if value is None:
        return "–", ""
    return (f"{value / 1000:.1f}", "KB") if value >= 1000 else (f"{value:,.0f}", "bytes")


def kilobytes(value: float | None) -> str:
    """Size in KB, or in bytes below one."""
    return " ".join(split_kilobytes(value)).strip()


def compact(value: float) -> str:
    """Size where there is little room."""
    return f"{value / 1000:.1f} KB" if value >= 1000 else f"{value:,.0f} B"


def number(value: float) -> str:
    """Number of unknown kind."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Time in seconds or minutes."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


FILTERS: dict[str, Callable[..., str]] = {
    "count": count,
    "percent": percent,
    "decimals": decimals,
    "decibels": decibels,
    "figure": figure,
    "signed": signed,
    "mega": mega,
    "kilobytes": kilobytes,
    "compact": compact,
    "number": number,
    "duration": duration,
}
