"""Fixtures of the host tools' tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_models import small_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """File of a small model."""
    path = tmp_path / "small.tflite"
    path.write_bytes(small_model())
    return path
