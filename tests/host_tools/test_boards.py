"""The registry of boards agrees with PlatformIO's files, and counts instructions from ticks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from thumbnet.host_tools.boards import HOST, boards, firmware_dir, get_board, instructions
from thumbnet.host_tools.errors import BoardError

PLATFORM = firmware_dir() / "platform"


def test_names_and_order() -> None:
    assert {"qemu_m3", "qemu_m4", "qemu_m7", "qemu_m33", "qemu_m55", "netduinoplus2"} < set(boards())
    assert list(boards())[-1] == "host"


def test_every_core_has_flags_and_every_hal_a_source() -> None:
    cores = json.loads((PLATFORM / "cores.json").read_text())
    for board in boards().values():
        if board.is_host:
            continue
        about = json.loads((PLATFORM / "boards" / f"{board.name}.json").read_text())
        assert board.target in cores
        for part in about["thumbnet"]["hal"]:
            assert (firmware_dir() / "hal" / f"hal_{part}.c").is_file()
        assert about["upload"]["maximum_ram_size"] == board.ram_bytes
        assert about["upload"]["maximum_size"] == board.flash_bytes
        assert board.stack_bytes % 8 == 0
        assert 0 < board.stack_bytes < board.ram_bytes


def test_real_and_emulated() -> None:
    assert get_board("netduinoplus2").is_real
    assert get_board("netduinoplus2").ram_bytes == 128 * 1024
    assert get_board("stm32vldiscovery").is_real
    assert (get_board("stm32vldiscovery").ram_bytes, get_board("stm32vldiscovery").flash_bytes) == (8192, 128 * 1024)
    assert get_board("microbit").is_real
    assert (get_board("microbit").ram_bytes, get_board("microbit").flash_bytes) == (16384, 256 * 1024)
    assert (get_board("microbit").payload_bytes, get_board("microbit").ring_bytes) == (104, 128)
    assert (get_board("qemu_m4").payload_bytes, get_board("qemu_m4").ring_bytes) == (992, 1024)
    assert 5000 < get_board("stm32vldiscovery").model_ram_bytes < 6656
    assert HOST.model_ram_bytes == 0
    assert not get_board("qemu_m4").is_real
    assert not HOST.is_real


def test_unknown_board_names_those_there_are() -> None:
    with pytest.raises(BoardError, match=r"board: must be one of .*qemu_m4.*, host, not 'qemu_m5'\."):
        get_board("qemu_m5")


def test_qemu_arguments() -> None:
    arguments = get_board("qemu_m4").qemu_arguments(Path("x.elf"), "tcp:127.0.0.1:5000")
    assert arguments[:3] == ["qemu-system-arm", "-M", "mps2-an386"]
    assert arguments[-1] == "tcp:127.0.0.1:5000"
    assert "shift=6,sleep=off" in arguments
    with pytest.raises(BoardError, match="host has no QEMU machine"):
        HOST.qemu_arguments(Path("x.elf"), "null")


@pytest.mark.parametrize("hz", [16_000_000, 20_000_000, 24_000_000, 25_000_000, 32_000_000, 168_000_000])
@pytest.mark.parametrize("count", [0, 1, 2, 1_000_003, 36_000_000, 10**12])
def test_instructions_from_ticks(hz: int, count: int) -> None:
    """An instruction is 64 ns; the counter shows whole ticks."""
    assert abs(instructions(count * 64 * hz // 10**9, hz) - count) <= 1
