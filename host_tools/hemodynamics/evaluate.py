"""`thumbnet evaluate hemodynamics`: estimates of held-out windows beside what is known without the signal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import HostToolsError
from ..jsonout import dumps
from ..text import new_table, open_console

if TYPE_CHECKING:
    import numpy as np
    from thumbnet.training.hemodynamics.sources import Data

REPORT = "evaluation.json"


def feature_estimates(data: Data) -> np.ndarray:
    """Return estimates of all windows by the model of pulse features, fitted on training and validation windows."""
    import numpy as np
    from thumbnet.training.hemodynamics.feature_model import PulseFeatureModel

    fitted = np.union1d(data.division.train, data.division.validation)
    return PulseFeatureModel().fit(data.windows.take(fitted)).estimate(data.windows)


def read_estimates(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read estimates of all windows from a .npy file.

    Raises
    ------
    HostToolsError
        When it cannot be read or has another shape.
    """
    import numpy as np

    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise HostToolsError(f"{path} cannot be read as estimates ({error})") from None
    if found.shape != shape or found.dtype.kind not in "fiu":
        raise HostToolsError(f"{path} must hold numbers of the shape {shape}, got {found.dtype} {found.shape}")
    return np.asarray(found, float)


def write_evaluation(report: Mapping[str, Any], data: Data, estimated: np.ndarray, folder: Path, title: str) -> None:
    """Write `evaluation.json` and the figures of every parameter."""
    from thumbnet.training.hemodynamics.plots import save_plots

    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(dumps("evaluate-hemodynamics/1", report) + "\n", encoding="utf-8")
    test = data.windows.take(data.division.test)
    save_plots(folder / "plots", test.tasks, test.labels, estimated[data.division.test], test.subjects, title)


def print_evaluation(report: Mapping[str, Any]) -> None:
    """Print the tables of an evaluation."""
    console = open_console()
    tasks = list(next(row for row in report["errors"].values() if row))
    click.echo(
        f"{report['data']['name']}: {report['windows']['test']} windows of {report['subjects']['test']} subjects"
    )
    table = new_table("mean absolute error", "|" + "|".join(f">{task}" for task in tasks))
    for name, row in report["errors"].items():
        table.add_row(name, *(f"{row[task]['mae']:.2f}" if task in row else "-" for task in tasks))
    console.print(table)
    table = new_table("model", "|>MAE|>ME|>SD|>RMSE|>MAPE %|>R2|>within 5 / 10 / 15|>gain %|AAMI, BHS, IEEE numbers")
    for task, row in report["errors"]["model"].items():
        errors = [f"{row['mae']:.2f}", f"{row['me']:+.2f}", f"{row['sd']:.2f}", f"{row['rmse']:.2f}"]
        within = " / ".join(f"{100 * share:.0f}" for share in row["within"].values())
        shares = [_number(row["mape"], 1), _number(row["r2"], 2), within, _number(report["gain"]["model"].get(task), 0)]
        table.add_row(f"{task}, {row['unit']}", *errors, *shares, _grades(row))
    console.print(table)
    _print_rest(report)


def _print_rest(report: Mapping[str, Any]) -> None:
    for task, row in report["tracking"].items():
        click.echo(
            f"changes within people, {task}: r {row['r']:.2f}, slope {row['slope']:.2f}, error {row['mae_change']:.2f} "
            f"(no change: {row['mae_no_change']:.2f}), right direction {_number(row['concordance'], 2)} of "
            f"{row['changes']} changes beyond {row['exclusion']:.3g}"
        )
    for name, row in report["identities"].items():
        told = f"{100 * row['share']:.1f} % broken" if "share" in row else f"off by {row['median']:.1f} % (median)"
        click.echo(f"{name}: {told}")
    for line in (report["protocol"]["label"], *report["protocol"]["leaks"], *report["remarks"], report["statement"]):
        click.echo(line)


def _grades(row: Mapping[str, Any]) -> str:
    if row["bhs"] is None:
        return ""
    return f"{'within' if row['aami'] else 'beyond'}, {row['bhs']}, {row['ieee']}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def load_report(folder: Path) -> dict[str, Any]:
    """Read back what :func:`write_evaluation` wrote."""
    content: dict[str, Any] = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    return content
