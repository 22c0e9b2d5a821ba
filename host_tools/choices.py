"""Check a name against the allowed ones, with the sentence a user needs when it is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .errors import HostToolsError


def check_choice(what: str, got: str, allowed: Iterable[str]) -> str:
    """Return `got` when allowed, with hyphens and underscores taken as equal.

    Parameters
    ----------
    what
        What is being named, for the message (`board`, `target`, `engine`).
    got
        The user's word.
    allowed
        The known names.

    Raises
    ------
    HostToolsError
        When no allowed name matches; the message lists all of them and the nearest one.
    """
    names = list(allowed)
    spelled = {name.replace("_", "-").lower(): name for name in names}
    wanted = got.replace("_", "-").lower()
    if wanted in spelled:
        return spelled[wanted]
    near = difflib.get_close_matches(wanted, spelled, n=1)
    hint = f" (did you mean {spelled[near[0]]!r}?)" if near else ""
    raise HostToolsError(f"unknown {what} {got!r}{hint}; allowed: {', '.join(names)}")
