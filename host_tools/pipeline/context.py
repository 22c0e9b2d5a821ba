"""What the stages of one run share: recipe, folder, signals in memory, and the way to run or skip a stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..modelfile import ModelFile, read_model
from ..recipes import Recipe
from .engines import Engine
from .folder import RunFolder, Work
from .hashing import code_hash, content_hash

if TYPE_CHECKING:
    from thumbnet.training.cache import CachedSet
    from thumbnet.training.epochs import EpochSet
    from thumbnet.training.sleep.config import SignalConfig
    from thumbnet.training.splits import Split

    from ..boards import Board
    from ..progress import NewTask

Say = Callable[[str], None]


@dataclass
class Run:
    """One run under way.

    Attributes
    ----------
    recipe : Recipe
        What to do; `--data` and `--board` are already part of it.
    folder : RunFolder
        Where everything goes.
    boards : sequence of Board
        The boards of the recipe.
    say : callable
        Takes one line of progress.
    new_task : callable
        Opens a progress bar.
    engine : Engine
        Where folds are computed.
    """

    recipe: Recipe
    folder: RunFolder
    boards: Sequence[Board]
    say: Say
    new_task: NewTask
    engine: Engine = field(default_factory=Engine)
    fresh: set[str] = field(default_factory=set)

    def stage(self, name: str, depends: Mapping[str, Any], code: Sequence[str], work: Work) -> dict[str, Any]:
        """Run a stage, or find it up to date.

        Parameters
        ----------
        name : str
            As `run.json` calls it; a stage of one board is `stage:board`.
        depends : mapping
            JSON values that decide the result: parts of the recipe, hashes of files, versions.
        code : sequence of str
            Rooms (or folders and files in them) whose sources decide the result.
        work : callable
            See :meth:`.folder.RunFolder.perform`.

        Returns
        -------
        dict
            The stage's facts.
        """
        key = content_hash({"stage": name, "code": code_hash(*code), "depends": depends})
        if self.folder.up_to_date(name, key):
            self.say(f"{name:24} up to date")
            return self.folder.facts(name)
        self.say(f"{name:24} ...")
        started = time.monotonic()
        record = self.folder.perform(name, key, work)
        self.fresh.add(name)
        self.say(f"{name:24} done in {time.monotonic() - started:.1f} s")
        return record.facts

    def output_hash(self, stage: str, name: str) -> str:
        """SHA-256 of a file that a stage left."""
        return self.folder.stages[stage].outputs[name]

    @cached_property
    def config(self) -> SignalConfig:
        """How recordings are read."""
        from thumbnet.training.sleep.config import SignalConfig

        return SignalConfig.from_table(self.recipe.signals.reader_settings())

    @property
    def data(self) -> Path:
        """Folder of the recordings: the user's, or the synthetic ones of this run."""
        folder = self.recipe.signals.folder
        return Path(folder) if folder else self.folder.path / "signals"

    @property
    def is_synthetic(self) -> bool:
        """Whether the recordings are made up."""
        return not self.recipe.signals.folder

    @cached_property
    def cached(self) -> CachedSet:
        """All recordings, preprocessed on disk; read when a stage needs them."""
        return self.read_recordings(self.data)

    @cached_property
    def epochs(self) -> EpochSet:
        """All windows to learn from; their signals stay on disk."""
        return self.cached.epochs()

    def read_recordings(self, folder: Path) -> CachedSet:
        """Bring the recordings of a folder into the cache, with a progress bar."""
        from thumbnet.training.sleep.cached import cached_folder
        from thumbnet.training.sleep.dataset import find_recordings

        own = not self.recipe.signals.cache
        place = self.folder.path / "cache" if own else Path(self.recipe.signals.cache)
        advance = self.new_task("reading recordings", len(find_recordings(folder, self.config)[0]))
        return cached_folder(folder, self.config, place, progress=lambda _done, _total, _name: advance(1), prune=own)

    @cached_property
    def split(self) -> Split:
        """Who trains, validates and tests."""
        from thumbnet.training.splits import subject_split

        return subject_split(self.epochs, self.recipe.training.seed, self.recipe.training.fractions)

    @cached_property
    def model(self) -> ModelFile:
        """The int8 model with its bundle."""
        return read_model(self.folder.output("model.bundle"))
