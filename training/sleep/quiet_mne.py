"""MNE without its chatter, its failures turned into one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ..errors import RecordingError, TrainingError


@contextmanager
def quiet_mne(path: Path, error_class: type[RecordingError] = RecordingError) -> Iterator[ModuleType]:
    """Give the mne module; whatever it raises about `path` becomes one sentence of `error_class`."""
    import mne

    with warnings.catch_warnings(), mne.use_log_level("ERROR"):
        warnings.simplefilter("ignore")
        try:
            yield mne
        except TrainingError:
            raise
        # MNE meets a malformed file with whatever its parser trips over: assertions, index and type errors.
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise error_class(f"{path.name}: MNE cannot read the file ({reason})") from error
