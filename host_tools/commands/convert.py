"""`thumbnet convert`: a Keras model or SavedModel in, an int8 .tflite file out."""

from __future__ import annotations

from pathlib import Path

import click

from ..jsonout import emit, quiet_stdout
from ..options import PATH, json_option


@click.command()
@click.argument("model", type=PATH)
@click.option("--calibration", type=PATH, required=True, show_default=False,
              help="Array (.npy) of inputs in [-1, 1], first axis the window, from training subjects.")  # fmt: skip
@click.option("--output", type=PATH, default=None, show_default=False,
              help="File to write.  [default: beside the model, ending .tflite]")  # fmt: skip
@click.option("--fold/--no-fold", default=True, help="Fold linear chains of 1x1 convolutions before quantizing.")
@json_option
def command(model: Path, calibration: Path, output: Path | None, fold: bool, as_json: bool) -> None:
    """Turn the Keras MODEL (.keras, .h5 or a SavedModel folder) into a full-integer int8 .tflite with a batch of 1."""
    from ..convert import convert

    place = output or model.with_suffix(".tflite")
    with quiet_stdout():
        facts = convert(model, calibration, place, fold)
    if as_json:
        emit("convert/1", facts)
    else:
        click.echo(f"{place}: {facts['bytes']:,} bytes, calibrated on {facts['windows']:,} windows")
