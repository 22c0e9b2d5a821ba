"""Firmware is built once per content, for several boards at once; what cannot be built says why in a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from thumbnet.host_tools import build
from thumbnet.host_tools.build import BuildResult, build_firmware
from thumbnet.host_tools.elf import read_footprint
from thumbnet.host_tools.errors import BoardError, BuildError, ToolchainMissing

MODEL_C = """
#include "tn_app_model.h"
#if defined(TN_OBSERVE)
int observed(void);
int observed(void) { return 1; }
#endif
static const int8_t weights[1000] = {1, 2, 3};
int model_sum(int index) { return weights[index] + weights[999 - index]; }
"""
MODEL_H = "#include <stdint.h>\nint model_sum(int index);\n"
APP_C = """
#include "hal.h"
#include "tn_app_model.h"
int main(void)
{
    uint8_t byte = 0;
    hal_init();
    while (byte != 'q') {
        while (hal_read(&byte, 1) == 0)
            hal_wait();
        byte = (uint8_t)(byte + model_sum(byte));
        hal_write(&byte, 1);
    }
    return 0;
}
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model library, an application, and an empty cache."""
    monkeypatch.setenv("THUMBNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("THUMBNET_TOOLS", raising=False)
    for path, text in {
        "model/src/tn_app_model.h": MODEL_H,
        "model/src/model.c": MODEL_C,
        "app/main.c": APP_C,
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def make(sources: Path, board: str, **options: object) -> BuildResult:
    return build_firmware(sources / "model", board, app_dir=sources / "app", **options)  # type: ignore[arg-type]


def _make(job: tuple[Path, str]) -> bytes:
    return make(*job).elf.read_bytes()


def test_host_program_runs(sources: Path) -> None:
    result = make(sources, "host")
    done = subprocess.run([result.elf], input=b"\x05\x01", capture_output=True, timeout=20, check=True)
    assert done.stdout == bytes([5, 1 + 2])
    assert make(sources, "host").elf == result.elf


def test_sanitizers_stop_the_program(sources: Path) -> None:
    result = make(sources, "host", sanitize=True)
    assert subprocess.run([result.elf], input=b"\x05", capture_output=True, timeout=20, check=True).stdout == b"\x05"
    wrong = APP_C.replace("model_sum(byte)", "model_sum(byte * 100)")
    (sources / "app" / "main.c").write_text(wrong)
    bad = make(sources, "host", sanitize=True)
    done = subprocess.run([bad.elf], input=b"\x63", capture_output=True, timeout=20, check=False)
    assert done.returncode != 0
    assert b"runtime error" in done.stderr or b"AddressSanitizer" in done.stderr


def test_workdir_gets_its_own_files(sources: Path) -> None:
    first = make(sources, "host", workdir=sources / "run")
    assert first.elf == sources / "run" / "firmware.elf"
    again = make(sources, "host", workdir=sources / "run")
    assert again.elf.stat().st_mode & 0o100
    assert sorted(path.name for path in (sources / "run").iterdir()) == sorted(
        ["build.log", "firmware.elf"] + (["firmware.map"] if first.map else [])
    )


@pytest.mark.parametrize("change", ["model", "app", "observe", "flags", "compiler"])
def test_any_change_builds_anew(sources: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make(sources, "host").elf
    options: dict[str, object] = {}
    if change == "model":
        (sources / "model" / "src" / "model.c").write_text(MODEL_C.replace("{1, 2", "{2, 2"))
    elif change == "app":
        (sources / "app" / "main.c").write_text(APP_C + "\n")
    elif change == "observe":
        options["observe"] = True
    elif change == "flags":
        options["extra_flags"] = ["-DX=1"]
    else:
        monkeypatch.setenv("CC", "gcc")
    assert make(sources, "host", **options).elf != before


def test_old_builds_leave_the_cache(sources: Path) -> None:
    first = make(sources, "host").elf
    (sources / "app" / "main.c").write_text(APP_C + "\n")
    second = make(sources, "host").elf
    long_ago = time.time() - (build.KEPT_DAYS + 1) * 86400
    os.utime(first.parent, (long_ago, long_ago))
    (sources / "app" / "main.c").write_text(APP_C + "\n\n")
    make(sources, "host")
    assert not first.exists()
    assert second.exists()


@pytest.mark.qemu
def test_boards_at_once_from_an_empty_cache(sources: Path) -> None:
    jobs = [(sources, board) for board in ("qemu_m3", "qemu_m4", "qemu_m55", "netduinoplus2") for _ in range(2)]
    with ProcessPoolExecutor(4) as pool:
        images = list(pool.map(_make, jobs))
    assert images[0::2] == images[1::2]
    assert len(set(images)) == 4
    assert not [path for path in (sources / "cache" / "builds").iterdir() if path.name.startswith(".")]


@pytest.mark.qemu
def test_footprint_of_a_board(sources: Path) -> None:
    footprint = read_footprint(make(sources, "qemu_m4").elf)
    assert footprint.weight_bytes == 1000
    assert footprint.code_bytes is not None
    assert 8 <= footprint.code_bytes <= 40
    assert {symbol.name for symbol in footprint.symbols if symbol.is_model} == {"weights", "model_sum"}
    assert footprint.stack_bytes == 8192
    assert 1024 < footprint.ram_bytes < 1280
    assert footprint.flash_bytes > 1000 + footprint.code_bytes


@pytest.mark.qemu
def test_compile_error_names_line(sources: Path) -> None:
    (sources / "model" / "src" / "model.c").write_text("int wrong(void) { return missing; }\n")
    with pytest.raises(BuildError, match=r"qemu_m4 does not build: .*model\.c:1:26: error: 'missing' undeclared"):
        make(sources, "qemu_m4")


@pytest.mark.qemu
def test_too_large_for_the_board(sources: Path) -> None:
    (sources / "model" / "src" / "model.c").write_text(MODEL_C + "int8_t big[130000]; int8_t *at(int i);\n"
        "int8_t *at(int i) { return big + i; }\n")  # fmt: skip
    (sources / "app" / "main.c").write_text(
        APP_C.replace("hal_init();", "hal_init(); extern int8_t *at(int); *at(byte) = 1;")
    )
    with pytest.raises(BuildError, match=r"does not fit netduinoplus2: it overflows RAM by \d+ bytes \(of 131072\)"):
        make(sources, "netduinoplus2")
    assert make(sources, "qemu_m4").elf.is_file()


@pytest.mark.parametrize("call", ["malloc(4)", 'printf("x")'])
@pytest.mark.qemu
def test_heap_and_printf_do_not_link(sources: Path, call: str) -> None:
    (sources / "app" / "main.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n" + APP_C.replace("hal_init();", f"hal_init(); (void){call};")
    )
    with pytest.raises(BuildError, match="undefined reference to `_"):
        make(sources, "qemu_m4", extra_flags=["-fno-builtin"])


def test_host_compile_error(sources: Path) -> None:
    (sources / "app" / "main.c").write_text("int main(void) { return missing; }\n")
    with pytest.raises(BuildError, match=r"for host does not build: .*main\.c:1:\d+: error: .*missing"):
        make(sources, "host")


def test_not_a_model(sources: Path) -> None:
    with pytest.raises(BuildError, match=r"app is not a generated model library: no src/tn_app_model\.h there"):
        build_firmware(sources / "app", "host")


def test_unknown_board(sources: Path) -> None:
    with pytest.raises(BoardError, match="not 'uno'"):
        make(sources, "uno")


def test_only_the_host_is_sanitized(sources: Path) -> None:
    with pytest.raises(BuildError, match="sanitize: only the board host can"):
        make(sources, "qemu_m4", sanitize=True)


def test_missing_cross_compiler(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(sources))
    with pytest.raises(ToolchainMissing, match=r"arm-none-eabi-gcc is not on the PATH; install it with `apt"):
        make(sources, "qemu_m4")


def test_cross_compiler_without_library(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = sources / "bin" / "arm-none-eabi-gcc"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho libc_nano.a\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/bin:/usr/bin")
    with pytest.raises(ToolchainMissing, match="comes without newlib-nano; install it"):
        make(sources, "qemu_m4")


def test_missing_host_compiler(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-cc")
    with pytest.raises(ToolchainMissing, match="the C compiler no-such-cc is not on the PATH; install one"):
        make(sources, "host")


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
@pytest.mark.skipif(sys.platform == "win32", reason="the host board is a POSIX program")
def test_clang_has_no_complaint(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "clang")
    assert make(sources, "host", extra_flags=["-Werror"]).elf.is_file()
