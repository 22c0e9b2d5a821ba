"""`thumbnet parity --board host` from the command line to the running program and back.

What is tested: that sound code passes, that a fault planted in the generated C is caught and its layer named, that
every way in which a device can fail ends in one sentence. What is not: the boards (test_parity_boards.py), and
whether the kernels are right in general (the property suite).
"""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from support.command import Outcome, thumbnet
from support.small_models import small_model, two_inputs_model
from thumbnet.codegen import compile_model
from thumbnet.host_tools.oracle import open_oracle


def parity(model: Path, *options: str | Path, **keywords) -> Outcome:
    return thumbnet("parity", model, "--board", "host", *options, **keywords)


# --- sound code ---------------------------------------------------------------------------------------------


def test_sound_code_has_no_mismatch(model):
    outcome = parity(model, "--windows", "40", "--seed", "3", "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.json
    assert told["schema"] == "thumbnet.parity/1"
    assert (told["windows"], told["bytes"], told["mismatches"], told["max_abs_diff"]) == (40, 120, 0, 0)
    assert told["first_diverging_layer"] is None
    assert told["oracle"] == open_oracle(small_model()).name
    assert (told["board"], told["seed"], told["layers_compared"]) == ("host", 3, False)


def test_every_layer_can_be_compared(model):
    outcome = parity(model, "--layers", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["layers_compared"] is True
    assert outcome.json["passed"] is True


@pytest.mark.parametrize("name", ["kws_ref_model.tflite", "pretrainedResnet_quant.tflite"])
def test_public_models_have_no_mismatch_in_any_layer(shared_dir, name):
    outcome = parity(shared_dir / "models" / name, "--layers", "--windows", "8", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["passed"] is True


@pytest.mark.parametrize("schedule", ["stream-h", "stream-w", "auto"])
def test_streamed_code_has_no_mismatch_in_any_layer(model, schedule):
    outcome = parity(model, "--schedule", schedule, "--layers", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["schedule"] == schedule


def test_people_get_a_table(model):
    outcome = parity(model, "--windows", "4")
    assert outcome.code == 0
    assert "equal" in outcome.out
    assert "host" in outcome.out


def test_several_inputs_and_outputs(tmp_path):
    path = tmp_path / "two.tflite"
    path.write_bytes(two_inputs_model())
    outcome = parity(path, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["bytes"] == 16 * 10


def test_inputs_labels_and_the_float_model_are_reported(model, tmp_path):
    codes = np.random.default_rng(2).integers(-128, 128, (6, 8, 8, 2), np.int8)
    oracle = open_oracle(small_model())
    classes = np.array([int(np.argmax(oracle.run([window[None]])[0])) for window in codes])
    np.save(tmp_path / "x.npy", codes)
    np.save(tmp_path / "y.npy", np.where(np.arange(6) < 3, classes, (classes + 1) % 3))
    outcome = parity(model, "--inputs", tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.json
    assert (told["windows"], told["inputs"], told["seed"]) == (6, "x.npy", None)
    assert told["accuracy"] == {"windows": 6, "device": 0.5, "oracle": 0.5}
    assert told["float_agreement"] is None


def test_an_int8_model_is_no_float_model(model):
    outcome = parity(model, "--float", model)
    assert outcome.code == 2
    assert "is not a float model" in outcome.sentence


def test_the_reference_can_be_the_oracle(model):
    outcome = parity(model, "--oracle", "numpy", "--json")
    assert outcome.code == 0
    assert "NumPy" in outcome.json["oracle"]


def test_junit_is_written(model, tmp_path):
    assert parity(model, "--windows", "3", "--junit", tmp_path / "r.xml").code == 0
    suite = ET.parse(tmp_path / "r.xml").getroot()[0]
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("host", "3", "0")


# --- faults -------------------------------------------------------------------------------------------------


def generated(model: Path, folder: Path) -> Path:
    assert thumbnet("generate", model, "--target", "host", "--output", folder).code == 0
    return folder / "src" / "model.c"


def spoil(source: Path, layer: int) -> None:
    """Change the first number of the layer's first array to another one of the same type."""
    text = source.read_text()
    found = re.search(rf"(\bmodel_l{layer}_\w+\[\d+\] = \{{\s*)(-?\d+)", text)
    assert found is not None
    number = int(found[2])
    wrong = -number if abs(number) > 40 else number + 77
    source.write_text(text[: found.start(2)] + str(wrong) + text[found.end(2) :])


@pytest.mark.parametrize("layer", [0, 2, 4])
def test_a_wrong_constant_is_caught_and_its_layer_named(model, tmp_path, layer):
    source = generated(model, tmp_path / "c")
    spoil(source, layer)
    outcome = parity(model, "--sources", tmp_path / "c", "--windows", "32", "--json")
    assert outcome.code == 1, outcome.err
    told = outcome.json
    assert told["mismatches"] > 0
    assert told["max_abs_diff"] > 0
    expected = compile_model(small_model(), target="host").layers[layer]
    found = told["first_diverging_layer"]
    assert (found["index"], found["name"], found["op"]) == (layer, expected.name, expected.op)
    assert 0 <= found["window"] < 32


def test_a_fault_is_told_to_people_too(model, tmp_path):
    spoil(generated(model, tmp_path / "c"), 2)
    outcome = parity(model, "--sources", tmp_path / "c", "--junit", tmp_path / "r.xml")
    assert outcome.code == 1
    assert "DIFFERENT" in outcome.out
    assert "first diverging layer: 2 CONV_2D 'second_conv'" in outcome.out
    assert int(ET.parse(tmp_path / "r.xml").getroot()[0].get("failures")) > 0


def test_sound_sources_pass_unchanged(model, tmp_path):
    generated(model, tmp_path / "c")
    assert parity(model, "--sources", tmp_path / "c").code == 0


def test_sources_of_another_model_are_refused(model, tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(small_model(seed=9))
    generated(other, tmp_path / "c")
    outcome = parity(model, "--sources", tmp_path / "c")
    assert outcome.code == 2
    assert "was generated from another model" in outcome.sentence


def test_sources_for_another_core_are_refused(model, tmp_path):
    assert thumbnet("generate", model, "--target", "cortex-m4", "--output", tmp_path / "c").code == 0
    outcome = parity(model, "--sources", tmp_path / "c")
    assert outcome.code == 2
    assert "was generated for cortex-m4" in outcome.sentence


def test_a_folder_without_sources_is_refused(model, tmp_path):
    outcome = parity(model, "--sources", tmp_path)
    assert outcome.code == 2
    assert "holds no generated model" in outcome.sentence


# --- the user, the toolchain and the device -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--board", "hots"], "unknown board 'hots' (did you mean 'host'?)"),
        (["--inputs", "none.npy"], "there is no file none.npy"),
        (["--labels", "none.npy"], "there is no file none.npy"),
        (["--float", "none.tflite"], "none.tflite does not exist"),
        (["--windows", "0"], "--windows"),
        (["--oracle", "tensorflow"], "--oracle"),
        (["--schedule", "spiral"], "unknown schedule 'spiral'"),
    ],
)
def test_mistakes_are_one_sentence(model, options, words):
    outcome = parity(model, *options)
    assert outcome.code == 2
    assert outcome.out == ""
    assert words in outcome.sentence


@pytest.mark.parametrize(("board", "program"), [("host", "cc"), ("qemu_m4", "arm-none-eabi-gcc")])
@pytest.mark.parametrize("verb", ["parity", "profile"])
def test_a_missing_toolchain_is_named_with_its_remedy(model, tmp_path, verb, board, program):
    environment = {"PATH": str(tmp_path), "CC": "", "THUMBNET_TOOLS": "system"}
    outcome = thumbnet(verb, model, "--board", board, environment=environment)
    assert outcome.code == 2
    assert program in outcome.sentence
    assert "apt install" in outcome.sentence


FAKE_COMPILER = """#!{python}
# Stands in for a C compiler: what it links is a program that misbehaves as told.
import os, sys
if "--version" in sys.argv:
    print("fake compiler {behaviour!r}")
elif "-o" in sys.argv:
    path = sys.argv[sys.argv.index("-o") + 1]
    with open(path, "w") as file:
        file.write("#!{python}\\nimport os, sys, time\\n" + {behaviour!r} + "\\n")
    os.chmod(path, 0o755)
"""

RUBBISH = "import random; random.seed(1)\nwhile True: os.write(1, random.randbytes(100)); time.sleep(0.01)"
SILENCE = "time.sleep(600)"
END = "os.write(2, b'cannot open the port'); sys.exit(3)"
FLOOD = "while True: os.write(1, b'U' * 65536)"


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [(RUBBISH, "host"), (SILENCE, "did not answer|nothing|no answer"), (END, "cannot open the port"), (FLOOD, "host")],
    ids=["rubbish", "silence", "end", "flood"],
)
def test_a_broken_device_is_one_sentence(model, tmp_path, behaviour, words):
    compiler = tmp_path / "fake-cc"
    compiler.write_text(FAKE_COMPILER.format(python=sys.executable, behaviour=behaviour))
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    environment = {"CC": str(compiler), "THUMBNET_CACHE": str(tmp_path / "cache")}
    outcome = parity(model, environment=environment, timeout=120)
    assert outcome.code == 2, outcome.out
    assert re.search(words, outcome.sentence)
