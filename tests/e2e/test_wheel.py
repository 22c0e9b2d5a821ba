"""The wheel: all that the rooms need travels in it, and `thumbnet` works from it far from the sources.

What is tested: a wheel built without network, unpacked, makes C for a core and builds and runs a host program. What
is not: that the locked dependencies can be downloaded (`make install` does that on a bare machine).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.small_models import small_model

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("training", "quantize", "codegen", "host_tools", "firmware")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of a wheel that is built from the files under version control."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        copy = folder / "sources" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    words = ["wheel", "--no-build-isolation", "--no-deps", "--quiet", "--wheel-dir", str(folder), "."]
    done = subprocess.run([sys.executable, "-m", "pip", *words], cwd=folder / "sources", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("these sources are not under version control")
    return [name for name in done.stdout.splitlines() if not name.startswith(("tests/", "docs/", "."))]


def test_every_file_of_the_rooms_travels(unpacked: Path) -> None:
    wanted = {name for name in tracked() if name.split("/")[0] in ROOMS}
    assert {name for name in wanted if not (unpacked / "thumbnet" / name).is_file()} == set()


def test_the_command_works_from_it(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(small_model())
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}

    def call(*words: str) -> str:
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert call("-c", "import thumbnet.codegen as found; print(found.__file__)").startswith(str(unpacked))
    thumbnet = ("-m", "thumbnet.host_tools")
    call(*thumbnet, "generate", "model.tflite", "--target", "cortex-m4", "--output", "out")
    assert (tmp_path / "out" / "src" / "model.c").is_file()
    told = json.loads(call(*thumbnet, "parity", "model.tflite", "--board", "host", "--windows", "2", "--json"))
    assert told["mismatches"] == 0
