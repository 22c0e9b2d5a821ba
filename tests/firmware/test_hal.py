"""The boards keep the promises of hal.h: bytes, clock, stack gauge, floating point, faults.

Every emulated board is tried. QEMU says nothing about the clock tree, the pins and the baud rate of a real one.
"""

from __future__ import annotations

import json
import random
import re
import struct
import time
from pathlib import Path

import pytest
from boardlink import EMULATED, build_app, running
from thumbnet.host_tools.boards import firmware_dir, get_board, instructions
from thumbnet.host_tools.elf import read_footprint

pytestmark = pytest.mark.qemu

# Instructions between two readings of the clock that are not the loop between them.
READING_MOST = 40
# Of the interrupt that counts the wraps of the 24-bit counter.
WRAP_INSTRUCTIONS = 5


@pytest.fixture(scope="module", params=EMULATED)
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def elf(board: str) -> Path:
    result = build_app(board)
    assert "warning:" not in result.log
    return result.elf


def test_echo_loses_nothing(board: str, elf: Path) -> None:
    # QEMU's line is faster than any real one: no more than the ring holds is on its way at a time.
    data = random.Random(1).randbytes(min(1500, _ring_bytes(board) - 8))
    with running(board, elf) as device:
        for _ in range(12):
            device.connection.sendall(b"E" + struct.pack("<I", len(data)) + data)
            assert device.read(len(data)) == data


def test_clock_counts_instructions(board: str, elf: Path) -> None:
    with running(board, elf) as device:
        overheads = []
        for rounds in (1, 10, 1_000, 100_000, 5_000_000, 40_000_000):
            ticks, hz = device.ask("L", rounds, "<QI")
            assert hz == int(_clock_hz(board))
            wraps = ticks / 2**24
            extra = instructions(int(ticks), int(hz)) - 2 * rounds
            assert 0 < extra <= READING_MOST + WRAP_INSTRUCTIONS * (wraps + 1)
            overheads.append(extra)
        # Short runs agree to the quantum: a tick is shorter than an instruction.
        assert max(overheads[:4]) - min(overheads[:4]) <= 1


def test_clock_repeats_itself(board: str, elf: Path) -> None:
    counts = set()
    for _ in range(2):
        with running(board, elf) as device:
            counts.add(device.ask("L", 123_456, "<QI"))
    (ticks, hz), *others = sorted(counts)
    # The interrupt of the counter's wrap may fall into one run and not into the other.
    assert all(abs(other - ticks) * 10**9 / hz <= 64 * (1 + WRAP_INSTRUCTIONS) for other, _ in others)


def test_clock_never_goes_back(board: str, elf: Path) -> None:
    with running(board, elf) as device:
        backwards, least, most = device.ask("T", 200_000, "<IQQ")
        hz = int(_clock_hz(board))
        assert backwards == 0
        assert instructions(int(least), hz) > 10
        assert instructions(int(most), hz) < 100


def test_stack_gauge(board: str, elf: Path) -> None:
    with running(board, elf) as device:
        small, reserved = device.ask("P", 100, "<II")
        large, _ = device.ask("P", 900, "<II")
        assert reserved == get_board(board).stack_bytes == read_footprint(elf).stack_bytes
        assert large - small == 800
        assert 100 < small < 700


def test_floating_point_is_on(board: str, elf: Path) -> None:
    with running(board, elf) as device:
        quotients = device.ask("M", 5, "<16f")
    assert quotients == pytest.approx([(5 + i) / 3 for i in range(16)])


def test_a_full_ring_drops_and_counts(board: str, elf: Path) -> None:
    """What arrives while nobody reads fills the ring; the rest is lost, and counted."""
    lost, ring = 3000, _ring_bytes(board)
    with running(board, elf) as device:
        assert device.ask("D", lost, "<II", bytes(ring + lost)) == (ring, lost)
        assert device.ask("E", 3, "<3s", b"abc") == (b"abc",)


@pytest.mark.parametrize("how", [0, 1, 2], ids=["undefined instruction", "stack overflow", "null call"])
def test_faults_are_reported(board: str, elf: Path, how: int) -> None:
    with running(board, elf) as device:
        assert device.ask("F", how, "<5sI") == (b"FAULT", 3)


def test_waiting_costs_no_host_time(board: str, elf: Path) -> None:
    with running(board, elf) as device:
        device.ask("L", 100, "<QI")
        before = _cpu_seconds(device.process.pid)
        time.sleep(1.0)
        assert _cpu_seconds(device.process.pid) - before < 0.2
        device.ask("L", 100, "<QI")


def _cpu_seconds(pid: int) -> float:
    path = Path(f"/proc/{pid}/stat")
    if not path.is_file():
        pytest.skip("this system has no /proc to read processor time from")
    user, system = path.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / 100


def _clock_hz(board: str) -> int:
    return int(_defines(board)["HAL_CLOCK_HZ"])


def _ring_bytes(board: str) -> int:
    """Of the receive ring: the board's own, or what hal.h says."""
    header = (firmware_dir() / "hal" / "hal.h").read_text()
    default = int(re.findall(r"#define HAL_RX_RING_BYTES (\d+)u", header)[0])
    return _defines(board).get("HAL_RX_RING_BYTES", default)


def _defines(board: str) -> dict[str, int]:
    data = json.loads((firmware_dir() / "platform" / "boards" / f"{board}.json").read_text())
    return dict(data["thumbnet"]["defines"])
