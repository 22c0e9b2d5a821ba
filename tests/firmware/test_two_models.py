"""Two models in one image on emulated boards, sharing kernels; one is fed by the halves of a circular buffer.

What is tested: both compute what the oracle's reference computes, taking turns, and the image holds each kernel once.
What is not: a DMA controller itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from boardlink import running
from support.command import thumbnet
from support.small_models import two_inputs_model
from thumbnet.codegen import compile_model
from thumbnet.codegen.reference import run_model
from thumbnet.host_tools.boards import get_board
from thumbnet.host_tools.build import build_firmware
from thumbnet.host_tools.elf import read_footprint

pytestmark = pytest.mark.qemu

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "firmware" / "example_model" / "model.tflite"
CHANNELS, SLICES, HALF = 4, 3000, 24


@pytest.fixture(scope="module", params=["qemu_m4", "microbit"])
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def elf(board: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    second = folder / "second.tflite"
    second.write_bytes(two_inputs_model())
    for path, name, schedule in ((EXAMPLE, "first", "stream"), (second, "second", "whole")):
        done = thumbnet("generate", path, "--board", board, "--prefix", name, "--schedule", schedule,
                        "--output", folder / "models")  # fmt: skip
        assert done.code == 0, done.err
    made = build_firmware(
        folder / "models", board, app_dir=HERE / "two_models_app", extra_flags=["-Werror"], workdir=folder
    )
    return made.elf


def halves_of(window: np.ndarray) -> list[bytes]:
    """[channels][HALF] as they would lie in memory; the last one goes beyond the window."""
    padded = np.zeros((CHANNELS, -(-SLICES // HALF) * HALF), np.int8)
    padded[:, :SLICES] = window.reshape(CHANNELS, SLICES)
    return [padded[:, at : at + HALF].tobytes() for at in range(0, padded.shape[1], HALF)]


def test_both_are_exact(board: str, elf: Path) -> None:
    rng = np.random.default_rng(11)
    with running(board, elf) as device:
        for _ in range(2):
            window = rng.integers(-128, 128, (1, CHANNELS, SLICES, 1)).astype(np.int8)
            pair = [rng.integers(-128, 128, (1, 5)).astype(np.int8) for _ in range(2)]
            halves = halves_of(window)
            for number, half in enumerate(halves):
                device.connection.sendall(half)
                assert device.read(1) == bytes([number])
            device.connection.sendall(b"".join(value.tobytes() for value in pair))
            wanted = [*run_model(EXAMPLE.read_bytes(), [window]), *run_model(two_inputs_model(), pair)]
            expected = b"".join(value.tobytes() for value in wanted) + bytes([len(halves)])
            assert device.read(len(expected)) == expected


def test_every_kernel_is_linked_once(board: str, elf: Path) -> None:
    kernels = [s.name for s in read_footprint(elf).symbols if s.is_model and s.name.startswith("tn_")]
    assert kernels
    assert len(kernels) == len(set(kernels))


def test_models_share_the_files_of_their_kernels(board: str) -> None:
    target = get_board(board).target
    first = compile_model(EXAMPLE.read_bytes(), target=target, prefix="first", schedule="stream")
    second = compile_model(two_inputs_model(), target=target, prefix="second")
    shared = {name for name in first.files if name in second.files and name.endswith((".c", ".h"))}
    assert "src/tn_common.h" in shared
    assert all(first.files[name] == second.files[name] for name in shared)
