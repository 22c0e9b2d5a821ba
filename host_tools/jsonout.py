"""The machine-readable side of the command line: one versioned JSON object, alone, on standard output.

The schemas are described in docs/json-schemas.md; a key is never removed or redefined without a new version.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(schema: str, payload: Mapping[str, Any]) -> str:
    """Serialize a result with its schema name in front.

    Parameters
    ----------
    schema
        Name and version, as `parity/1`; the key `schema` becomes `thumbnet.parity/1`.
    payload
        JSON values, NumPy scalars and arrays; NaN and infinity are refused (ValueError).
    """
    return json.dumps({"schema": f"thumbnet.{schema}", **payload}, indent=2, default=_plain, allow_nan=False)


def emit(schema: str, payload: Mapping[str, Any]) -> None:
    """Print a result as one JSON object on standard output."""
    sys.stdout.write(dumps(schema, payload) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def quiet_stdout(active: bool = True) -> Iterator[None]:
    """Send what the work inside prints to standard error, so that standard output stays JSON alone."""
    with contextlib.redirect_stdout(sys.stderr) if active else contextlib.nullcontext():
        yield
