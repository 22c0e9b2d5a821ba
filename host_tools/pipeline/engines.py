"""Where folds and searches are computed: processes of this computer, or a Ray cluster, by the same command."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import HostToolsError

ENGINES = ("local", "ray")
LOG = "log.txt"
_POLL_SECONDS = 0.2
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "THUMBNET_THREADS")

OnDone = Callable[[Path], None]


@dataclass(frozen=True)
class Work:
    """A kind of task: the module that does it, and what people call one and several."""

    module: str
    name: str
    names: str


FOLD = Work(f"{__package__}.fold_work", "fold", "folds")


class FoldError(HostToolsError):
    """A fold that failed, or an engine that cannot be used; checkpoints and finished folds stay."""


@dataclass(frozen=True)
class Engine:
    """Where and how many at once.

    Attributes
    ----------
    kind : str
        "local" or "ray".
    jobs : int
        Tasks at once on this computer.
    address : str
        Of the Ray cluster: "auto", "host:port", "ray://host:port", or "local" for one of this process's own.
    """

    kind: str = "local"
    jobs: int = 1
    address: str = "auto"

    def __post_init__(self) -> None:
        if self.kind not in ENGINES:
            raise FoldError(f"--engine must be one of {list(ENGINES)}, got {self.kind!r}")
        if self.jobs < 1:
            raise FoldError(f"--jobs must be at least 1, got {self.jobs}")

    def run(self, tasks: Sequence[Path], threads: int, on_done: OnDone, work: Work = FOLD) -> None:
        """Do tasks of one kind, `on_done` called with each that is finished.

        Raises
        ------
        FoldError
            When one fails, with its last words, or Ray is not there.
        """
        if self.kind == "ray":
            run_on_ray(tasks, threads, self.address, on_done, work)
        else:
            run_locally(tasks, threads, self.jobs, on_done, work)


def run_locally(tasks: Sequence[Path], threads: int, jobs: int, on_done: OnDone, work: Work = FOLD) -> None:
    """Do tasks in processes of this computer, `jobs` at once; none survives an interrupt.

    Raises
    ------
    FoldError
        When one fails.
    """
    waiting = list(tasks)
    running: dict[Path, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop(0)
                running[task] = _start(task, threads, work)
            time.sleep(_POLL_SECONDS)
            for task, process in list(running.items()):
                if process.poll() is not None:
                    del running[task]
                    _check(task, process.returncode, work)
                    on_done(task)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def _start(task: Path, threads: int, work: Work) -> subprocess.Popen[bytes]:
    # The child keeps its own copy of the descriptor.
    with (task.parent / LOG).open("ab") as log:
        return subprocess.Popen(_command(task, work), env=_environment(threads), stdout=log, stderr=log,
                                stdin=subprocess.DEVNULL)  # fmt: skip


def _command(task: Path, work: Work) -> list[str]:
    return [sys.executable, "-m", work.module, str(task)]


def _environment(threads: int) -> dict[str, str]:
    """Environment of a task: its number of threads everywhere, Keras 2, a quiet TensorFlow."""
    limits = dict.fromkeys(_THREAD_LIMITS, str(threads))
    return {**os.environ, **limits, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def _check(task: Path, code: int, work: Work) -> None:
    if code:
        lines = (task.parent / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        words = lines[-1][:300] if lines and code > 0 else f"ended with code {code}"
        raise FoldError(
            f"{task.parent.parent.name} {work.name} {task.parent.name} failed: {words} (log: {task.parent / LOG}; "
            f"checkpoints and finished {work.names} stay, run again to go on)"
        )


def run_on_ray(tasks: Sequence[Path], threads: int, address: str, on_done: OnDone, work: Work = FOLD) -> None:
    """Do tasks on a Ray cluster, each on as many processors as it has threads.

    The folder of the run must be one that all computers of the cluster see under the same name.

    Raises
    ------
    FoldError
        When Ray is not installed, the cluster cannot be reached, or a fold fails.
    """
    ray = _connect(address)
    try:
        remote = ray.remote(num_cpus=threads, max_retries=2)(_on_worker)
        waiting = {remote.remote(str(task), threads, work): task for task in tasks}
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1)
            task = waiting.pop(ready[0])
            code, words = ray.get(ready[0])
            if words:
                raise FoldError(words)
            _check(task, code, work)
            on_done(task)
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:300]
        raise FoldError(f"the Ray cluster at {address} failed: {reason}; run again to go on") from error
    finally:
        ray.shutdown()


def _connect(address: str) -> Any:
    try:
        import ray
    except ImportError:
        raise FoldError("--engine ray needs the package ray: pip install 'thumbnet[ray]'") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FoldError(f"no Ray cluster at --address {address}: {reason}") from None
    return ray


def _on_worker(task: str, threads: int, work: Work) -> tuple[int, str]:
    """Run a task on a computer of the cluster; returns its exit code, and a sentence where it could not be tried."""
    import socket

    path = Path(task)
    if not path.is_file():
        return 2, (
            f"the Ray worker {socket.gethostname()} does not see {path.parent}; put the run's folder (--output) and "
            "the cache on a file system that all workers share"
        )
    process = _start(path, threads, work)
    return process.wait(), ""
