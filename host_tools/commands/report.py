"""`thumbnet report`: one self-contained HTML page about a run, and the same as JSON."""

from __future__ import annotations

from pathlib import Path

import click

from ..jsonout import emit
from ..options import PATH, json_option


@click.command()
@click.argument("run", type=PATH)
@click.option("--output", type=PATH, default=None, show_default=False,
              help="Folder for report.html and report.json.  [default: the run's own]")  # fmt: skip
@json_option
def command(run: Path, output: Path | None, as_json: bool) -> None:
    """Write one self-contained HTML page and a JSON about RUN, the folder of a run."""
    from ..pipeline.folder import RunFolder
    from ..report.write import write_report

    report = write_report(RunFolder.open(run), output)
    if as_json:
        schema = str(report["schema"]).removeprefix("thumbnet.")
        emit(schema, {key: value for key, value in report.items() if key != "schema"})
    else:
        click.echo((output or run) / "report.html")
