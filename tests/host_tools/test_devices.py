"""Ways to a device: a process of this computer, QEMU over a socket, a serial port; and how each of them fails.

What is tested: bytes pass, nothing outlives its pipe, and every failure is one sentence. The link itself is tested in
test_link_client.py; here it only shows that the way carries it.
"""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.links import build_fake, fake_checksums, fake_outputs, windows
from thumbnet.host_tools.boards import get_board
from thumbnet.host_tools.devices import open_device, process, qemu, serial
from thumbnet.host_tools.errors import (
    BoardError,
    DeviceClosed,
    DeviceError,
    DeviceFaulted,
    DeviceTimeout,
    ToolchainMissing,
)
from thumbnet.host_tools.link.client import DeviceClient
from thumbnet.host_tools.link.exchange import Timing

EMULATED = ("qemu_m3", "qemu_m4", "qemu_m7", "qemu_m33", "qemu_m55", "netduinoplus2")
SMALL = ("stm32vldiscovery", "microbit")
SIZE = 1200


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def program(folder: Path, script: str) -> Path:
    """Shell script that stands where an image or an emulator would."""
    path = folder / "device"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# ---- this computer ----


def test_host_device_answers_and_ends_with_its_pipe():
    with open_device("host", build_fake(input_bytes=SIZE)) as pipe:
        (block,) = windows(1, SIZE, seed=1)
        assert DeviceClient(pipe).infer(block) == fake_outputs(block)
        process_id = pipe.process_id
        assert alive(process_id)
    assert not alive(process_id)
    pipe.close()


def test_a_device_that_ignores_its_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "END_TIMEOUT_S", 0.2)
    with open_device("host", program(tmp_path, "trap '' TERM\nprintf R\nwhile :; do sleep 0.05; done")) as pipe:
        assert pipe.read(5.0) == b"R"
    assert not alive(pipe.process_id)


def test_what_a_dying_device_says_is_told(tmp_path: Path):
    with (
        open_device("host", program(tmp_path, "echo no such register >&2; exit 3")) as pipe,
        pytest.raises(DeviceClosed, match=r"the device host ended with code 3: no such register$"),
    ):
        pipe.read(5.0)


def test_a_killed_device_is_told_from_a_silent_one(tmp_path: Path):
    with (
        open_device("host", program(tmp_path, "kill -9 $$")) as pipe,
        pytest.raises(DeviceClosed, match="the device host was ended by SIGKILL"),
    ):
        pipe.read(5.0)
    with open_device("host", program(tmp_path, "exec sleep 60")) as pipe:
        started = time.monotonic()
        with pytest.raises(DeviceTimeout, match=r"did not answer HELLO within 0\.2"):
            DeviceClient(pipe, Timing(timeout=0.2)).hello()
        assert time.monotonic() - started < 2


def test_a_device_that_reads_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "SEND_TIMEOUT_S", 0.2)
    with (
        open_device("host", program(tmp_path, "exec sleep 60")) as pipe,
        pytest.raises(DeviceTimeout, match=r"the device host took no bytes for 0\.2 s"),
    ):
        pipe.write(bytes(5_000_000))


def test_a_file_that_is_no_program_is_told(tmp_path: Path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(DeviceError, match="the device host cannot be started: "), open_device("host", path):
            pass


def test_an_unknown_board_is_told(tmp_path: Path):
    with pytest.raises(BoardError, match="board: must be one of"), open_device("qemu_m99", tmp_path):
        pass


# ---- QEMU ----


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a shell script where QEMU would be."""

    def install(script: str):
        program(tmp_path, script).rename(tmp_path / "qemu-system-arm")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        image = tmp_path / "image.elf"
        image.write_bytes(b"")
        return image

    return install


def test_a_missing_emulator_is_told(emulator, monkeypatch: pytest.MonkeyPatch):
    image = emulator("exit 0")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolchainMissing, match="qemu-system-arm is not on the PATH; install it with"):
        qemu.open_qemu(get_board("qemu_m4"), image)


def test_what_the_emulator_complains_about_is_told(emulator):
    image = emulator("echo unsupported machine type >&2; exit 1")
    with pytest.raises(DeviceClosed, match="the device qemu_m4 ended with code 1: unsupported machine type"):
        qemu.open_qemu(get_board("qemu_m4"), image)


def test_an_emulator_that_never_connects_is_ended(emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(qemu, "CONNECT_TIMEOUT_S", 0.3)
    image = emulator(f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with pytest.raises(DeviceTimeout, match=r"the device qemu_m4 did not connect within 0\.3 s"):
        qemu.open_qemu(get_board("qemu_m4"), image)
    assert not alive(int((tmp_path / "pid").read_text()))


def test_a_missing_image_and_a_board_without_emulator_are_told(tmp_path: Path):
    with pytest.raises(DeviceError, match=r"the image .*none\.elf does not exist"):
        qemu.open_qemu(get_board("qemu_m4"), tmp_path / "none.elf")
    image = tmp_path / "image.elf"
    image.write_bytes(b"")
    with pytest.raises(BoardError, match="board: qemu_m4 has no QEMU machine"):
        qemu.open_qemu(replace(get_board("qemu_m4"), machine=None), image)


@pytest.mark.qemu
def test_what_qemu_itself_refuses_is_told(tmp_path: Path):
    image = tmp_path / "image.elf"
    image.write_bytes(b"not an image")
    board = replace(get_board("qemu_m4"), machine="no-such-machine")
    with pytest.raises(DeviceClosed, match=r"the device qemu_m4 ended with code 1: .*unsupported machine type"):
        qemu.open_qemu(board, image)


@pytest.mark.qemu
@pytest.mark.parametrize("board", EMULATED)
def test_every_mode_on_every_emulated_board(board: str):
    image = build_fake(board, input_bytes=SIZE, observe=True)
    with open_device(board, image) as pipe:
        client = DeviceClient(pipe)
        for block in windows(2, SIZE, seed=7):
            assert client.infer(block) == fake_outputs(block)
            reply = client.parity(block)
            assert (reply.outputs, reply.checksums) == (fake_outputs(block), fake_checksums(block))
        first, second = client.profile(block), client.profile(block)
        # The same instructions, but for the timer's own interrupt, which may fall into either run (64 ns each).
        interrupt = 20 * client.hello().ticks_hz * 64e-9
        assert abs(first.stack_bytes - second.stack_bytes) <= 128
        assert abs(first.ticks - second.ticks) <= interrupt
        assert max(abs(a - b) for a, b in zip(first.layer_ticks, second.layer_ticks, strict=True)) <= interrupt
        assert abs(sum(first.layer_ticks) - first.ticks) < 0.05 * first.ticks
        assert min(first.layer_ticks) > SIZE // 5
        assert 100 < first.stack_bytes < 1500
        assert [result.outputs for result in client.stream([block], channels=1)] == [fake_outputs(block)]
        stats = client.stats()
        assert (stats.lost, stats.malformed, stats.corrupted) == (0, 0, 0)


@pytest.mark.qemu
@pytest.mark.parametrize("board", [*SMALL, "qemu_m4"])
def test_every_mode_of_a_streamed_model(board: str):
    image = build_fake(board, input_bytes=SIZE, payload=None, channels=4, observe=True)
    with open_device(board, image) as pipe:
        client = DeviceClient(pipe)
        assert (client.hello().slices, client.hello().payload_bytes) == (SIZE // 4, 104 if board in SMALL else 992)
        for block in windows(2, SIZE, seed=7):
            assert client.infer(block) == fake_outputs(block)
            reply = client.parity(block)
            assert (reply.outputs, reply.checksums) == (fake_outputs(block), fake_checksums(block))
        told = client.profile(block)
        assert told.outputs == fake_outputs(block)
        assert min(told.layer_ticks) > SIZE // 5
        assert 100 < told.stack_bytes < 1500
        assert told.pushes is not None
        assert 0 < told.pushes.push_mean <= told.pushes.push_max
        stats = client.stats()
        assert (stats.lost, stats.malformed, stats.corrupted) == (0, 0, 0)


@pytest.mark.qemu
def test_small_frames_on_an_emulated_board():
    with open_device("qemu_m3", build_fake("qemu_m3", input_bytes=SIZE, payload=64)) as pipe:
        for block in windows(2, SIZE, seed=8):
            assert DeviceClient(pipe).infer(block) == fake_outputs(block)


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["qemu_m4", "qemu_m33"])
def test_a_processor_fault_reaches_the_host(board: str):
    with (
        open_device(board, build_fake(board, input_bytes=SIZE)) as pipe,
        pytest.raises(DeviceFaulted, match=rf"the processor of {board} stopped with a \w+ fault \(exception \d\)"),
    ):
        DeviceClient(pipe).infer(b"\x7e" + bytes(SIZE - 1))


@pytest.mark.qemu
def test_an_emulator_that_dies_is_told():
    with open_device("qemu_m4", build_fake("qemu_m4", input_bytes=SIZE)) as pipe:
        client = DeviceClient(pipe)
        client.hello()
        os.kill(pipe.process_id, 9)
        with pytest.raises(DeviceClosed, match="the device qemu_m4 was ended by SIGKILL"):
            client.infer(bytes(SIZE))


@pytest.mark.qemu
def test_the_command_that_is_ended_ends_its_emulators(tmp_path: Path, model: Path):
    """SIGTERM to the command alone, as a supervisor sends it."""
    arguments = ("parity", model, "--board", "qemu_m4", "--windows", "1000000", "--workdir", tmp_path)
    command = subprocess.Popen([sys.executable, "-m", "thumbnet.host_tools", *arguments], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (emulators := children(command.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    command.terminate()
    assert command.wait(20) == 130
    assert emulators
    assert not any(map(alive, emulators))


def children(process_id: int) -> list[int]:
    """Emulators that a process has started."""
    found = subprocess.run(["pgrep", "-P", str(process_id), "qemu"], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


# ---- serial ports ----


@pytest.fixture
def terminal():
    """A device behind a pseudo-terminal, as behind a USB adapter: (name of the port, the far end)."""
    pty = pytest.importorskip("pty")
    far, near = pty.openpty()
    yield os.ttyname(near), far
    os.close(near)
    os.close(far)


def test_a_serial_port_carries_every_byte_value(terminal):
    port, far = terminal
    everything = bytes(range(256))
    with serial.SerialPipe(port, name="board X") as pipe:
        assert pipe.name == "board X"
        assert pipe.read(0.05) == b""
        pipe.write(everything)
        assert os.read(far, 1000) == everything
        os.write(far, everything)
        got = b""
        while len(got) < 256:
            got += pipe.read(5.0)
        assert got == everything
    with pytest.raises(DeviceClosed, match="the device board X has gone"):
        pipe.read(1.0)


def test_a_board_behind_a_socket_url_serves():
    """`socket://` is how pyserial reaches a board on another computer, or QEMU as the server."""
    image = build_fake(input_bytes=SIZE)
    with socket.create_server(("127.0.0.1", 0)) as server, open_device("host", image) as device:
        thread = threading.Thread(target=relay, args=(server, device), daemon=True)
        thread.start()
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        with open_device("netduinoplus2", Path("flashed"), port=url) as pipe:
            client = DeviceClient(pipe)
            for block in windows(2, SIZE, seed=9):
                assert client.infer(block) == fake_outputs(block)
        thread.join(10)


def relay(server: socket.socket, device) -> None:
    connection, _ = server.accept()
    with connection:
        connection.settimeout(0.002)
        while True:
            try:
                data = connection.recv(4096)
                if not data:
                    return
                device.write(data)
            except TimeoutError:
                pass
            back = device.read(0.002)
            if back:
                connection.sendall(back)


def test_a_port_that_cannot_be_opened_is_told():
    with pytest.raises(DeviceError, match="the serial port /dev/nonexistent0 cannot be opened"):
        serial.SerialPipe("/dev/nonexistent0")
    with pytest.raises(DeviceError, match="the serial port nonsense://x cannot be opened"):
        serial.SerialPipe("nonsense://x")


@pytest.mark.parametrize(
    ("ports", "found"),
    [
        ([], "no USB serial port was found; connect the board, or name its port"),
        ([("/dev/ttyS0", None)], "no USB serial port was found"),
        ([("/dev/ttyS0", None), ("/dev/ttyACM0", 0x0483)], "/dev/ttyACM0"),
        (
            [("/dev/ttyUSB1", 1), ("/dev/ttyACM0", 1)],
            "several USB serial ports; name one of /dev/ttyACM0, /dev/ttyUSB1",
        ),
    ],
)
def test_the_port_is_found_when_there_is_one(monkeypatch: pytest.MonkeyPatch, ports, found):
    from serial.tools import list_ports

    infos = [SimpleNamespace(device=device, description=None, vid=vid) for device, vid in ports]
    monkeypatch.setattr(list_ports, "comports", lambda: infos)
    if found.startswith("/dev"):
        assert serial.find_port() == found
    else:
        with pytest.raises(DeviceError, match=found):
            serial.find_port()
