"""Tables and files of `thumbnet evaluate hemodynamics`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..jsonout import dumps
from ..text import new_table, open_console
from .judging import BUNDLE, TITLES

if TYPE_CHECKING:
    from .judging import Judged

REPORT, PLOTS = "evaluation.json", "plots"


def write_evaluation(report: Mapping[str, Any], judged: Judged, folder: Path) -> None:
    """Write `evaluation.json` and the figures of every parameter."""
    from thumbnet.training.hemodynamics.plots import save_plots

    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(dumps("evaluate-hemodynamics/1", report) + "\n", encoding="utf-8")
    tested = judged.data.division.test
    test = judged.data.windows.take(tested)
    save_plots(folder / PLOTS, test.tasks, test.labels, judged.estimated[tested], test.subjects, judged.title)
    if judged.device is not None:
        told = judged.device.estimated[tested]
        save_plots(folder / PLOTS / "int8", test.tasks, test.labels, told, test.subjects, TITLES[BUNDLE])


def print_evaluation(report: Mapping[str, Any]) -> None:
    """Print the tables of an evaluation."""
    console = open_console()
    tasks = list(next(row for row in report["errors"].values() if row))
    click.echo(
        f"{report['data']['name']}: {report['windows']['test']} windows of {report['subjects']['test']} subjects"
    )
    table = new_table("mean absolute error", "|" + "|".join(f">{task}" for task in tasks))
    for name, row in report["errors"].items():
        cells = (f"{row[task]['mae']:.2f}" if task in row else "-" for task in tasks)
        table.add_row(name.replace("model", report["model"], 1) if name.startswith("model") else name, *cells)
    console.print(table)
    table = new_table(report["model"], "|>MAE|>ME|>SD|>RMSE|>MAPE %|>R2|>within 5 / 10 / 15|>gain %|AAMI BHS IEEE")
    for task, row in report["errors"]["model"].items():
        errors = [f"{row['mae']:.2f}", f"{row['me']:+.2f}", f"{row['sd']:.2f}", f"{row['rmse']:.2f}"]
        within = " / ".join(f"{100 * share:.0f}" for share in row["within"].values())
        shares = [_number(row["mape"], 1), _number(row["r2"], 2), within, _number(report["gain"]["model"].get(task), 0)]
        table.add_row(f"{task}, {row['unit']}", *errors, *shares, _grades(row))
    console.print(table)
    table = new_table("mean absolute error by kind", "|>windows|>subjects|" + "|".join(f">{task}" for task in tasks))
    for name, row in report["strata"].items():
        cells = (f"{row[task]['mae']:.2f}" if task in row else "-" for task in tasks)
        table.add_row(name, str(row["windows"]), str(row["subjects"]), *cells)
    console.print(table)
    _print_rest(report)


def _print_rest(report: Mapping[str, Any]) -> None:
    for task, row in report["tracking"].items():
        click.echo(
            f"changes within people, {task}: r {row['r']:.2f}, slope {row['slope']:.2f}, error {row['mae_change']:.2f} "
            f"(no change: {row['mae_no_change']:.2f}), right direction {_number(row['concordance'], 2)} of "
            f"{row['changes']} changes beyond {row['exclusion']:.3g}"
        )
    if "experts" in report:
        served = ", ".join(f"{100 * share:.0f}" for share in report["experts"]["served"])
        click.echo(f"windows served by each expert, %: {served}; evenness {report['experts']['evenness']:.2f}")
    if "device" in report:
        _print_device(report["device"])
    if "rejections" in report:
        found = report["rejections"]
        click.echo(
            f"{found['rejected']} of {found['windows']} windows rejected ({found['rate']:.1%}): {found['reasons']}"
        )
    for name, row in report["identities"].items():
        told = f"{100 * row['share']:.1f} % broken" if "share" in row else f"off by {row['median']:.1f} % (median)"
        click.echo(f"{name}: {told}")
    for row in report["published"]:
        told = ", ".join(f"{task} {value:g}" for task, value in row["mae"].items())
        click.echo(f"published, {row['model']} on {row['data']} ({row['protocol']}): {told}")
    for line in (report["protocol"]["label"], *report["protocol"]["leaks"], *report["remarks"], report["statement"]):
        click.echo(line)


def _print_device(device: Mapping[str, Any]) -> None:
    """Who is served by the integers' own choice."""
    served = ", ".join(f"{100 * share:.0f}" for share in device["experts"]["served"])
    same = "" if "same_experts" not in device else f"; the float network's experts in {device['same_experts']:.1%}"
    click.echo(f"the same on the device, %: {served}; evenness {device['experts']['evenness']:.2f}{same}")


def _grades(row: Mapping[str, Any]) -> str:
    if row["bhs"] is None:
        return ""
    return f"{'within' if row['aami'] else 'beyond'} {row['bhs']} {row['ieee']}"


def _number(value: float | None, digits: int) -> str:
    # Adding 0 turns -0 into 0.
    return "-" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"
