"""C types of the parameters of kernels, read from the kernels' headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from ..library import KERNELS

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRUCT = re.compile(r"typedef struct(?:\s+\w+)?\s*\{([^{}]*)\}\s*(\w+)\s*;")
_ALIAS = re.compile(r"typedef (tn_\w+) (tn_\w+);")
_FIELD = re.compile(r"([\w\s*]+?[\s*])(\w+)(?:\[\w+\])?$")


@cache
def _structs() -> Mapping[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = {}
    texts = [_COMMENT.sub("", header.read_text()) for header in sorted((KERNELS / "include").glob("*.h"))]
    for text in texts:
        for body, name in _STRUCT.findall(text):
            found[name] = {}
            for line in body.split(";"):
                match = _FIELD.match(line.strip())
                if match:
                    found[name][match.group(2)] = " ".join(match.group(1).split())
    for text in texts:
        found |= {name: found[other] for other, name in _ALIAS.findall(text)}
    return found


def field_type(struct: str, path: str) -> str:
    """C type of a field by its place, as ``output.zero_point`` or ``size[2]``; that of the element for an array."""
    kind = struct
    for name in path.split("."):
        kind = _structs()[kind][name.partition("[")[0]]
    return kind
