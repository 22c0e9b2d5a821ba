"""`thumbnet predict`: score a recording into a hypnogram."""

from __future__ import annotations

from pathlib import Path

import click

from ..jsonout import emit, quiet_stdout
from ..options import PATH, choose_board, json_option, workdir_option, working_folder


@click.command()
@click.argument("recording", type=PATH)
@click.option("--model", type=PATH, required=True, show_default=False, help="Bundle of the model.")
@click.option("--board", default=None, show_default=False,
              help="Board that computes.  [default: TensorFlow Lite Micro on this computer]")  # fmt: skip
@click.option("--output", type=PATH, default=None, show_default=False,
              help="Folder of the results.  [default: predictions/RECORDING]")  # fmt: skip
@workdir_option
@json_option
def command(
    recording: Path, model: Path, board: str | None, output: Path | None, workdir: Path | None, as_json: bool
) -> None:
    """Score RECORDING (.edf) into a hypnogram: CSV with probabilities, EDF+ annotations, and a picture.

    The signals are prepared exactly as the bundle declares. No hypnogram is needed.
    """
    from ..modelfile import read_model
    from ..predict import predict, write_prediction
    from ..progress import progress_bars

    chosen = choose_board(board) if board else None
    bundle = read_model(model)
    with quiet_stdout(), working_folder(workdir) as folder, progress_bars() as new_task:
        found = predict(recording, bundle, chosen, folder, new_task)
        files = write_prediction(found, output or Path("predictions") / recording.stem)
    if as_json:
        emit("predict/1", {**found.to_dict(), "files": [str(file) for file in files]})
        return
    minutes = ", ".join(f"{name} {value:g} min" for name, value in found.minutes().items())
    click.echo(f"{found.recording}: {len(found.onsets)} epochs scored by {found.scorer}: {minutes}")
    for file in files:
        click.echo(f"  {file}")
