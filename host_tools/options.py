"""Arguments and options that several verbs share."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .choices import check_choice

if TYPE_CHECKING:
    from .boards import Board

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


def model_argument(function: F) -> F:
    """MODEL: a .tflite file or a bundle."""
    return click.argument("model", type=PATH)(function)


def json_option(function: F) -> F:
    """--json: the result as one JSON object alone on standard output."""
    text = "Print one JSON object, alone, on standard output."
    return click.option("--json", "as_json", is_flag=True, help=text, show_default=False)(function)


def schedule_option(function: F) -> F:
    """--schedule: how the generated code walks the network."""
    text = (
        "`whole`: layer after layer; `stream`: slice by slice along the axis that needs less memory (`stream-h`, "
        "`stream-w`: along that one); `auto`: whichever needs least memory."
    )
    return click.option("--schedule", default="whole", metavar="NAME", help=text)(function)


def workdir_option(function: F) -> F:
    """--workdir: keep sources and builds."""
    text = "Folder for sources and builds, kept for the next time.  [default: a temporary one]"
    return click.option("--workdir", type=PATH, default=None, help=text)(function)


def choose_board(name: str) -> Board:
    """Board of that name, hyphens and underscores taken as equal.

    Raises
    ------
    HostToolsError
        When there is none; lists all of them and the nearest.
    """
    from .boards import boards

    return boards()[check_choice("board", name, boards())]


@contextlib.contextmanager
def working_folder(given: Path | None) -> Iterator[Path]:
    """The user's working folder, or one that is removed afterwards."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="thumbnet-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
