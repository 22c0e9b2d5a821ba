"""What an image is made of: sections, symbols, and how much of it is the model's.

``flash_bytes`` is everything that is stored in flash: code, constants, and the initial values of .data.
``ram_bytes`` is .data + .bss; the reserved stack (section .stack) is counted apart. ``code_bytes`` and
``weight_bytes`` are the model's own: what the linker kept of the objects that were compiled from the model
library (its generated file and the kernels beside it), after ``--gc-sections``, read from the linker's map:
sections .text* are code; .rodata* and .data* are weights, requantization tables included. Helpers from libgcc
or libc that they call are not.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from .errors import ElfError

MODEL_FOLDER = "model"
"""Folder of the model's objects in a build."""

_ALLOC, _WRITE = 2, 1
_MAP_START = "Linker script and memory map"
# " .text.name  0xaddress  0xsize  path", where a long name has a line of its own.
_MAP_ENTRY = re.compile(r"^ (\.[^\s]+|COMMON)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*)$", re.MULTILINE)
_LONG_NAME = re.compile(r"^( \.[^\s]+)\n\s+(?=0x)", re.MULTILINE)
_ARCHIVE = re.compile(r"([^/\\]+)\.a\(([^)]+)\)$")


@dataclass(frozen=True)
class Section:
    """A section that occupies memory; `place` is flash, ram, both (initialised data) or stack."""

    name: str
    address: int
    size: int
    place: str


@dataclass(frozen=True)
class Symbol:
    """A function or object; `object` is ``folder/file.o`` or ``library:file.o``, empty where unknown."""

    name: str
    address: int
    size: int
    kind: str
    section: str
    object: str

    @property
    def is_model(self) -> bool:
        """Whether the model library brought it."""
        return self.object.startswith(f"{MODEL_FOLDER}/")


@dataclass(frozen=True)
class Footprint:
    """Sizes of an image, in bytes; see the module for the definitions.

    Attributes
    ----------
    flash_bytes, ram_bytes, stack_bytes : int
        Stored in flash; .data + .bss; reserved for the stack.
    code_bytes, weight_bytes : int or None
        The model's own; None without a linker's map.
    sections : tuple of Section
        By address.
    symbols : tuple of Symbol
        Largest first.
    """

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    code_bytes: int | None
    weight_bytes: int | None
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]


@dataclass(frozen=True)
class _Piece:
    """An input section that the linker kept."""

    address: int
    size: int
    section: str
    object: str


def read_footprint(elf: Path | str, image_map: Path | str | None = None) -> Footprint:
    """Read the sizes of an image.

    Parameters
    ----------
    elf : path
        ELF file.
    image_map : path, optional
        The linker's map; default: the file of that name with the ending ``.map``, where there is one.

    Raises
    ------
    ElfError
        When the file is missing or not ELF.
    """
    elf = Path(elf)
    image_map = Path(image_map) if image_map else elf.with_suffix(".map")
    pieces = _read_map(image_map) if image_map.is_file() else None
    try:
        with elf.open("rb") as stream:
            image = ELFFile(stream)
            sections = tuple(_sections(image))
            symbols = tuple(_symbols(image, pieces or []))
    except OSError as error:
        raise ElfError(f"ELF file: {elf} cannot be read: {error.strerror}.") from error
    except (ELFError, ValueError) as error:
        raise ElfError(f"ELF file: {elf} is not an ELF image: {error}.") from error
    return Footprint(
        flash_bytes=sum(section.size for section in sections if section.place in ("flash", "both")),
        ram_bytes=sum(section.size for section in sections if section.place in ("ram", "both")),
        stack_bytes=sum(section.size for section in sections if section.place == "stack"),
        code_bytes=_model_bytes(pieces, (".text",)),
        weight_bytes=_model_bytes(pieces, (".rodata", ".data")),
        sections=sections,
        symbols=symbols,
    )


def _sections(image: ELFFile) -> Iterator[Section]:
    found = [section for section in image.iter_sections() if section["sh_flags"] & _ALLOC and section["sh_size"]]
    for section in sorted(found, key=lambda section: int(section["sh_addr"])):
        writable = bool(section["sh_flags"] & _WRITE)
        if section.name == ".stack":
            place = "stack"
        elif section["sh_type"] == "SHT_NOBITS":
            place = "ram"
        else:
            place = "both" if writable else "flash"
        yield Section(section.name, int(section["sh_addr"]), int(section["sh_size"]), place)


def _symbols(image: ELFFile, pieces: list[_Piece]) -> list[Symbol]:
    table = image.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return []
    starts = [piece.address for piece in pieces]
    found = []
    for symbol in table.iter_symbols():
        kind = {"STT_FUNC": "function", "STT_OBJECT": "object"}.get(symbol["st_info"]["type"])
        index = symbol["st_shndx"]
        if kind is None or not symbol["st_size"] or not isinstance(index, int):
            continue
        # The lowest bit of a function's address says Thumb.
        address = int(symbol["st_value"]) & (~1 if kind == "function" else ~0)
        section = image.get_section(index).name
        found.append(Symbol(symbol.name, address, int(symbol["st_size"]), kind, section, ""))
        at = bisect_right(starts, address) - 1
        if at >= 0 and address < pieces[at].address + pieces[at].size:
            found[-1] = Symbol(symbol.name, address, found[-1].size, kind, section, pieces[at].object)
    return sorted(found, key=lambda symbol: (-symbol.size, symbol.name, symbol.address))


def _read_map(path: Path) -> list[_Piece]:
    """Input sections with an address, from GNU ld's map, by address."""
    text = path.read_text(encoding="utf-8", errors="replace").partition(_MAP_START)[2]
    pieces = [
        _Piece(int(address, 16), int(size, 16), section, _object_name(source.strip()))
        for section, address, size, source in _MAP_ENTRY.findall(_LONG_NAME.sub(r"\1 ", text))
        if int(size, 16) and not section.startswith((".debug", ".comment", ".ARM.attributes"))
    ]
    return sorted(pieces, key=lambda piece: piece.address)


def _object_name(source: str) -> str:
    archive = _ARCHIVE.search(source)
    if archive:
        return f"{archive[1]}:{archive[2]}"
    return "/".join(Path(source).parts[-2:])


def _model_bytes(pieces: list[_Piece] | None, sections: tuple[str, ...]) -> int | None:
    if pieces is None:
        return None
    return sum(
        piece.size
        for piece in pieces
        if piece.object.startswith(f"{MODEL_FOLDER}/") and piece.section.startswith(sections)
    )
