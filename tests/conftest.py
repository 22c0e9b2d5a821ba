"""Fixtures every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real signals and public models; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("THUMBNET_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"real signals and public models are not on this machine ({folder})")
    return folder
