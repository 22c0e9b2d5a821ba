"""Parity on emulated boards: built by PlatformIO, run by QEMU, talked to over its serial port.

What is tested: every board's firmware against the oracle on a small model, several boards at once, and a planted
fault. Larger models and more windows are in tests/e2e.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.command import thumbnet
from support.small_models import two_inputs_model
from thumbnet.host_tools.boards import boards

pytestmark = pytest.mark.qemu
EMULATED = [name for name, board in boards().items() if board.machine is not None]


def test_all_boards_at_once_compute_what_the_oracle_computes(model, tmp_path):
    outcome = thumbnet("parity", model, "--board", "all", "--windows", "6", "--layers", "--json",
                       "--junit", tmp_path / "r.xml")  # fmt: skip
    assert outcome.code == 0, outcome.err + outcome.out
    told = outcome.json
    assert told["schema"] == "thumbnet.parity-boards/1"
    assert (told["passed"], told["mismatches"]) == (True, 0)
    assert [board["board"] for board in told["boards"]] == EMULATED
    assert all(board["bytes"] == 18 and board["layers_compared"] for board in told["boards"])
    assert len(ET.parse(tmp_path / "r.xml").getroot()) == len(EMULATED)


def test_two_inputs_of_odd_size_reach_a_board(tmp_path):
    path = tmp_path / "two.tflite"
    path.write_bytes(two_inputs_model())
    outcome = thumbnet("parity", path, "--board", "qemu_m3", "--windows", "4", "--json")
    assert outcome.code == 0, outcome.err + outcome.out


def test_a_planted_fault_is_found_on_a_board(model, tmp_path):
    assert thumbnet("generate", model, "--board", "qemu_m3", "--output", tmp_path / "c").code == 0
    source = tmp_path / "c" / "src" / "model.c"
    text = source.read_text()
    found = re.search(r"\bmodel_l2_weights\[\d+\] = \{\s*(-?\d+)", text)
    assert found is not None
    source.write_text(text[: found.start(1)] + str(-int(found[1]) or 99) + text[found.end(1) :])
    outcome = thumbnet("parity", model, "--board", "qemu_m3", "--sources", tmp_path / "c", "--json")
    assert outcome.code == 1, outcome.err
    assert outcome.json["first_diverging_layer"]["index"] == 2


def test_a_board_that_fails_does_not_hide_the_others(model, tmp_path):
    environment = {"PATH": os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if not _has_qemu(Path(p)))}
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cc", "as", "ld", "arm-none-eabi-gcc"):
        program = _which(name)
        if program is not None:
            (folder / name).symlink_to(program)
    environment["PATH"] = f"{folder}{os.pathsep}{environment['PATH']}"
    outcome = thumbnet("parity", model, "--board", "host", "--board", "qemu_m4", "--json", environment=environment)
    assert outcome.code == 2
    host, emulated = outcome.json["boards"]
    assert host["passed"] is True
    assert "error" in emulated
    assert "qemu_m4" in outcome.sentence


def _has_qemu(folder: Path) -> bool:
    return (folder / "qemu-system-arm").exists()


def _which(name: str) -> str | None:
    import shutil

    return shutil.which(name)
