"""Parity results as JUnit XML, for CI systems that show tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from .errors import HostToolsError
from .parity_run import ParityResult


def write_junit(path: Path, results: Sequence[ParityResult | HostToolsError], boards: Sequence[str]) -> None:
    """Write one test suite a board and one test case a window; a board that failed is one case in error."""
    root = ET.Element("testsuites", name="thumbnet parity")
    for board, result in zip(boards, results, strict=True):
        root.append(_suite(board, result))
    ET.indent(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _suite(board: str, result: ParityResult | HostToolsError) -> ET.Element:
    if isinstance(result, HostToolsError):
        suite = ET.Element("testsuite", name=board, tests="1", failures="0", errors="1")
        case = ET.SubElement(suite, "testcase", classname=f"parity.{board}", name="run")
        ET.SubElement(case, "error", message=str(result))
        return suite
    found = result.comparison
    failures = len(found.bad_windows) + (not found.bad_windows and not result.passed)
    suite = ET.Element(
        "testsuite", name=board, tests=str(max(found.windows, 1)), failures=str(failures), errors="0",
        time=f"{result.seconds:.3f}",
    )  # fmt: skip
    bad = set(found.bad_windows)
    if result.diverging is not None and not bad:
        bad.add(result.diverging.window)
    for window in range(found.windows):
        case = ET.SubElement(suite, "testcase", classname=f"parity.{board}", name=f"window {window}")
        if window in bad:
            ET.SubElement(case, "failure", message=_message(result))
    return suite


def _message(result: ParityResult) -> str:
    layer = result.diverging
    where = f"first diverging layer {layer.index} {layer.op} '{layer.name}'" if layer else result.note or ""
    return f"outputs differ from {result.oracle}; {where}"
