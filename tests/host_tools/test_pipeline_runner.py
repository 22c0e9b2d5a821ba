"""What a run checks before it spends minutes, and the small decisions on the way."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from thumbnet.host_tools.boards import HOST, boards
from thumbnet.host_tools.doctor import Finding
from thumbnet.host_tools.errors import ToolchainMissing
from thumbnet.host_tools.pipeline import runner
from thumbnet.host_tools.pipeline.compress import spread
from thumbnet.host_tools.pipeline.quiet import quiet_libraries
from thumbnet.host_tools.recipes import parse_recipe


def without(*names):
    def examine(purposes):
        rows = {"TensorFlow and signal packages": "train", "C compiler": "host", "arm-none-eabi-gcc": "boards",
                "qemu-system-arm": "boards"}  # fmt: skip
        return [
            Finding(name, name not in names, "not found", True, (purpose,), f"install {name}")
            for name, purpose in rows.items()
            if purpose in purposes
        ]

    return examine


@pytest.mark.parametrize(
    ("lacking", "chosen", "sentence"),
    [
        ("qemu-system-arm", "qemu_m4", "install qemu-system-arm; --board host needs no emulator"),
        ("C compiler", "host", "install C compiler"),
        ("TensorFlow and signal packages", "host", "install TensorFlow and signal packages"),
    ],
)
def test_what_is_missing_is_told_before_training(monkeypatch, lacking, chosen, sentence):
    monkeypatch.setattr(runner, "examine", without(lacking))
    with pytest.raises(ToolchainMissing) as caught:
        runner.check_machine([boards()[chosen]])
    assert str(caught.value).endswith(sentence)


def test_what_another_board_needs_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(runner, "examine", without("qemu-system-arm", "arm-none-eabi-gcc"))
    runner.check_machine([HOST])


def test_platformio_may_still_fetch_the_compiler(monkeypatch):
    monkeypatch.setattr(runner, "examine", without("arm-none-eabi-gcc"))
    runner.check_machine([boards()["qemu_m4"]])


def test_boards_and_data_of_the_command_line_become_part_of_the_recipe(tmp_path):
    recipe = parse_recipe({"name": "x", "signals": {"emg": "raw"}})
    assert runner.with_boards(recipe, ["host"]).boards.names == ("host",)
    assert runner.with_data(recipe, tmp_path).signals.folder == str(tmp_path.resolve())
    assert recipe.boards.names != ("host",) and not recipe.signals.folder


@pytest.mark.parametrize(("available", "wanted", "count"), [(100, 7, 7), (5, 64, 5), (1, 1, 1), (64, 64, 64)])
def test_parity_windows_are_spread_from_first_to_last(available, wanted, count):
    places = spread(available, wanted)
    assert len(places) == count == len(np.unique(places))
    assert places[0] == 0 and (count == 1 or places[-1] == available - 1)


NOISY = """
import os, sys
from thumbnet.host_tools.pipeline.quiet import quiet_libraries
with quiet_libraries():
    os.write(1, b"library on 1\\n"); os.write(2, b"library on 2\\n")
    print("progress", file=sys.stderr)
    {last}
print("after")
"""


@pytest.mark.parametrize(("last", "shown"), [("pass", False), ("raise ValueError('reason')", True)])
def test_native_output_is_kept_away_unless_the_work_fails(last, shown):
    words = [sys.executable, "-c", NOISY.replace("{last}", last)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert "progress" in done.stderr
    assert ("library on 2" in done.stderr) is shown
    assert done.stdout == ("" if shown else "after\n")


def test_quiet_restores_the_descriptors():
    with quiet_libraries():
        pass
    assert os.fstat(1) and os.fstat(2)


def test_shipped_recipe_is_found():
    from thumbnet.host_tools.parts import shipped_recipe

    assert shipped_recipe("sleep").name == "sleep_demo.toml"
    assert json.dumps(parse_recipe({"name": "x", "signals": {"emg": "raw"}}).model_dump(mode="json"))
