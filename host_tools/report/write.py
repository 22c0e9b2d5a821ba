"""Write `report.html` and `report.json` of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..pipeline.folder import RunFolder, write_json, write_text
from .content import gather
from .page import render


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
    report = gather(folder)
    place = output or folder.path
    place.mkdir(parents=True, exist_ok=True)
    write_text(place / "report.html", render(report))
    write_json(place / "report.json", report)
    return report
