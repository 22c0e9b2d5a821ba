"""Errors of the training room, each one sentence: what, where, what is allowed, what came.

TrainingError
├── ConfigError         a setting of a recipe or a function argument
├── RecordingError      a file that cannot be read as a recording
│   ├── ChannelError    a channel that is missing, flat, NaN or of an impossible rate
│   └── HypnogramError  stages that are missing or do not fit the signal
├── DatasetError        a folder or a set of epochs with nothing usable in it
├── CacheError          preprocessed epochs on disk that cannot be written, read or trusted
├── DownloadError       a data set that cannot be fetched, or came damaged
├── SplitError          epochs that cannot be divided as asked
└── ModelError          a network that cannot be built, trained or loaded as asked
"""

from __future__ import annotations


class TrainingError(Exception):
    """A user's mistake or a bad input that this room refuses."""


class ConfigError(TrainingError):
    """A setting is unknown, of the wrong type, or out of range."""


class RecordingError(TrainingError):
    """A file is missing, truncated or not a recording."""


class ChannelError(RecordingError):
    """A channel is missing, or its samples cannot be used."""


class HypnogramError(RecordingError):
    """Sleep stages are missing or do not fit the signal."""


class DatasetError(TrainingError):
    """A folder or set of epochs holds nothing usable."""


class CacheError(TrainingError):
    """Preprocessed epochs on disk cannot be written, read or trusted."""


class DownloadError(TrainingError):
    """Files of a data set cannot be fetched, or are not what their checksums say."""


class SplitError(TrainingError):
    """Epochs cannot be divided into train, validation and test as asked."""


class ModelError(TrainingError):
    """A network cannot be built, trained or loaded as asked."""
