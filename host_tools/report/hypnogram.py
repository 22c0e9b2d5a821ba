"""A hypnogram as a picture of its own: stages above probabilities, over hours."""

from __future__ import annotations

from importlib.resources import files

import jinja2

from ..prediction import Prediction
from . import charts


def draw(prediction: Prediction) -> str:
    """Write the picture of a prediction.

    Parameters
    ----------
    prediction : Prediction
        Stages and probabilities of one recording; classes are those of sleep.

    Returns
    -------
    str
        SVG, 1000 x 330 units, light and dark.
    """
    order = charts.HYPNOGRAM_ORDER
    rows = [order.index(prediction.classes[stage]) for stage in prediction.stages]
    onsets, seconds = prediction.onsets.tolist(), prediction.epoch_seconds
    columns = [prediction.classes.index(name) for name in order]
    shares = prediction.probabilities[:, columns].tolist()
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = (files("thumbnet.host_tools") / "templates" / "hypnogram.svg.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        title=f"{prediction.recording}, scored by {prediction.scorer}",
        order=order,
        epochs=(onsets[-1] - onsets[0]) / seconds + 1,
        path=charts.stage_steps(onsets, rows, seconds),
        blocks=charts.stage_blocks(onsets, rows, seconds),
        probabilities=list(zip(order, charts.stacked(onsets, shares, seconds), strict=True)),
        ticks=charts.hour_ticks(onsets, seconds),
    )
