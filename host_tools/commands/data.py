"""`thumbnet data`: fetch a public data set, or look at a folder of recordings."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import HostToolsError
from ..jsonout import emit, quiet_stdout
from ..options import PATH, json_option


@click.group()
def command() -> None:
    """Fetch a public data set, or say what a folder of recordings holds."""


@command.command()
@click.argument("name", type=click.Choice(["sleep-edf", "sleep-edf-20", "sleep-edf-78"]))
@click.option("--subjects", default=None, metavar="LIST", show_default=False,
              help="Numbers of subjects, as 0-4,7.  [default: those of the name]")  # fmt: skip
@click.option("--recording", default="1,2", metavar="LIST", help="Nights of each subject.")
@click.option("--output", type=PATH, required=True, help="Folder for the files.")
@click.option("--mirror", default=None, metavar="URL", show_default=False,
              help="Address of a folder with the same files.  [default: PhysioNet]")  # fmt: skip
@json_option
def fetch(name: str, subjects: str | None, recording: str, output: Path, mirror: str | None, as_json: bool) -> None:
    """Fetch NAME from PhysioNet through MNE, checksums verified; the same command again goes on.

    Sleep-EDF Expanded is licensed ODC-BY 1.0. `--output` is then a folder for `thumbnet run --data`.
    """
    from thumbnet.training.sleep.fetch import LICENCE, fetch_sleep_edf

    chosen = None if subjects is None else numbers("--subjects", subjects)
    with quiet_stdout():
        done = fetch_sleep_edf(name, output, chosen, numbers("--recording", recording), mirror=mirror,
                               say=lambda line: click.echo(line, err=True))  # fmt: skip
    facts = {"folder": str(done.folder), "files": len(done.files), "already_there": done.already_there,
             "replaced": list(done.replaced), "licence": LICENCE}  # fmt: skip
    if as_json:
        emit("data-fetch/1", facts)
        return
    click.echo(f"{output}: {len(done.files)} files, {done.already_there} of them were there; licence {LICENCE}")
    for replaced in done.replaced:
        click.echo(f"  {replaced} was damaged and is fetched again; the old one is {replaced}.damaged")


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
