"""tfmot stands behind one module, and versions that do not fit are one sentence with the fix."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")

from thumbnet.quantize import tfmot
from thumbnet.quantize.errors import ToolkitError
from thumbnet.quantize.tfmot import TESTED, check_versions, load_tfmot

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_else_imports_it():
    pattern = re.compile(r"^\s*(import|from)\s+tensorflow_model_optimization", re.MULTILINE)
    rooms = ("training", "quantize", "codegen", "host_tools")
    found = [path for room in rooms for path in (ROOT / room).rglob("*.py") if pattern.search(path.read_text())]
    assert found == [ROOT / "quantize" / "tfmot.py"]


@pytest.mark.train
def test_it_loads_and_wraps_the_network():
    import tf_keras as keras

    toolkit = load_tfmot()
    inputs = keras.Input((4, 8, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1)(inputs))
    assert toolkit.sparsity.keras.prune_low_magnitude(model).trainable_weights
    assert toolkit.quantization.keras.quantize_model(model).trainable_weights


@pytest.mark.parametrize("name", list(TESTED))
def test_a_missing_package_is_named_with_the_fix(name):
    with pytest.raises(ToolkitError, match=rf"need {name}, which is not installed: pip install 'tensorflow=="):
        check_versions({**TESTED, name: None})


@pytest.mark.parametrize(("name", "version"), [("tensorflow", "2.15.1"), ("tf-keras", "2.18.0")])
def test_versions_that_do_not_go_together_are_named_with_the_fix(name, version):
    with pytest.raises(ToolkitError) as caught:
        check_versions({**TESTED, name: version})
    text = str(caught.value)
    assert (
        text.startswith(f"{name} {version} does not go with the others (")
        and "pip install 'tensorflow==2.21.0'" in text
    )
    check_versions({**TESTED, "tensorflow": "2.21.1"})


def test_a_toolkit_that_fails_to_load_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_model_optimization", None)
    with pytest.raises(ToolkitError, match=r"cannot be loaded \(ModuleNotFoundError: .*\): pip install"):
        load_tfmot()


def test_keras_3_by_the_environment(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    with pytest.raises(ToolkitError, match="TF_USE_LEGACY_KERAS is '0', and tfmot needs Keras 2; run `export"):
        load_tfmot()


KERAS_3 = """
import tensorflow as tf
tf.keras.Model
from thumbnet.quantize.errors import ToolkitError
from thumbnet.quantize.tfmot import load_tfmot
try:
    load_tfmot()
except ToolkitError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.train
def test_keras_3_loaded_before_us():
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run([sys.executable, "-c", KERAS_3], capture_output=True, text=True, env=environment, check=False)
    assert "TensorFlow was loaded with Keras 3" in done.stdout and done.stdout.count("\n") == 1, done.stderr
    assert tfmot.FIX.startswith("pip install")
