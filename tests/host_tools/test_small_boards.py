"""ULW-SleepNet on boards with 8 and 16 KB of RAM in QEMU, its samples streaming in over the serial port.

What is tested: outputs and every layer are exact, and memory stays within the limits, as linked and as used. What is
not: more than a few windows (64 and more are a matter of `thumbnet parity`), and the real boards.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import thumbnet
from thumbnet.host_tools.boards import get_board

pytestmark = pytest.mark.qemu

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "firmware" / "example_model" / "model.tflite"
SMALL = {"stm32vldiscovery": (8 << 10, 128 << 10), "microbit": (16 << 10, 256 << 10)}
STATE_MOST, LINK_MOST, STACK_MOST = 3 << 10, 512, 1536


@pytest.mark.parametrize("board", SMALL)
def test_the_linker_fills_the_chips_own_memory(board: str) -> None:
    assert (get_board(board).ram_bytes, get_board(board).flash_bytes) == SMALL[board]


@pytest.mark.parametrize("board", SMALL)
def test_outputs_and_layers_are_exact(board: str) -> None:
    done = thumbnet("parity", MODEL, "--board", board, "--schedule", "stream", "--windows", "2", "--layers", "--json")
    assert done.code == 0, done.err + done.out
    assert (done.json["windows"], done.json["mismatches"], done.json["layers_compared"]) == (2, 0, True)


@pytest.mark.slow
@pytest.mark.parametrize("board", SMALL)
def test_sixty_four_windows(board: str) -> None:
    done = thumbnet("parity", MODEL, "--board", board, "--schedule", "stream", "--windows", "64", "--json")
    assert done.code == 0, done.err + done.out
    assert (done.json["windows"], done.json["mismatches"]) == (64, 0)


@pytest.mark.parametrize("board", SMALL)
def test_memory_stays_within_the_limits(board: str) -> None:
    done = thumbnet("profile", MODEL, "--board", board, "--schedule", "stream", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["state_bytes"] <= STATE_MOST
    assert told["link_bytes"] <= LINK_MOST
    assert 0 < told["stack_bytes"] <= told["stack_reserved_bytes"] <= STACK_MOST
    ram, flash = SMALL[board]
    assert told["ram_bytes"] + told["stack_reserved_bytes"] <= ram
    assert told["flash_bytes"] <= flash
    # No window anywhere: all of RAM but state, link and stack is less than a thirtieth of one.
    assert told["ram_bytes"] - told["state_bytes"] - told["link_bytes"] < 400
    # What a board is said to leave for a model, it does leave.
    assert ram - told["ram_bytes"] - told["stack_reserved_bytes"] + told["state_bytes"] >= _room(board)
    # One of these frames holds a hundred samples: 3,000 pushes come in 120 of them.
    assert told["push_max"] < told["instructions"] / 100


def _room(board: str) -> int:
    room = get_board(board).model_ram_bytes
    assert 0.5 * SMALL[board][0] < room < SMALL[board][0]
    return room


def test_a_window_does_not_fit(tmp_path: Path) -> None:
    done = thumbnet("build", MODEL, "--board", "stm32vldiscovery", "--schedule", "whole", "--output", tmp_path)
    assert done.code != 0
    assert "does not fit stm32vldiscovery: it overflows RAM by" in done.sentence
