"""From a template and what it names to a page without anything outside of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from . import charts, formats


def render_page(template: str, report: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Write a page.

    Parameters
    ----------
    template : str
        Name of a file in `templates`.
    report : mapping
        The report, which templates name `report`.
    context : mapping
        Everything else that the template names.

    Returns
    -------
    str
        HTML with everything inside; it asks no server for anything.
    """
    folder = files("thumbnet.host_tools") / "templates"
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
    )
    environment.filters.update(formats.FILTERS)
    css = Markup((folder / "report.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(css=css, report=report, **context).rstrip() + "\n"


def curve_plot(history: Mapping[str, Sequence[float]], training: str, validation: str) -> dict[str, Any] | None:
    """Return curves over the passes of a training as the template draws them; None where there are none."""
    lines = [("int8", history.get(training)), ("validation", history.get(validation))]
    drawn = [(colour, values) for colour, values in lines if values]
    finite = [value for _, values in drawn for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    margin = 0.06 * ((high - low) or 1.0)
    low, high = low - margin, high + margin
    return {
        "axis": charts.axis(low, high),
        "lines": [(colour, charts.polyline(values, low, high)) for colour, values in drawn],
        "count": max(len(values) for _, values in drawn),
    }
