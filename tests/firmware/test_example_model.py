"""The committed example is what the compiler writes today, and its C computes what the oracle computes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import oracle
from support.command import thumbnet
from thumbnet.codegen import compile_model

FOLDER = Path(__file__).resolve().parents[2] / "firmware" / "example_model"
MODEL = FOLDER / "model.tflite"


def test_generated_files_are_up_to_date() -> None:
    compiled = compile_model(MODEL.read_bytes(), target="cortex-m3", schedule="stream", app=True)
    stale = [name for name, text in compiled.files.items() if (FOLDER / name).read_text() != text]
    assert not stale, "generate it again, see firmware/example_model/README.md"
    assert {path.name for path in (FOLDER / "src").iterdir()} == {
        Path(name).name for name in compiled.files if name.startswith("src/")
    }


@pytest.mark.skipif(not oracle.available(), reason="the tflite-micro wheel is not installed")
def test_parity_on_the_host() -> None:
    done = thumbnet("parity", MODEL, "--board", "host", "--windows", "8", "--schedule", "stream", "--json")
    assert done.code == 0, done.err
    assert (done.json["windows"], done.json["mismatches"]) == (8, 0)
