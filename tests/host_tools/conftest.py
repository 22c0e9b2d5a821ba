"""Fixtures of the host tools' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.small_models import small_model


@pytest.fixture(scope="session", autouse=True)
def one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Builds are shared within the session and kept apart from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THUMBNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """File of a small model."""
    path = tmp_path / "small.tflite"
    path.write_bytes(small_model())
    return path
