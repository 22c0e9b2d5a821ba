"""Where windows come from: one table of settings for every data set, and who may learn from which of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import ConfigError
from .protocols import CALIBRATION_FREE, FRACTIONS, PROTOCOLS, Division, divide, from_parts
from .quality import Rejections
from .synthetic import synthetic_windows
from .windows import WindowConfig
from .windowset import PpgWindows

SYNTHETIC, NPY, PPG_BP, PULSEDB, WFDB = "synthetic", "npy", "ppg-bp", "pulsedb", "wfdb"
SOURCES = (SYNTHETIC, NPY, PPG_BP, PULSEDB, WFDB)
_NEEDS_FOLDER = (PPG_BP, PULSEDB, WFDB)
_TEXT, _WHOLE = (str, "a text"), (int, "a whole number")
_KINDS = (*((name, *_TEXT) for name in ("source", "folder", "ppg_file", "labels_file", "test", "protocol")),
          *((name, *_WHOLE) for name in ("subjects", "each", "seed", "limit")),
          ("noise", int | float, "a number"), ("tasks", tuple, "a list of names"),
          ("fractions", tuple, "a list of three shares"))  # fmt: skip


@dataclass(frozen=True)
class DataConfig:
    """Which windows, and how they are divided.

    Attributes
    ----------
    source : str
        One of `SOURCES`.
    folder : str or None
        Of the sources `ppg-bp`, `pulsedb` and `wfdb`.
    ppg_file, labels_file : str or None
        Of the source `npy`.
    tasks : tuple of str
        Names of the columns of `labels_file`; empty: as many columns usually mean.
    subjects, each : int
        Persons and windows of each, `synthetic`.
    noise : float
        Factor on the disturbances, `synthetic`.
    seed : int
        Draws synthetic windows and decides who goes where.
    limit : int or None
        Windows of a PulseDB subset at most.
    test : str
        PulseDB's subset that is tested: "calfree", "calbased" or "aami".
    protocol : str
        One of :data:`.protocols.PROTOCOLS`; PulseDB's tested subset decides its own.
    fractions : tuple of float
        Shares of train, validation and test.
    windows : WindowConfig
        Rate, length, stride and filters where windows are cut from recordings.
    """

    source: str = SYNTHETIC
    folder: str | None = None
    ppg_file: str | None = None
    labels_file: str | None = None
    tasks: tuple[str, ...] = ()
    subjects: int = 150
    each: int = 10
    noise: float = 1.0
    seed: int = 0
    limit: int | None = None
    test: str = "calfree"
    protocol: str = CALIBRATION_FREE
    fractions: tuple[float, float, float] = FRACTIONS
    windows: WindowConfig = field(default_factory=WindowConfig)

    def __post_init__(self) -> None:
        for name, kind, words in _KINDS:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                raise ConfigError(f"data.{name} must be {words}, got {value!r}")
        if self.seed < 0:
            raise ConfigError(f"data.seed must be at least 0, got {self.seed}")
        if len(self.fractions) != 3 or not all(isinstance(share, int | float) for share in self.fractions):
            raise ConfigError(f"data.fractions must be three shares, got {list(self.fractions)!r}")
        if self.source not in SOURCES:
            raise ConfigError(f"data.source must be one of {list(SOURCES)}, got {self.source!r}")
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"data.protocol must be one of {list(PROTOCOLS)}, got {self.protocol!r}")
        if self.source in _NEEDS_FOLDER and not self.folder:
            raise ConfigError(f"data.folder must name the folder of the source {self.source!r}, got none")
        if self.source == NPY and not (self.ppg_file and self.labels_file):
            raise ConfigError("data.ppg_file and data.labels_file must name the files of the source 'npy', got none")

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> DataConfig:
        """Read ``[data]`` of a recipe; keys of :class:`.WindowConfig` stand in the same table.

        Raises
        ------
        ConfigError
            When a key is unknown or a value impossible.
        """
        own = {entry.name for entry in fields(cls)} - {"windows"}
        cutting = {entry.name for entry in fields(WindowConfig)}
        unknown = sorted(set(table) - own - cutting)
        if unknown:
            raise ConfigError(f"data.{unknown[0]} is no setting; the settings are {sorted(own | cutting)}")
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        return cls(
            windows=WindowConfig(**{key: value for key, value in values.items() if key in cutting}),
            **{key: value for key, value in values.items() if key in own},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, as :meth:`from_table` takes them."""
        own = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "windows"}
        both = {**own, **self.windows.to_dict()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in both.items()
                if value is not None}  # fmt: skip


@dataclass(frozen=True)
class Data:
    """Windows, who may learn from which, and what was rejected on the way (None where nothing is judged)."""

    windows: PpgWindows
    division: Division
    rejections: Rejections | None = None


def load_windows(
    config: DataConfig, progress: Callable[[int, int, str], None] | None = None
) -> tuple[PpgWindows, Rejections | None]:
    """Read or draw the windows of a source, undivided.

    Parameters
    ----------
    config : DataConfig
        PulseDB gives its training subset.
    progress : callable, optional
        Called as progress(done, total, name) where recordings are read one by one.

    Returns
    -------
    windows : PpgWindows
    rejections : Rejections or None
    """
    if config.source == SYNTHETIC:
        return synthetic_windows(config.subjects, config.each, config.seed, noise=config.noise), None
    if config.source == NPY:
        from .readers.npy_pair import read_npy_pair

        return read_npy_pair(config.ppg_file or "", config.labels_file or "", config.tasks or None), None
    if config.source == PPG_BP:
        from .readers.ppg_bp import read_ppg_bp

        return read_ppg_bp(config.folder or "", config.windows), None
    if config.source == PULSEDB:
        from .readers.pulsedb import read_pulsedb

        return read_pulsedb(config.folder or "", "train", config.limit), None
    from .readers.wfdb_records import read_wfdb_folder

    return read_wfdb_folder(config.folder or "", config.windows, progress=progress)


def load_data(config: DataConfig, progress: Callable[[int, int, str], None] | None = None) -> Data:
    """Read or draw the windows of a source and divide them under its protocol.

    Raises
    ------
    TrainingError
        When something cannot be read or divided.
    """
    if config.source == PULSEDB:
        from .readers.pulsedb import official_division

        return Data(*official_division(config.folder or "", config.test, config.limit, config.seed))
    windows, rejections = load_windows(config, progress)
    return Data(windows, divide(windows, config.protocol, config.seed, config.fractions), rejections)


def cross_data(trained: DataConfig, tested: DataConfig) -> Data:
    """Return two data sets with the tasks that both have: one to train on, the other to be tested whole.

    Raises
    ------
    ConfigError
        When they share no task.
    """
    (first, _), (second, rejections) = load_windows(trained), load_windows(tested)
    shared = tuple(task for task in first.tasks if task in second.tasks)
    if not shared:
        raise ConfigError(f"{first.name} and {second.name} share no task ({list(first.tasks)}, {list(second.tasks)})")
    pair = [part.with_tasks(shared).named_subjects(part.name) for part in (first, second)]
    return Data(*from_parts(*pair, CALIBRATION_FREE, trained.seed), rejections)
