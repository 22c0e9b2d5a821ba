"""Progress on standard error, one line a board, only where a person is watching."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Advance = Callable[[int], None]
NewTask = Callable[[str, int], Advance]


@contextlib.contextmanager
def progress_bars(active: bool = True) -> Iterator[NewTask]:
    """Give a function that opens a bar (name, total) and returns the function that advances it."""
    if not (active and sys.stderr.isatty()):
        yield lambda _name, _total: lambda _step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def new_task(name: str, total: int) -> Advance:
            task = bars.add_task(name, total=total)
            return lambda step: bars.update(task, advance=step)

        yield new_task
