"""Layer names as people read them: converters join the names of everything they fused, often 300 letters."""

from __future__ import annotations

import re

_LONGEST = 44


def short_name(name: str, longest: int = _LONGEST) -> str:
    """First of the fused names, without the model's own name, cut at the front to `longest` letters.

    >>> short_name("net/block1_relu/Relu;net/block1_norm/FusedBatchNormV3;net/block1/Conv2D1")
    'block1_relu/Relu'
    """
    first = name.split(";")[0]
    path = first.split("/")
    short = "/".join(path[1:]) if len(path) > 2 else first
    return short if len(short) <= longest else "…" + short[1 - longest :]


def shorten_quoted(text: str) -> str:
    """Shorten the quoted fused names within a sentence."""
    return re.sub(r"'([^' ]*;[^' ]*)'", lambda found: f"'{short_name(found[1])}'", text)
