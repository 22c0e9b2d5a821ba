"""Every operator of every part of a mixture, supported or not."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from ..check import layer_reports
from ..ir import verify
from ..model import Analysis, LayerReport, TensorInfo, describe
from .plan import read_mixture
from .wiring import VALUE_SCALE, port, read_parts


def analyze_mixture(data: bytes) -> Analysis:
    """Look at all layers that run for a window: those of the first ``k`` experts stand for those that are chosen.

    Raises
    ------
    CodegenError
        When a part cannot be read.
    """
    mixture = read_mixture(data)
    parts = read_parts(mixture)
    layers: list[LayerReport] = []
    for name, graph in parts:
        reports = layer_reports(verify(graph))
        role, _, number = name.partition(" ")
        runs = role != "expert" or int(number) < mixture.k
        for report in reports:
            if runs or not report.supported:
                layers.append(replace(report, index=len(layers), name=f"{name}: {report.name}"))
    window = port(parts[0][1])
    tasks = len(mixture.tasks)
    values = TensorInfo("values", (1, tasks), "int32", VALUE_SCALE, 0, 4 * tasks, 0, 0)
    return Analysis(hashlib.sha256(data).hexdigest(), describe([window]), (values,), tuple(layers))
