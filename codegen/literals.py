"""C text for numbers, initializers, names and comments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import OptionError
from .ops.base import Init

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")
_LINE = 110
# Words that C or C++ keep for themselves and a prefix could hit.
_KEYWORDS = frozenset(
    """
    auto bool break case catch char class const continue default delete do double else enum explicit export extern
    false float for friend goto if inline int long mutable namespace new nullptr operator private protected public
    register restrict return short signed sizeof static struct switch template this throw true try typedef typename
    union unsigned using virtual void volatile while
    """.split()
)
# Names of other files: the manifest would be lost, or <string.h> would find the model's header.
_FILES = frozenset(
    """
    library assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg stdbool stddef
    stdint stdio stdlib string tgmath time wchar wctype
    """.split()
)


def check_prefix(prefix: str) -> str:
    """Accept a prefix of generated names; OptionError when it is not an identifier."""
    lower = prefix.lower()  # some file systems do not tell cases apart, and macros are in capitals
    taken = prefix in _KEYWORDS or lower in _FILES or lower.startswith("tn_")
    if taken or not _IDENTIFIER.fullmatch(prefix):
        raise OptionError(
            f"prefix '{prefix}' is not allowed: a letter, then at most 40 letters, digits or underscores, "
            "no C keyword, no name of a standard header, not 'library' and not starting with 'tn_'"
        )
    return prefix


def c_array(values: npt.NDArray[Any]) -> list[str]:
    """Lines of numbers for the inside of an array initializer."""
    lines: list[str] = []
    line = ""
    rows = values.tolist() if is_struct(values) else values.reshape(-1).tolist()
    for value in rows:
        item = (c_initializer(value, {}) if isinstance(value, list) else c_number(value)) + ","
        if line and len(line) + 1 + len(item) > _LINE - 4:
            lines.append(line)
            line = ""
        line = f"{line} {item}" if line else item
    return [*lines, line] if line else lines


def is_struct(values: npt.NDArray[Any]) -> bool:
    """Arrays of structures are held as int64, one row an element; everything else has its own type."""
    return values.dtype == np.int64 and values.ndim == 2


def c_number(value: int | float) -> str:
    """Exact C literal."""
    if isinstance(value, float):
        return f"{value.hex()}f"
    return "(-2147483647 - 1)" if value == -(2**31) else str(int(value))  # int: booleans are numbers in C


def c_initializer(value: Init, names: Mapping[str, str]) -> str:
    """One-line initializer; strings in it are formatted with `names`."""
    if isinstance(value, str):
        return value.format(**names)
    if isinstance(value, int):
        return c_number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f".{key} = {c_initializer(item, names)}" for key, item in value.items()) + "}"
    return "{" + ", ".join(c_initializer(item, names) for item in value) + "}"


def comment_safe(text: str) -> str:
    """Layer names come from strangers: nothing in them may end the comment."""
    return re.sub(r"[^A-Za-z0-9_.:;/ \-\[\]]", "_", text).replace("*/", "*_").replace("/*", "_*")[:80]
