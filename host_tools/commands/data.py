"""`thumbnet data`: fetch a public data set, or look at a folder of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import HostToolsError
from ..jsonout import emit, quiet_stdout
from ..options import PATH, json_option


@click.group()
def command() -> None:
    """Fetch a public data set, or say what a folder of recordings holds."""


_SLEEP = ("sleep-edf", "sleep-edf-20", "sleep-edf-78")
_PPG = ("vitaldb", "mimic", "ppg-bp")


@command.command()
@click.argument("name", type=click.Choice([*_SLEEP, *_PPG]))
@click.option("--subjects", default=None, metavar="LIST", show_default=False,
              help="Numbers of subjects, of vitaldb: cases, as 0-4,7.  [default: those of the name]")  # fmt: skip
@click.option("--recording", default="1,2", metavar="LIST", help="Nights of each subject of sleep-edf.")
@click.option("--records", default=None, metavar="LIST", show_default=False,
              help="Records of mimic, as 30/3000063/,31/3100033/.")  # fmt: skip
@click.option("--output", type=PATH, required=True, help="Folder for the files.")
@click.option("--mirror", default=None, metavar="URL", show_default=False,
              help="Another address of sleep-edf's folder or of ppg-bp's table of files.")  # fmt: skip
@json_option
def fetch(
    name: str,
    subjects: str | None,
    recording: str,
    records: str | None,
    output: Path,
    mirror: str | None,
    as_json: bool,
) -> None:
    """Fetch NAME through the data set's own library, checksums verified where it has them; the same command goes on.

    `--output` is then a folder for `--data`: of `thumbnet run` for sleep-edf, of the hemodynamics commands otherwise.
    """
    facts = (
        _fetch_sleep(name, subjects, recording, output, mirror)
        if name in _SLEEP
        else _fetch_ppg(name, subjects, records, output, mirror)
    )
    if as_json:
        emit("data-fetch/1", facts)
        return
    click.echo(
        f"{output}: {facts['files']} files, {facts['already_there']} of them were there; licence {facts['licence']}"
    )
    for replaced in facts["replaced"]:
        click.echo(f"  {replaced} was damaged and is fetched again; the old one is {replaced}.damaged")


def _fetch_sleep(name: str, subjects: str | None, recording: str, output: Path, mirror: str | None) -> dict[str, Any]:
    from thumbnet.training.sleep.fetch import LICENCE, fetch_sleep_edf

    chosen = None if subjects is None else numbers("--subjects", subjects)
    with quiet_stdout():
        done = fetch_sleep_edf(name, output, chosen, numbers("--recording", recording), mirror=mirror, say=_say)
    return {"folder": str(done.folder), "files": len(done.files), "already_there": done.already_there,
            "replaced": list(done.replaced), "licence": LICENCE}  # fmt: skip


def _fetch_ppg(
    name: str, subjects: str | None, records: str | None, output: Path, mirror: str | None
) -> dict[str, Any]:
    from thumbnet.training.hemodynamics import fetch as sets

    with quiet_stdout():
        if name == "vitaldb":
            done = sets.fetch_vitaldb(output, numbers("--subjects", subjects) if subjects else [], say=_say)
        elif name == "mimic":
            done = sets.fetch_mimic(output, [part.strip() for part in (records or "").split(",") if part.strip()])
        else:
            done = sets.fetch_ppg_bp(output, mirror, say=_say)
    return {"folder": str(done.folder), "files": len(done.files), "already_there": done.already_there,
            "replaced": [], "licence": done.licence}  # fmt: skip


def _say(line: str) -> None:
    click.echo(line, err=True)


@command.command()
@click.argument("folder", type=PATH)
@click.option("--recipe", type=PATH, default=None, show_default=False,
              help="Recipe whose [signals] say how to read.  [default: the one of `thumbnet demo`]")  # fmt: skip
@json_option
def check(folder: Path, recipe: Path | None, as_json: bool) -> None:
    """Read every recording of FOLDER and say which can be used, and why others cannot. Exit code 1 when any cannot."""
    from thumbnet.training.errors import RecordingError
    from thumbnet.training.sleep.config import SignalConfig
    from thumbnet.training.sleep.dataset import find_recordings, read_night_of

    from ..parts import shipped_recipe
    from ..recipes import load_recipe

    config = SignalConfig.from_table(load_recipe(recipe or shipped_recipe("sleep")).signals.reader_settings())
    found, skipped = find_recordings(folder, config)
    usable = []
    for files in found:
        try:
            with quiet_stdout():
                night = read_night_of(files, config)
            usable.append({"recording": files.recording, "subject": files.subject, "epochs": int(night.kept.sum()),
                           "lights": [night.lights_off, night.lights_on]})  # fmt: skip
        except RecordingError as error:
            skipped.append(str(error))
    if as_json:
        emit("data-check/1", {"folder": str(folder), "usable": usable, "skipped": skipped})
    else:
        for row in usable:
            click.echo(f"{row['recording']}: subject {row['subject']}, {row['epochs']} epochs")
        for line in skipped:
            click.echo(f"skipped: {line}")
        click.echo(f"{len(usable)} of {len(found)} recordings can be used")
    if skipped:
        click.get_current_context().exit(1)


def numbers(option: str, text: str) -> list[int]:
    """Read "0-4,7" as [0, 1, 2, 3, 4, 7].

    Raises
    ------
    HostToolsError
        When it is no such list.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or len(part) > 12:
            raise HostToolsError(f"{option} must be numbers and ranges as 0-4,7, got {text!r}")
        found.extend(range(int(first), int(last or first) + 1))
    return list(dict.fromkeys(found))
