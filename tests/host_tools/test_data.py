"""`thumbnet data`: lists of numbers, what a folder holds, and errors in one sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from thumbnet.host_tools.cli import run
from thumbnet.host_tools.commands.data import numbers
from thumbnet.host_tools.errors import HostToolsError

sys.path.append(str(Path(__file__).resolve().parent.parent / "training"))
pytest.importorskip("mne", reason="needs thumbnet[train]")

from edf_files import write_pair


@pytest.mark.parametrize(
    ("text", "expected"), [("0-4,7", [0, 1, 2, 3, 4, 7]), ("3", [3]), ("1,1-2", [1, 2]), (" 5 , 6", [5, 6])]
)
def test_lists_of_numbers(text, expected):
    assert numbers("--subjects", text) == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1;2", "1-2-3", "0-99999999999999"])
def test_what_is_no_list_of_numbers(text):
    with pytest.raises(HostToolsError, match="--subjects must be numbers and ranges as 0-4,7, got "):
        numbers("--subjects", text)


def test_check_lists_what_can_be_used_and_what_cannot(tmp_path, capsys):
    write_pair(tmp_path, [0, 1, 2, 3, 4, 0], stem="SC4001E")
    psg, _ = write_pair(tmp_path, [0, 1, 2, 3, 4, 0], stem="SC4011E")
    psg.write_bytes(psg.read_bytes()[:-999])
    assert run(["data", "check", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "SC4001E0: subject SC400, 6 epochs" in text and "skipped: SC4011E0-PSG.edf: truncated" in text
    assert "1 of 2 recordings can be used" in text
    assert run(["data", "check", str(tmp_path), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["schema"] == "thumbnet.data-check/1" and len(content["usable"]) == len(content["skipped"]) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sleep-edf", "--output", "x"], "--subjects must name at least one subject"),
        (["sleep-edf", "--subjects", "99", "--output", "x"], "--subjects must be numbers from 0 to 82"),
        (["sleep-edf-20", "--recording", "3", "--output", "x"], "--recording must be 1, 2 or 1,2, got [3]"),
    ],
)
def test_wrong_words_are_one_sentence(words, sentence, capsys):
    assert run(["data", "fetch", *words]) == 2
    text = capsys.readouterr().err
    assert sentence in text and text.count("\n") == 1


def test_no_network_is_one_sentence(tmp_path, capsys):
    words = [
        "data",
        "fetch",
        "sleep-edf",
        "--subjects",
        "0",
        "--output",
        str(tmp_path),
        "--mirror",
        "http://127.0.0.1:9",
    ]
    assert run(words) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "cannot be fetched from http://127.0.0.1:9" in last and "0 of 4 files are there" in last
