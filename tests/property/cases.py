"""Problems that once failed on some runtime, kept for good."""

from __future__ import annotations

from .problem import Problem

CASES: tuple[Problem, ...] = ()
