"""Arguments and options that several verbs share."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

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
        "`whole`: layer after layer; `stream`: slice by slice along the better axis (`stream-h`, `stream-w`: along "
        "that one); `min-ram`, `min-instructions`: the least of all; `auto`: the fewest instructions that fit the "
        "board, or little of both without one."
    )
    return click.option("--schedule", default="whole", metavar="NAME", help=text)(function)


class _Bytes(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A number of bytes: 8192, 8K, 0.5M."""

    name = "bytes"
    _UNITS: ClassVar[dict[str, int]] = {"": 1, "K": 1024, "M": 1024 * 1024}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Number of bytes; a usage error where it is none."""
        text = str(value).strip().upper().removesuffix("B")
        unit = text[-1:] if text[-1:] in ("K", "M") else ""
        try:
            number = float(text.removesuffix(unit)) * self._UNITS[unit]
        except ValueError:
            number = -1
        if not 0 < number < 1 << 32:
            self.fail(f"'{value}' is no number of bytes such as 8192, 8K or 0.5M", param, ctx)
        return int(number)


BYTES = _Bytes()


def max_ram_option(function: F) -> F:
    """--max-ram: the state that the model may take."""
    text = "Most state in bytes, as 8192 or 8K.  [default: the board's]"
    return click.option("--max-ram", type=BYTES, help=text)(function)


def limit_options(function: F) -> F:
    """--max-ram, --max-flash: what the model may take."""
    ram = max_ram_option
    flash = click.option("--max-flash", type=BYTES, help="Most flash, estimated.  [default: the board's]")
    return ram(flash(function))


def spread_option(function: F) -> F:
    """--spread: a bound on the work of one push."""
    text = "Layers that may run in one push of a stream, to even out the work; 0: as many as can."
    return click.option("--spread", type=click.IntRange(min=0), default=0, help=text)(function)


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
