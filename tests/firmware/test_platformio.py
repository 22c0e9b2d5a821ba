"""The PlatformIO project on its own, as a PlatformIO user meets it: `pio run`, targets, reproducible bytes.

PlatformIO's registry is never asked: THUMBNET_TOOLS=registry, and what `auto` does where a tool is missing, stay
untested here.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from boardlink import APP, EMPTY_MODEL, EMULATED
from thumbnet.host_tools.boards import boards, firmware_dir

pytestmark = pytest.mark.qemu

TIMEOUT_S = 120


def pio(project: Path, work: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PLATFORMIO_", "THUMBNET_"))}
    settings = {
        "PLATFORMIO_CORE_DIR": str(work / "core"),
        "PLATFORMIO_WORKSPACE_DIR": str(work / "workspace"),
        "PLATFORMIO_SRC_DIR": str(APP),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "THUMBNET_MODEL_DIR": str(EMPTY_MODEL),
        "THUMBNET_TOOLS": "system",
    }
    return subprocess.run(
        [sys.executable, "-m", "platformio", "run", "-d", str(project), *arguments],
        env=clean | settings | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def project_with(tmp_path: Path, setting: str) -> Path:
    """A copy of the project with one more setting for every board."""
    copy = tmp_path / "project"
    shutil.copytree(firmware_dir(), copy, ignore=shutil.ignore_patterns(".pio", "__pycache__"))
    settings = copy / "platformio.ini"
    settings.write_text(settings.read_text().replace("[env]\n", f"[env]\n{setting}\n"))
    return copy


def image(work: Path, board: str) -> Path:
    return work / "workspace" / "build" / board / "firmware.elf"


def test_every_board_has_an_environment() -> None:
    project = configparser.ConfigParser()
    project.read(firmware_dir() / "platformio.ini")
    environments = {name[4:]: project[name]["board"] for name in project.sections() if name.startswith("env:")}
    assert environments == {name: name for name in boards() if name != "host"}
    assert set(EMULATED) == set(environments)


def test_from_an_empty_core_folder(tmp_path: Path) -> None:
    done = pio(firmware_dir(), tmp_path, "-e", "qemu_m3", "-e", "netduinoplus2", THUMBNET_TOOLS="auto")
    assert done.returncode == 0, done.stdout
    assert "warning:" not in done.stdout
    for board in ("qemu_m3", "netduinoplus2"):
        assert image(tmp_path, board).is_file()
        assert image(tmp_path, board).with_suffix(".bin").is_file()
        assert image(tmp_path, board).with_suffix(".hex").is_file()
    assert not (firmware_dir() / "platform" / "__pycache__").is_symlink()


@pytest.mark.parametrize("board", ["qemu_m4", "qemu_m55", "netduinoplus2"])
def test_same_bytes_from_two_folders(tmp_path: Path, board: str) -> None:
    digests = set()
    for place in ("a", "rather/deep/and with a space/b"):
        root = tmp_path / place
        shutil.copytree(firmware_dir(), root / "firmware", ignore=shutil.ignore_patterns(".pio", "__pycache__"))
        shutil.copytree(APP, root / "app")
        shutil.copytree(EMPTY_MODEL, root / "model")
        done = pio(
            root / "firmware",
            root / "work",
            *("-e", board),
            PLATFORMIO_SRC_DIR=str(root / "app"),
            THUMBNET_MODEL_DIR=str(root / "model"),
            THUMBNET_BUILD_FLAGS="-g",
        )
        assert done.returncode == 0, done.stdout
        digests.add(hashlib.sha256(image(root / "work", board).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_two_checkouts_build_their_own_platform(tmp_path: Path) -> None:
    for place in ("one", "two"):
        copy = tmp_path / place
        shutil.copytree(firmware_dir(), copy, ignore=shutil.ignore_patterns(".pio", "__pycache__"))
        board = copy / "platform" / "boards" / "qemu_m4.json"
        board.write_text(board.read_text().replace('"name": "', f'"name": "{place}: '))
        done = pio(copy, tmp_path, "-e", "qemu_m4", PLATFORMIO_WORKSPACE_DIR=str(copy / ".pio"))
        assert f"> {place}: Arm" in done.stdout


def test_target_qemu_serves_the_serial_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert pio(firmware_dir(), tmp_path, "-e", "qemu_m4").returncode == 0
    work = tmp_path / "workspace"
    process = subprocess.Popen(
        [sys.executable, "-m", "platformio", "run", "-d", str(firmware_dir()), "-e", "qemu_m4", "-t", "qemu"],
        env=os.environ
        | {
            "PLATFORMIO_CORE_DIR": str(tmp_path / "core"),
            "PLATFORMIO_WORKSPACE_DIR": str(work),
            "PLATFORMIO_SRC_DIR": str(APP),
            "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
            "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
            "THUMBNET_MODEL_DIR": str(EMPTY_MODEL),
            "THUMBNET_QEMU_PORT": str(port),
            "THUMBNET_QEMU_SECONDS": "8",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with _connection(port) as connection:
            connection.sendall(b"E\x03\x00\x00\x00xyz")
            assert connection.makefile("rb").read(3) == b"xyz"
        assert process.wait(TIMEOUT_S) == 0
    finally:
        process.kill()


def _connection(port: int) -> socket.socket:
    for _ in range(100):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.1)
            continue
        return connection
    raise TimeoutError("nobody serves the serial port")


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["-e", "qemu_m4", "-t", "upload"], {}, "qemu_m4 has nothing to upload to; run it with `pio run"),
        (
            ["-e", "qemu_m4"],
            {"THUMBNET_TOOLS": "magic"},
            "must be one of auto, system, registry, not 'magic'",
        ),
        (["-e", "qemu_m4"], {"THUMBNET_MODEL_DIR": "/nowhere"}, "/nowhere is not a generated model library"),
        (["-e", "qemu_m4"], {"THUMBNET_BUILD_FLAGS": "-DHAL_RX_RING_BYTES=1000u"}, "must be a power of two"),
        (["-e", "qemu_m4"], {"THUMBNET_BUILD_FLAGS": "-DHAL_RX_RING_BYTES=8388608u"}, "`RAM' overflowed by"),
    ],
    ids=["emulated", "tools", "model", "ring", "overflow"],
)
def test_refusals(tmp_path: Path, arguments: list[str], environment: dict[str, str], sentence: str) -> None:
    done = pio(firmware_dir(), tmp_path, *arguments, **environment)
    assert done.returncode != 0
    assert sentence in done.stdout


def test_unknown_upload_protocol(tmp_path: Path) -> None:
    project = project_with(tmp_path, "upload_protocol = jtag")
    done = pio(project, tmp_path, "-e", "netduinoplus2", "-t", "upload")
    assert done.returncode != 0
    assert "upload_protocol must be one of openocd, pyocd, dfu, qemu, not 'jtag'" in done.stdout


def test_custom_upload_command(tmp_path: Path) -> None:
    project = project_with(tmp_path, "upload_protocol = custom\nupload_command = echo taken: $SOURCE")
    done = pio(project, tmp_path, "-e", "netduinoplus2", "-t", "upload")
    assert done.returncode == 0, done.stdout
    assert "taken: " in done.stdout


@pytest.mark.parametrize("protocol", ["openocd", "pyocd", "dfu"])
def test_upload_without_the_program_ends_with_its_name(tmp_path: Path, protocol: str) -> None:
    program = {"dfu": "dfu-util"}.get(protocol, protocol)
    if shutil.which(program):
        pytest.skip(f"{program} is installed here")
    project = project_with(tmp_path, f"upload_protocol = {protocol}")
    done = pio(project, tmp_path, "-e", "netduinoplus2", "-t", "upload")
    assert done.returncode != 0
    assert f"upload by {protocol} needs the program {program}, which is not on the PATH" in done.stdout


@pytest.mark.parametrize("protocol", ["openocd", "pyocd", "dfu"])
def test_upload_runs_the_program_and_reports_its_failure(tmp_path: Path, protocol: str) -> None:
    """A stand-in for the flashing program records its command line and fails as without a probe."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / {"dfu": "dfu-util"}.get(protocol, protocol)
    program.write_text('#!/bin/sh\necho "called: $@"\necho "Error: open failed" >&2\nexit 1\n')
    program.chmod(0o755)
    project = project_with(tmp_path, f"upload_protocol = {protocol}")
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    done = pio(project, tmp_path, "-e", "netduinoplus2", "-t", "upload", PATH=path)
    assert done.returncode != 0
    assert "Error: open failed" in done.stdout
    called = next(line for line in done.stdout.splitlines() if line.startswith("called: "))
    wanted = {
        "openocd": ("interface/stlink.cfg", "target/stm32f4x.cfg", "firmware.elf", "verify reset exit"),
        "pyocd": ("flash", "--no-wait", "stm32f405rg", "firmware.elf"),
        "dfu": ("0x08000000:leave", "firmware.bin"),
    }[protocol]
    assert all(part in called for part in wanted), called


def test_without_a_compiler_system_fails_at_once(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "sh").symlink_to("/bin/sh")
    started = time.monotonic()
    done = pio(firmware_dir(), tmp_path, "-e", "qemu_m4", PATH=str(bare))
    assert done.returncode != 0
    assert "no arm-none-eabi-gcc with newlib-nano on the PATH; install it with `apt install" in done.stdout
    assert time.monotonic() - started < 30
