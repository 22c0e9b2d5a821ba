"""Options that say which PPG windows a command works on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import HostToolsError
from ..options import PATH

if TYPE_CHECKING:
    from thumbnet.training.hemodynamics.sources import DataConfig

F = TypeVar("F", bound=Callable[..., Any])
SOURCES = ("synthetic", "npy", "ppg-bp", "pulsedb", "wfdb")
PROTOCOLS = ("calibration-free", "calibration-based", "random-segment")
_KEYS = {"ppg_file": "ppg_file", "labels_file": "labels_file", "data": "folder", "source": "source",
         "protocol": "protocol", "subjects": "subjects", "windows_each": "each", "seed": "seed", "subset": "test",
         "limit": "limit", "stride": "stride", "highpass": "highpass", "lowpass": "lowpass"}  # fmt: skip
DATA_OPTIONS = (*_KEYS, "tasks")
"""Names of the options of :func:`data_options`; the values of `_KEYS` are keys of ``[data]``."""


def data_options(function: F) -> F:
    """Which windows: files, folders or synthetic ones, how they are cut, and who may learn from whom."""
    kind = "Where windows come from.  [default: npy with --ppg-file, else synthetic]"
    leaky = "Who may learn from whom; random-segment leaks and says so."
    for option in (
        click.option("--seed", type=click.IntRange(0), default=None, show_default=False,
                     help="Draws synthetic windows and decides who is tested.  [default: 0]"),
        click.option("--windows-each", type=click.IntRange(1, 1000), default=None, show_default=False,
                     help="Synthetic windows of each person.  [default: 10]"),
        click.option("--subjects", type=click.IntRange(1, 100_000), default=None, show_default=False,
                     help="Synthetic persons.  [default: 150]"),
        click.option("--lowpass", type=float, default=None, metavar="HZ",
                     help="Causal low-pass of recordings, as on the device."),
        click.option("--highpass", type=float, default=None, metavar="HZ",
                     help="Causal high-pass of recordings, as on the device."),
        click.option("--stride", type=click.IntRange(1), default=None, show_default=False,
                     help="Samples from one window of a recording to the next.  [default: 1250, none overlap]"),
        click.option("--limit", type=click.IntRange(1), default=None, show_default=False,
                     help="Windows of each PulseDB subset at most."),
        click.option("--subset", type=click.Choice(["calfree", "calbased", "aami"]), default=None, show_default=False,
                     help="PulseDB's subset that is tested.  [default: calfree]"),
        click.option("--protocol", type=click.Choice(PROTOCOLS), default=None, show_default=False,
                     help=f"{leaky}  [default: calibration-free]"),
        click.option("--data", type=PATH, default=None, help="Folder of PPG-BP, PulseDB's subsets or WFDB records."),
        click.option("--source", type=click.Choice(SOURCES), default=None, show_default=False, help=kind),
        click.option("--tasks", default=None, metavar="LIST",
                     help="Columns of the labels, as SBP,DBP.  [default: what so many columns usually mean]",
                     show_default=False),
        click.option("--labels-file", type=PATH, default=None, help="Labels (N, tasks) as .npy."),
        click.option("--ppg-file", type=PATH, default=None, help="PPG windows (N, 1250) at 125 Hz as .npy."),
    ):  # fmt: skip
        function = option(function)
    return function


def second_set_options(function: F) -> F:
    """--test-source, --test-data, --test-ppg-file, --test-labels-file, --test-tasks: another data set, tested whole."""
    for option in (
        click.option("--test-tasks", default=None, metavar="LIST", help="As --tasks, of --test-labels-file."),
        click.option("--test-labels-file", type=PATH, default=None, help="As --labels-file."),
        click.option("--test-ppg-file", type=PATH, default=None, help="As --ppg-file."),
        click.option("--test-data", type=PATH, default=None, help="As --data."),
        click.option("--test-source", type=click.Choice(SOURCES), default=None,
                     help="Another data set, tested whole; the first one trains."),
    ):  # fmt: skip
        function = option(function)
    return function


def tested_elsewhere(options: dict[str, Any]) -> DataConfig | None:
    """Take the options of :func:`second_set_options` out of `options`; None where none was given."""
    given = {name: options.pop(f"test_{name}") for name in ("source", "data", "ppg_file", "labels_file", "tasks")}
    if not any(given.values()):
        return None
    return data_config(seed=options.get("seed"), **given)


def data_config(base: dict[str, Any] | None = None, **options: Any) -> DataConfig:
    """Return the data that options ask for, on top of a recipe's ``[data]`` table.

    Parameters
    ----------
    base : dict, optional
        ``[data]`` of a recipe.
    **options
        What the options of :func:`data_options` gave; None where they were not given.

    Raises
    ------
    ConfigError
        When they contradict one another.
    """
    from thumbnet.training.hemodynamics.sources import DataConfig

    table = dict(base or {})
    for option, key in _KEYS.items():
        value = options.get(option)
        if value is not None:
            table[key] = str(value) if isinstance(value, Path) else value
    if options.get("ppg_file") is not None and options.get("source") is None:
        table["source"] = "npy"
    if options.get("tasks"):
        table["tasks"] = [name.strip() for name in str(options["tasks"]).split(",")]
    return DataConfig.from_table(table)


def same_settings(first: Mapping[str, Any], second: Mapping[str, Any], keys: Iterable[str]) -> bool:
    """Whether two tables of data settings agree in some keys, however their files are spelled."""
    paths = ("folder", "ppg_file", "labels_file")
    return all(
        Path(str(first.get(key))).resolve() == Path(str(second.get(key))).resolve() if key in paths
        else first.get(key) == second.get(key)
        for key in keys
    )  # fmt: skip


def check_teacher(data: Mapping[str, Any], weights: Path) -> None:
    """Refuse a network that has learned from people who are tested now.

    Parameters
    ----------
    data : mapping
        Settings of the windows.
    weights : pathlib.Path
        The network; where `data.json` lies beside it, it tells what the network learned from.

    Raises
    ------
    HostToolsError
        When it learned from the same files, divided another way.
    """
    try:
        table = json.loads((weights.parent / "data.json").read_text(encoding="utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if data["source"] == "synthetic" or not same_settings(data, table, ("source", "folder", "ppg_file", "labels_file")):
        return
    for key in ("seed", "protocol", "fractions", "test"):
        if data.get(key) != table.get(key):
            raise HostToolsError(
                f"the network {weights} has learned from people who are tested here: data.{key} was {table.get(key)!r} "
                f"and is {data.get(key)!r}"
            )
