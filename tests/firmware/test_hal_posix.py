"""This computer as a board: the same bytes over a TCP connection as over pipes, and an end when the host ends."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from boardlink import EMPTY_MODEL
from thumbnet.host_tools.build import build_firmware

ECHO = """
#include "hal.h"
int main(void)
{
    uint8_t bytes[64];
    hal_init();
    for (;;) {
        const size_t count = hal_read(bytes, sizeof bytes);
        if (count == 0)
            hal_wait();
        hal_write(bytes, count);
    }
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = tmp_path_factory.mktemp("echo")
    (app / "main.c").write_text(ECHO)
    return build_firmware(EMPTY_MODEL, "host", app_dir=app, sanitize=True, extra_flags=["-Werror"]).elf


def test_pipes(program: Path) -> None:
    data = bytes(range(256)) * 100
    done = subprocess.run([program], input=data, capture_output=True, timeout=20, check=True)
    assert done.stdout == data


def test_connection(program: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        link = f"127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen([program], env={"THUMBNET_LINK": link}, stdin=subprocess.DEVNULL)
        try:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                connection.sendall(b"hello")
                assert connection.makefile("rb").read(5) == b"hello"
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("link", ["nonsense", ":5", "localhost:x", "127.0.0.1:1"])
def test_bad_links_end_at_once(program: Path, link: str) -> None:
    done = subprocess.run([program], env={"THUMBNET_LINK": link}, capture_output=True, timeout=20, check=False)
    assert done.returncode == 1
    assert b"THUMBNET_LINK" in done.stderr
