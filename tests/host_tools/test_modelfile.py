"""MODEL on the command line: a .tflite file or a bundle, told apart by content; anything else in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.command import thumbnet
from support.small_models import signal_model, small_model
from thumbnet.codegen import compile_model
from thumbnet.host_tools.errors import HostToolsError
from thumbnet.host_tools.modelfile import read_model
from thumbnet.host_tools.windows import load_windows
from thumbnet.quantize.bundle import Bundle
from thumbnet.quantize.errors import QuantizeError
from thumbnet.quantize.scaling import ChannelScaling


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "small.bundle"
    Bundle.create(
        signal_model(),
        scaling=ChannelScaling(("EEG", "EOG"), (100.0, 50.0)),
        rate=100.0,
        channel_kinds=("eeg", "eog"),
        preprocessing=(),
        labels=("A", "B", "C"),
        calibration={"windows": 1, "subjects": 1, "method": "none"},
        training={"protocol": "none"},
        licences=(),
        versions={},
    ).write(path)
    return path


def test_a_bundle_gives_its_model(bundle):
    model = read_model(bundle)
    assert model.tflite == signal_model()
    assert model.bundle is not None
    assert model.bundle.labels == ("A", "B", "C")


def test_content_decides_not_the_name(tmp_path, bundle):
    (tmp_path / "odd.bin").write_bytes(small_model())
    assert read_model(tmp_path / "odd.bin").bundle is None
    bundle.rename(tmp_path / "bundle.tflite")
    assert read_model(tmp_path / "bundle.tflite").bundle is not None


def test_generate_takes_a_bundle_without_tensorflow(bundle, tmp_path):
    code = (
        "import sys; from thumbnet.host_tools import cli;"
        f"code = cli.run(['generate', {str(bundle)!r}, '--output', {str(tmp_path / 'out')!r}]);"
        "sys.exit(code or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_real_windows_are_in_the_unit_of_the_channels(bundle, tmp_path):
    model = read_model(bundle)
    microvolts = np.zeros((1, 2, 16), np.float32)
    microvolts[0, :, 0] = 25.0
    microvolts[0, :, 1] = 1000.0
    np.save(tmp_path / "x.npy", microvolts)
    inputs = compile_model(model.tflite, target="host").inputs
    assert model.bundle is not None
    window = load_windows([tmp_path / "x.npy"], inputs, None, model.bundle.scale)[0][0]
    assert window.shape == (1, 2, 16, 1)
    np.testing.assert_array_equal(window[0, :, :2, 0], [[32, 127], [64, 127]])


def test_parity_takes_a_bundle_with_microvolts(bundle, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(0, 40, (5, 2, 16)).astype(np.float32))
    outcome = thumbnet("parity", bundle, "--board", "host", "--inputs", tmp_path / "x.npy", "--json")
    assert outcome.code == 0, outcome.err
    assert (outcome.json["windows"], outcome.json["mismatches"]) == (5, 0)


def test_a_broken_bundle_is_told(tmp_path, bundle):
    bundle.write_bytes(bundle.read_bytes()[:200])
    with pytest.raises(QuantizeError, match="bundle"):
        read_model(bundle)
    outcome = thumbnet("analyze", bundle)
    assert outcome.code == 2
    assert "small.bundle" in outcome.sentence


def test_what_is_no_model_is_told(tmp_path):
    with pytest.raises(HostToolsError, match="does not exist"):
        read_model(tmp_path / "none.tflite")
    with pytest.raises(HostToolsError, match="is a folder"):
        read_model(tmp_path)


def test_a_broken_model_is_named(tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"no model at all")
    for words in (["analyze", path], ["generate", path, "--output", tmp_path / "out"]):
        outcome = thumbnet(*words)
        assert outcome.code == 2
        assert outcome.sentence.startswith(f"{path}: the file is not a .tflite model")
