"""Footprints are read from image and map, and bad files are refused in a sentence."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from thumbnet.host_tools.elf import read_footprint
from thumbnet.host_tools.errors import ElfError

SOURCE = """
const int table[100] = {1};
static int counters[50];
int filled[25] = {3};
int main(int argc, char **argv) { (void)argv; counters[argc] = filled[argc]; return table[argc] + counters[0]; }
"""

MAP = """Archive member included to satisfy reference by file (symbol)

Discarded input sections

 .text.gone     0x0000000000000000       0x50 build/model/a.o

Linker script and memory map

.text           0x0000000000000048      0x824
 *(.text .text.*)
 .text.one      0x0000000000000048       0x10 build/model/a.o
 .text.a_name_that_is_too_long_for_its_column
                0x0000000000000058       0x20 /deep/with a space/model/tn_b.o
 *fill*         0x0000000000000078        0x8
 .text.main     0x0000000000000080       0x40 build/src/main.o
 .text          0x00000000000000c0       0x30 /usr/lib/libc_nano.a(lib_a-memcpy.o)
 .rodata.w      0x0000000000000100      0x100 build/model/a.o
 .data.t        0x0000000020000000        0x4 build/model/a.o
 .bss.s         0x0000000020000010       0x99 build/model/a.o
 COMMON         0x0000000020000100        0x8 build/model/a.o
 .debug_info    0x0000000000000000      0x999 build/model/a.o
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elf")
    (folder / "main.c").write_text(SOURCE)
    subprocess.run(["cc", "-O1", "main.c", "-o", "main.elf"], cwd=folder, check=True)
    if (folder / "main.elf").read_bytes()[:4] != b"\x7fELF":
        pytest.skip("this system's programs are not ELF")
    return folder / "main.elf"


def test_sections_and_symbols(program: Path) -> None:
    footprint = read_footprint(program)
    places = {section.name: section.place for section in footprint.sections}
    assert (places[".text"], places[".rodata"], places[".data"], places[".bss"]) == (
        "flash",
        "flash",
        "both",
        "ram",
    )
    sizes = {symbol.name: (symbol.size, symbol.kind, symbol.section) for symbol in footprint.symbols}
    assert sizes["table"] == (400, "object", ".rodata")
    assert sizes["counters"] == (200, "object", ".bss")
    assert sizes["filled"] == (100, "object", ".data")
    assert sizes["main"][1:] == ("function", ".text")
    assert [symbol.size for symbol in footprint.symbols] == sorted(
        (symbol.size for symbol in footprint.symbols), reverse=True
    )
    assert footprint.ram_bytes >= 300
    assert footprint.flash_bytes >= 500
    assert footprint.stack_bytes == 0


def test_without_a_map_nothing_is_said_of_the_model(program: Path) -> None:
    footprint = read_footprint(program)
    assert footprint.code_bytes is None
    assert footprint.weight_bytes is None


def test_map_counts_what_was_kept_of_the_model(program: Path, tmp_path: Path) -> None:
    (tmp_path / "x.map").write_text(MAP)
    footprint = read_footprint(program, tmp_path / "x.map")
    assert footprint.code_bytes == 0x10 + 0x20
    assert footprint.weight_bytes == 0x100 + 0x4


@pytest.mark.parametrize("content", [b"", b"hello", b"\x7fELF" + bytes(8), bytes(range(256)) * 8])
def test_not_an_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.elf"
    path.write_bytes(content)
    with pytest.raises(ElfError, match=r"x\.elf is not an ELF image"):
        read_footprint(path)


@pytest.mark.parametrize("size", [60, 300, 5000])
def test_truncated_image(program: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.elf"
    path.write_bytes(program.read_bytes()[:size])
    with pytest.raises(ElfError, match=r"x\.elf is not an ELF image"):
        read_footprint(path)


def test_missing_image(tmp_path: Path) -> None:
    with pytest.raises(ElfError, match=r"x\.elf cannot be read: No such file"):
        read_footprint(tmp_path / "x.elf")
