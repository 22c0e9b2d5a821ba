"""The comparison behind `thumbnet parity`, with devices that are Python objects.

What is tested: that every differing byte is counted, that the first diverging layer is found, that a device's
failure names the window. Real firmware is compared in test_parity_host.py and test_parity_boards.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from support.small_models import small_model, two_inputs_model
from thumbnet.codegen import compile_model
from thumbnet.host_tools import parity
from thumbnet.host_tools.boards import HOST
from thumbnet.host_tools.errors import DeviceError, DeviceTimeout, HostToolsError, LinkError
from thumbnet.host_tools.floatmodel import wilson_interval
from thumbnet.host_tools.junit import write_junit
from thumbnet.host_tools.link.checksum import layer_checksum
from thumbnet.host_tools.modelfile import ModelFile
from thumbnet.host_tools.oracle import open_oracle
from thumbnet.host_tools.parity import Comparison, Divergence, Expected, Layer
from thumbnet.host_tools.parity_run import ParityResult, accuracy, agreement
from thumbnet.host_tools.tensors import block_bytes, dequantize, pack, quantize, unpack
from thumbnet.host_tools.windows import RandomWindows, kind_of, load_labels, load_windows

MODEL = small_model()
COMPILED = compile_model(MODEL, target="host")
LAYERS = [Layer(x.index, x.name, x.op, x.tensor) for x in COMPILED.layers]


@dataclass
class FakeDevice:
    """Computes with the NumPy reference; `fault` changes tensors by index before they are told."""

    model: bytes = MODEL
    fault: dict[int, int] | None = None
    fails_at: int | None = None
    asked: int = 0

    def _tensors(self, block: bytes):
        self.asked += 1
        if self.fails_at == self.asked - 1:
            raise DeviceTimeout("nothing came back within 5 s")
        compiled = compile_model(self.model, target="host")
        tensors = dict(open_oracle(self.model, "numpy").run_all(unpack(block, compiled.inputs)))
        for index, change in (self.fault or {}).items():
            changed = tensors[index].copy()
            changed.flat[0] = np.int8((int(changed.flat[0]) + change + 128) % 256 - 128)
            tensors[index] = changed
        return compiled, tensors

    def infer(self, block: bytes) -> bytes:
        compiled, tensors = self._tensors(block)
        return pack([tensors[output.tensor] for output in compiled.outputs])

    def parity(self, block: bytes):
        compiled, tensors = self._tensors(block)
        outputs = pack([tensors[output.tensor] for output in compiled.outputs])
        sums = [layer_checksum(tensors[x.tensor]) for x in compiled.layers]
        return SimpleNamespace(outputs=outputs, checksums=sums)


def expected(model: bytes = MODEL, count: int = 4) -> Expected:
    windows = RandomWindows(compile_model(model, target="host").inputs, count, seed=1)
    return Expected(open_oracle(model), windows)


def test_a_right_device_has_no_mismatch():
    steps = []
    found = parity.compare(FakeDevice(), expected(), COMPILED.outputs, steps.append)
    assert (found.windows, found.bytes, found.mismatches, found.max_abs_diff) == (4, 12, 0, 0.0)
    assert found.bad_windows == []
    assert found.device_classes == found.oracle_classes
    assert steps == [1, 1, 1, 1]


def test_every_differing_byte_and_the_largest_difference_are_counted():
    fault = {COMPILED.outputs[0].tensor: 5}
    found = parity.compare(FakeDevice(fault=fault), expected(), COMPILED.outputs)
    assert found.mismatches == 4
    assert found.bad_windows == [0, 1, 2, 3]
    # 5, or more where adding it wrapped around.
    assert found.max_abs_diff in (5.0, 251.0)


def test_odd_sizes_are_padded_on_the_wire_and_not_compared():
    model = two_inputs_model()
    compiled = compile_model(model, target="host")
    assert (block_bytes(compiled.inputs), compiled.inputs[1].offset) == (16, 8)
    found = parity.compare(FakeDevice(model), expected(model), compiled.outputs)
    assert (found.bytes, found.mismatches) == (4 * 10, 0)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: f"{layer.index}-{layer.op}")
def test_the_first_diverging_layer_is_found(layer):
    later = [other.tensor for other in LAYERS if other.index >= layer.index]
    device = FakeDevice(fault=dict.fromkeys(later, 3))
    found = parity.first_divergence(device, expected(), LAYERS, [2])
    assert found == Divergence(layer.index, layer.name, layer.op, window=2)


def test_comparing_every_layer_sees_what_the_outputs_hide():
    device = FakeDevice(fault={LAYERS[1].tensor: 1})
    found = parity.compare_layers(device, expected(), COMPILED.outputs, LAYERS)
    assert found.mismatches == 0
    assert found.diverging == Divergence(1, "pool", "MAX_POOL_2D", window=0)


def test_no_divergence_when_all_layers_agree():
    assert parity.first_divergence(FakeDevice(), expected(), LAYERS, [0, 1]) is None


def test_a_layer_without_a_counterpart_is_left_out():
    layers = [Layer(x.index, x.name, x.op, None) for x in LAYERS]
    device = FakeDevice(fault={LAYERS[1].tensor: 1})
    assert parity.first_divergence(device, expected(), layers, [0]) is None


def test_a_device_that_fails_names_the_window():
    with pytest.raises(DeviceTimeout, match="window 2: nothing came back"):
        parity.compare(FakeDevice(fails_at=2), expected(), COMPILED.outputs)


def test_an_answer_of_another_length_is_refused():
    device = SimpleNamespace(infer=lambda block: b"123")
    with pytest.raises(LinkError, match="answered 3 bytes, the model's outputs need 4"):
        parity.compare(device, expected(), COMPILED.outputs)


def test_another_number_of_layers_is_refused():
    device = SimpleNamespace(parity=lambda block: SimpleNamespace(outputs=b"", checksums=[1]))
    with pytest.raises(DeviceError, match="observed 1 layers"):
        parity.first_divergence(device, expected(), LAYERS, [0])


def test_the_oracle_runs_once_however_many_boards_ask():
    class Counting:
        name, runs = "counting", 0

        def run(self, inputs):
            Counting.runs += 1
            return [np.zeros((1, 3), np.int8)]

    once = Expected(Counting(), RandomWindows(COMPILED.inputs, 2, seed=1))
    for _ in range(3):
        once.outputs(0, once.windows[0])
    assert Counting.runs == 1


# --- windows ------------------------------------------------------------------------------------------------


def test_windows_depend_on_seed_and_index_alone():
    few, many = RandomWindows(COMPILED.inputs, 2, seed=7), RandomWindows(COMPILED.inputs, 50, seed=7)
    np.testing.assert_array_equal(few[1][0], many[1][0])
    assert not np.array_equal(many[6][0], RandomWindows(COMPILED.inputs, 50, seed=8)[6][0])


def test_windows_mix_constants_walks_noise_and_impulses():
    windows = RandomWindows(COMPILED.inputs, 20, seed=7)
    assert [kind_of(k) for k in range(7)] == ["lowest", "highest", "zero point", "walk", "noise", "impulses", "noise"]
    assert set(np.unique(windows[0][0])) == {-128}
    assert set(np.unique(windows[1][0])) == {127}
    assert set(np.unique(windows[2][0])) == {4}
    assert np.mean(windows[5][0] == 4) > 0.8
    assert len(np.unique(windows[4][0])) > 50
    assert all(window[0].dtype == np.int8 and window[0].shape == (1, 8, 8, 2) for window in windows)


def test_codes_and_real_numbers_give_the_same_window(tmp_path):
    codes = np.random.default_rng(0).integers(-128, 128, (3, 8, 8, 2), np.int8)
    np.save(tmp_path / "codes.npy", codes)
    np.save(tmp_path / "real.npy", dequantize(codes, COMPILED.inputs[0]))
    a = load_windows([tmp_path / "codes.npy"], COMPILED.inputs, None)
    b = load_windows([tmp_path / "real.npy"], COMPILED.inputs, 2)
    assert (len(a), len(b)) == (3, 2)
    np.testing.assert_array_equal(a[1][0], b[1][0])
    np.testing.assert_array_equal(a.real(1)[0], b.real(1)[0])
    assert a.description == "codes.npy"


def test_the_scaling_of_a_bundle_is_applied_to_real_numbers_only(tmp_path):
    np.save(tmp_path / "real.npy", np.ones((1, 8, 8, 2), np.float32))
    np.save(tmp_path / "codes.npy", np.ones((1, 8, 8, 2), np.int8))
    spec = COMPILED.inputs[0]
    real = load_windows([tmp_path / "real.npy"], [spec], None, lambda x: x * 0.1)
    assert real[0][0].flat[0] == quantize(np.float32([0.1]), spec)[0]
    codes = load_windows([tmp_path / "codes.npy"], [spec], None, lambda x: x * 0.1)
    assert codes[0][0].flat[0] == 1


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 5)), "needs 128 values"),
        (np.full((1, 8, 8, 2), np.nan), "NaN"),
        (np.zeros((1, 8, 8, 2), np.int16), "int16 values"),
        (np.zeros((0, 8, 8, 2)), "needs 128 values"),
        (np.array(["a"]), "one array of numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, array, words):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(HostToolsError, match=words):
        load_windows([tmp_path / "x.npy"], COMPILED.inputs, None)


def test_files_that_are_no_arrays_are_refused(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"rubbish")
    with pytest.raises(HostToolsError, match="not a NumPy"):
        load_windows([tmp_path / "x.npy"], COMPILED.inputs, None)
    with pytest.raises(HostToolsError, match="there is no file"):
        load_windows([tmp_path / "y.npy"], COMPILED.inputs, None)
    with pytest.raises(HostToolsError, match="has 1 inputs, --inputs was given 2 times"):
        load_windows([tmp_path / "x.npy"] * 2, COMPILED.inputs, None)


def test_more_windows_than_there_are_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8, 2), np.int8))
    with pytest.raises(HostToolsError, match=r"asks for 5 windows, .* holds 2"):
        load_windows([tmp_path / "x.npy"], COMPILED.inputs, 5)


def test_labels_must_be_one_integer_a_window(tmp_path):
    np.save(tmp_path / "y.npy", np.array([0, 1, 2]))
    assert load_labels(tmp_path / "y.npy", 2).tolist() == [0, 1]
    with pytest.raises(HostToolsError, match="one class index per window"):
        load_labels(tmp_path / "y.npy", 4)


# --- results ------------------------------------------------------------------------------------------------


def result(tmp_path, comparison: Comparison, diverging: Divergence | None = None) -> ParityResult:
    model = ModelFile(tmp_path / "m.tflite", MODEL)
    return ParityResult(model, HOST, "oracle 1", "random, seed 1", comparison, diverging, False, 1.5)


def test_the_json_has_the_promised_keys(tmp_path):
    told = result(tmp_path, Comparison(windows=2, bytes=6)).to_dict()
    assert {"windows", "bytes", "mismatches", "max_abs_diff", "first_diverging_layer", "oracle"} <= set(told)
    assert told["first_diverging_layer"] is None
    assert told["passed"] is True


def test_accuracy_and_agreement(tmp_path):
    found = Comparison(windows=4, device_classes=[0, 1, 2, 2], oracle_classes=[0, 1, 2, 0])
    assert accuracy(result(tmp_path, found), np.array([0, 1, 1, 2])) == {"windows": 4, "device": 0.75, "oracle": 0.5}
    told = agreement(result(tmp_path, found), [0, 1, 2, 0])
    assert (told["agree"], told["share"]) == (3, 0.75)
    assert told["interval_95"][0] < 0.75 < told["interval_95"][1]


def test_the_interval_is_that_of_wilson():
    low, high = wilson_interval(97, 100)
    assert (round(low, 4), round(high, 4)) == (0.9155, 0.9897)
    assert wilson_interval(5, 5)[1] == 1.0


def test_junit_has_a_suite_a_board_and_a_case_a_window(tmp_path):
    found = Comparison(windows=3, bytes=9, mismatches=1, bad_windows=[1])
    wrong = result(tmp_path, found, Divergence(4, "dense", "FULLY_CONNECTED", 1))
    write_junit(tmp_path / "new" / "r.xml", [wrong, DeviceTimeout("qemu_m4: silence")], ["host", "qemu_m4"])
    suites = ET.parse(tmp_path / "new" / "r.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["host", "qemu_m4"]
    assert (suites[0].get("tests"), suites[0].get("failures")) == ("3", "1")
    assert "4 FULLY_CONNECTED 'dense'" in suites[0][1][0].get("message")
    assert suites[1][0][0].get("message") == "qemu_m4: silence"
