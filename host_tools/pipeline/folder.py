"""The folder of a run: what each stage made of what, in `run.json`; every file appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..errors import HostToolsError
from .hashing import file_hash

SCHEMA = "thumbnet.run/1"
RUN_FILE = "run.json"
LOCK_FILE = ".lock"
_PARTIAL = ".partial-"

Work = Callable[[Path], Mapping[str, Any]]


class RunError(HostToolsError):
    """A folder that is not a run, or a stage of it that is missing."""


@dataclass
class StageRecord:
    """What one stage left behind.

    Attributes
    ----------
    key : str
        Hash of everything that the stage depends on.
    seconds : float
        How long it took when it last ran.
    outputs : dict
        Path inside the folder to SHA-256.
    facts : dict
        What later stages and the report want to know, JSON values.
    """

    key: str
    seconds: float
    outputs: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)


class RunFolder:
    """The folder of a run, shared by the threads of one process.

    Parameters
    ----------
    path : pathlib.Path
        The folder; made when missing.
    name : str
        The run's name.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.info: dict[str, Any] = {}
        self.stages: dict[str, StageRecord] = {}
        self._lock = threading.RLock()
        self._claim: IO[bytes] | None = None

    @classmethod
    def create(cls, path: Path, name: str) -> RunFolder:
        """Open a run's folder for work, taking up what an earlier run left there.

        Raises
        ------
        RunError
            When the folder holds something else, or cannot be written.
        """
        if path.is_dir() and any(path.iterdir()) and not (path / RUN_FILE).is_file():
            leftovers = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
            if leftovers:
                raise RunError(f"the output folder {path} holds {leftovers[0].name} but no {RUN_FILE}; choose another")
        folder = cls.open(path) if (path / RUN_FILE).is_file() else cls(path, name)
        folder.name = name
        path.mkdir(parents=True, exist_ok=True)
        folder._claim = claim(path)
        for rest in path.glob(f"{_PARTIAL}*"):
            shutil.rmtree(rest, ignore_errors=True)
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Read a run's folder.

        Raises
        ------
        RunError
            When there is no readable `run.json` of a known schema in it.
        """
        file = path / RUN_FILE
        if not file.is_file():
            raise RunError(f"{path} is not the folder of a run: there is no {file}")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            schema = content["schema"]
            if schema != SCHEMA:
                raise RunError(f"{file} has the schema {schema}, this version reads {SCHEMA}")
            folder = cls(path, content["name"])
            folder.stages = {name: StageRecord(**record) for name, record in content["stages"].items()}
            folder.info = {k: v for k, v in content.items() if k not in ("schema", "name", "stages")}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{file} is damaged ({error}); remove it to start the run anew") from None
        return folder

    def up_to_date(self, stage: str, key: str) -> bool:
        """Tell whether a stage was made from the same, and its files are as it left them."""
        record = self.stages.get(stage)
        return record is not None and record.key == key and all(
            (self.path / name).is_file() and file_hash(self.path / name) == digest
            for name, digest in record.outputs.items()
        )  # fmt: skip

    def perform(self, stage: str, key: str, work: Work) -> StageRecord:
        """Run a stage in a folder of its own, then move its files into place and note them.

        Parameters
        ----------
        stage : str
            Name of the stage.
        key : str
            Hash of what it depends on.
        work : callable
            Takes an empty folder, writes the stage's files there under their final names, returns its facts.
            When it raises, nothing of it stays.
        """
        started = time.monotonic()
        partial = self.path / f"{_PARTIAL}{stage.replace(':', '-')}"
        try:
            partial.mkdir()
            facts = dict(work(partial))
            names = sorted(p.relative_to(partial).as_posix() for p in partial.rglob("*") if p.is_file())
            outputs = {name: file_hash(partial / name) for name in names}
            with self._lock:
                self._drop(stage, keep=set(names))
                for name in names:
                    (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                    (partial / name).replace(self.path / name)
                record = StageRecord(key, round(time.monotonic() - started, 3), outputs, facts)
                self.stages[stage] = record
                self.save()
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return record

    def forget(self, keep: set[str]) -> None:
        """Remove the files and records of stages that the recipe no longer has."""
        with self._lock:
            for stage in [name for name in self.stages if name not in keep]:
                self._drop(stage, keep=set())
                del self.stages[stage]
            self.save()

    def _drop(self, stage: str, keep: set[str]) -> None:
        """Remove the files of a stage's earlier run; one that another stage has written since is that stage's."""
        record = self.stages.get(stage)
        others = {name for other, found in self.stages.items() if other != stage for name in found.outputs}
        for name in record.outputs if record else ():
            if name not in keep | others:
                (self.path / name).unlink(missing_ok=True)

    def output(self, name: str) -> Path:
        """Path of a file that a stage left.

        Raises
        ------
        RunError
            When it is missing.
        """
        path = self.path / name
        if not path.is_file():
            raise RunError(f"the run {self.path} lacks {name}; run its recipe again")
        return path

    def facts(self, stage: str) -> dict[str, Any]:
        """Facts of a stage that was run.

        Raises
        ------
        RunError
            When it was not.
        """
        if stage not in self.stages:
            raise RunError(f"the run {self.path} never finished its stage {stage}; run its recipe again")
        return self.stages[stage].facts

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `run.json`."""
        stages = {name: vars(record) for name, record in self.stages.items()}
        return {"schema": SCHEMA, "name": self.name, **self.info, "stages": stages}

    def save(self) -> None:
        """Write `run.json`, whole or not at all."""
        with self._lock:
            write_json(self.path / RUN_FILE, self.to_dict())


def claim(path: Path) -> IO[bytes]:
    """Keep other processes from working in a folder for as long as the returned file is open.

    Raises
    ------
    RunError
        When one already does.
    """
    file = (path / LOCK_FILE).open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise RunError(f"another process is working in {path}; wait for it, or choose another output folder") from None
    return file


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON by way of a file beside it, so that a reader sees the old or the new one."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text by way of a file beside it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
