"""The cells of a spreadsheet's first sheet, from its XML: no package besides the standard library."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from ...errors import RecordingError

_NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LETTERS = re.compile(r"^([A-Z]+)\d+$")
_LARGEST = 50_000_000


def read_sheet(path: Path | str) -> list[list[str]]:
    """Return the rows of the first sheet as text; empty cells are "".

    Raises
    ------
    RecordingError
        When the file is no spreadsheet.
    """
    try:
        with zipfile.ZipFile(path) as book:
            if sum(entry.file_size for entry in book.infolist()) > _LARGEST:
                raise RecordingError(f"{path} is too large to be read as a table of people")
            names = book.namelist()
            shared = _shared(book.read("xl/sharedStrings.xml")) if "xl/sharedStrings.xml" in names else []
            sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    except (OSError, KeyError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise RecordingError(f"{path} cannot be read as a spreadsheet ({error})") from None
    return [_row(row, shared) for row in sheet.iter(f"{_NS}row")]


def _shared(xml: bytes) -> list[str]:
    return ["".join(text.text or "" for text in entry.iter(f"{_NS}t")) for entry in ElementTree.fromstring(xml)]


def _row(row: ElementTree.Element, shared: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_NS}c"):
        match = _LETTERS.match(cell.get("r", ""))
        place = _column(match.group(1)) if match else len(cells)
        cells += [""] * (place - len(cells))
        cells.append(_text(cell, shared))
    return cells


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _text(cell: ElementTree.Element, shared: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(f"{_NS}t"))
    value = cell.find(f"{_NS}v")
    if value is None or value.text is None:
        return ""
    return shared[int(value.text)] if cell.get("t") == "s" else value.text
