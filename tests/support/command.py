"""Run the `thumbnet` command as a user does: a process of its own, with what it printed and what it cost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str
    cpu_seconds: float

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as one JSON object."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    @property
    def sentence(self) -> str:
        """The one line of an error; fails when standard error holds anything else."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("thumbnet: error: "), self.err
        return lines[0].removeprefix("thumbnet: error: ")


def thumbnet(*arguments: str | Path, environment: dict[str, str] | None = None, timeout: float = 300) -> Outcome:
    """Run one command line; `environment` is laid over this process's own."""
    command = [sys.executable, "-m", "thumbnet.host_tools", *map(str, arguments)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(done.returncode, done.stdout, done.stderr, cpu)
