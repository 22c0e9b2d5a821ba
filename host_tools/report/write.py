"""Write `report.html` and `report.json` of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..pipeline.folder import RunFolder, write_json, write_text


def write_report(folder: RunFolder, output: Path | None = None) -> Mapping[str, Any]:
    """Gather a run's results and write the page and its JSON.

    Parameters
    ----------
    folder : RunFolder
        The run.
    output : pathlib.Path, optional
        Folder of the two files; default: the run's own.

    Returns
    -------
    mapping
        The content of `report.json`.
    """
    gather, render = _task_of(folder)
    report = gather(folder)
    place = output or folder.path
    place.mkdir(parents=True, exist_ok=True)
    write_text(place / "report.html", render(report))
    write_json(place / "report.json", report)
    return report


def _task_of(folder: RunFolder) -> tuple[Callable[[RunFolder], Mapping[str, Any]], Callable[[Mapping[str, Any]], str]]:
    """What gathers and what renders a report of the run's task."""
    # Imported here: a run of one task needs nothing of the other.
    if folder.info.get("recipe", {}).get("task") == "hemodynamics":
        from . import hemo_content, hemo_page

        return hemo_content.gather, hemo_page.render
    from . import content, page

    return content.gather, page.render
