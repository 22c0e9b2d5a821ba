"""What a release build of the device application must not hold, on every board: newlib's printf, and a heap.

The image and the linker's map are searched, so that neither a symbol nor a member of the C library slips through.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from boardlink import EMULATED
from support.command import thumbnet

pytestmark = pytest.mark.qemu

MODEL = Path(__file__).resolve().parents[2] / "firmware" / "example_model" / "model.tflite"
UNWANTED = re.compile(
    r"^_*(v?[sfd]?i?n?printf|[vfs]*i?scanf|[a-z]*alloc|free|sbrk|dtoa|strtod|puts|putchar|fwrite|impure_\w+|"
    r"malloc_\w+|printf_\w+|exit|isatty|fstat|lseek)(_r|_float)?$"
)
"""Names of functions; the same match the members of newlib's archive, without `lib_a-` and `nano-` in front."""


def found_in(names: list[str]) -> set[str]:
    return {name for name in names if UNWANTED.match(name)}


def symbols(elf: Path) -> list[str]:
    listed = subprocess.run(["arm-none-eabi-nm", str(elf)], capture_output=True, text=True, check=True).stdout
    return [line.split()[-1] for line in listed.splitlines() if line]


def members(image_map: Path) -> list[str]:
    """Members of archives that the linker took in, by the map's first chapter."""
    chapter = image_map.read_text().partition("Discarded input sections")[0]
    names = re.findall(r"^\S*\.a\((?:lib_a-)?(?:nano-)?([\w-]+)\.o\)", chapter, re.MULTILINE)
    return [name.replace("-", "_") for name in names]


@pytest.mark.parametrize(("board", "schedule"), [*((board, "stream") for board in EMULATED), ("qemu_m4", "whole")])
def test_no_printf_and_no_heap(board: str, schedule: str, tmp_path: Path) -> None:
    done = thumbnet("build", MODEL, "--board", board, "--schedule", schedule, "--output", tmp_path, "--json")
    assert done.code == 0, done.err
    elf = Path(done.json["elf"])
    image_map = elf.with_suffix(".map")
    linked = members(image_map)
    assert "memcpy" in {name.removesuffix("_stub") for name in linked}, linked
    assert found_in(symbols(elf)) == set()
    assert found_in(linked) == set()


@pytest.mark.parametrize(
    "name",
    ["printf", "_printf_r", "vfprintf", "_vfiprintf_r", "snprintf", "siprintf", "malloc", "_malloc_r", "calloc",
     "_sbrk", "_free_r", "_printf_i", "_dtoa_r", "__malloc_free_list", "sscanf", "realloc", "puts"],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(name: str) -> None:
    assert found_in([name]) == {name}


@pytest.mark.parametrize("name", ["memcpy", "memset", "hal_write", "tn_link_poll", "model_push", "__aeabi_lmul"])
def test_the_search_lets_the_rest_pass(name: str) -> None:
    assert found_in([name]) == set()
