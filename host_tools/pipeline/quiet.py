"""Keep what C++ libraries print away from the user, unless something goes wrong."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Swallow what native code writes to the standard output and error of this process, and warnings of Python.

    TensorFlow and its converter log past every setting of theirs, and warn about calls among themselves. Python's own
    standard error, and with it progress bars, still reaches the user. When the work inside fails without a sentence for
    the user, what native code wrote is printed, because it may hold the reason. One at a time, and not beside threads.
    """
    from ..cli import is_user_error

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log, contextlib.ExitStack() as undo:
        for descriptor in (1, 2):
            saved = os.dup(descriptor)
            undo.callback(os.close, saved)
            undo.callback(os.dup2, saved, descriptor)
            os.dup2(log.fileno(), descriptor)
        errors = undo.enter_context(os.fdopen(os.dup(saved), "w", buffering=1))
        undo.enter_context(contextlib.redirect_stderr(errors))
        undo.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.WARNING)
        undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as error:
            # A mistake of the user's has its sentence; the log would bury it.
            if not is_user_error(error):
                log.seek(0)
                errors.write(log.read().decode(errors="replace"))
            raise
        finally:
            sys.stdout.flush()
