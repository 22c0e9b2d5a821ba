"""Models behind their preprocessing, through the command line: parity of both together, and what does not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.command import thumbnet
from support.tflite_builder import ModelBuilder
from thumbnet.codegen import GENERATOR, compile_model
from thumbnet.codegen.errors import OptionError
from thumbnet.codegen.signals import Biquads, ChannelPlan, MinMax, Rectify, Resample, SignalPlan, design, run_codes
from thumbnet.codegen.signals.application import input_codes, samples_of, with_signals
from thumbnet.host_tools.boards import get_board
from thumbnet.host_tools.modelfile import read_model
from thumbnet.host_tools.oracle import open_oracle
from thumbnet.host_tools.parity import Expected
from thumbnet.host_tools.parity_run import ParityPlan, run_board
from thumbnet.host_tools.signals import open_front

SMOOTH = Biquads(((0.2, 0.4, 0.2, 1.0, -0.37, 0.19),))
HALVE = Resample(1, 2, (0.1, 0.2, 0.4, 0.2, 0.1))
STEPS = (SMOOTH, Rectify(), HALVE)
CODES = 1 / 127


def network(shape: tuple[int, ...], scale: float = CODES, zero_point: int = 0) -> bytes:
    """A convolution over both axes, then an average."""
    builder, rng = ModelBuilder(), np.random.default_rng(1)
    x = builder.tensor(shape, scale=scale, zero_point=zero_point, name="signals")
    y = builder.tensor((*shape[:3], 4), scale=0.05, zero_point=-128, name="features")
    z = builder.tensor((1, 4), scale=0.05, zero_point=-128, name="means")
    scales = [0.01] * 4
    size = (4, 1, 3, shape[3]) if shape[2] > shape[1] else (4, 3, 1, shape[3])
    weights = builder.tensor(size, scale=scales, data=rng.integers(-127, 128, size), name="w")
    bias = builder.tensor((4,), "int32", scale=[s * scale for s in scales], data=np.zeros(4), name="b")
    window = {"stride_h": 1, "stride_w": 1, "padding": "SAME"}
    builder.operator("CONV_2D", [x, weights, bias], [y], activation="RELU", **window)
    builder.operator("MEAN", [y, builder.constant([1, 2])], [z], keep_dims=False)
    return builder.build([x], [z])


def plan(channels: int = 2, *, normalise: MinMax | None = None, steps=STEPS) -> SignalPlan:
    rows = tuple(ChannelPlan(f"C{index}", 0.1, 1.5, tuple(steps)) for index in range(channels))
    return SignalPlan(16, rows, normalise)


CASES = {
    "rows": (network((1, 2, 150, 1)), plan(), "stream-w"),
    "one row of two features": (network((1, 1, 150, 2)), plan(), "stream-w"),
    "image rows": (network((1, 150, 2, 1)), plan(), "stream-h"),
    "bare": (network((1, 2, 150, 1)), plan(steps=()), "stream-w"),
    "up": (network((1, 2, 151, 1)), plan(steps=(Resample(2, 1, (0.5, 0.5)),)), "stream-w"),
    "window": (network((1, 150, 1, 1), 1 / 255, -128), plan(1, normalise=MinMax(1 / 255, -128)), "whole"),
    "streamed window": (network((1, 150, 1, 1), 1 / 255, -128), plan(1, normalise=MinMax(1 / 255, -128)), "stream-h"),
}


@pytest.mark.parametrize("name", CASES)
def test_parity_of_model_and_preprocessing_together(name, tmp_path):
    model, declared, schedule = CASES[name]
    # The scale of a built model is rounded to float32.
    if declared.normalise is not None:
        tensor = compile_model(model).inputs[0]
        declared = plan(1, normalise=MinMax(tensor.scale, tensor.zero_point))
    path, signals = tmp_path / "model.tflite", tmp_path / "signals.json"
    path.write_bytes(model)
    signals.write_text(json.dumps(declared.to_dict()))
    outcome = thumbnet(
        *("parity", path, "--board", "host", "--schedule", schedule, "--signals", signals),
        *("--layers", "--windows", "7", "--json"),
    )
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["mismatches"] == 0
    assert found["layers_compared"] and found["first_diverging_layer"] is None
    assert all(0 <= row["float_difference_max_uv"] < 0.1 for row in found["signals"]["channels"])


def test_a_wrong_code_is_blamed_on_preprocessing(tmp_path):
    """The device gets another gain than the oracle."""
    model, declared, schedule = CASES["rows"]
    path, signals = tmp_path / "model.tflite", tmp_path / "signals.json"
    path.write_bytes(model)
    other = SignalPlan(16, tuple(ChannelPlan(c.name, 0.11, 1.5, c.steps) for c in declared.channels))
    signals.write_text(json.dumps(other.to_dict()))
    given = read_model(path)
    front = open_front(given, str(signals), schedule, None, 4, 4, 1)
    expected = Expected(front.behind(open_oracle(model)), front.windows)
    asked = ParityPlan(given, expected, tmp_path, every_layer=True, schedule=schedule, signals=declared)
    found = run_board(asked, get_board("host"), new_task=lambda *_: lambda _: None)
    assert not found.passed
    assert found.diverging is not None and found.diverging.name == "preprocessing"


@pytest.mark.parametrize("name", ["rows", "one row of two features", "image rows"])
def test_codes_take_their_place_in_the_input(name):
    model, declared, schedule = CASES[name]
    compiled = compile_model(model, schedule=schedule)
    counts = np.random.default_rng(1).integers(-30000, 30000, (samples_of(compiled, declared), 2))
    codes = input_codes(compiled, declared, counts)
    slices = run_codes(design(declared), counts.T)
    flat = {"rows": codes[0, :, :, 0], "one row of two features": codes[0, 0].T, "image rows": codes[0, :, :, 0].T}
    np.testing.assert_array_equal(flat[name], slices)


def test_the_hash_tells_declarations_apart():
    model, declared, schedule = CASES["rows"]
    compiled = compile_model(model, schedule=schedule, app=True)
    both = [with_signals(compiled, p, GENERATOR) for p in (declared, plan(steps=()))]
    assert len({compiled.model_hash, *(b.model_hash for b in both)}) == 3
    assert json.loads(both[0].files["model.json"])["signals"] == declared.to_dict()


@pytest.mark.parametrize(
    ("name", "declared", "schedule", "words"),
    [
        ("rows", plan(3), "stream-w", "3 channels are declared, a slice of the model's input holds 2 codes"),
        ("rows", plan(), "whole", "must run as a stream"),
        ("window", plan(1), "stream-h", "zero point is 0 for scaled channels, got -128"),
        ("window", plan(1, normalise=MinMax(0.5, 0)), "whole", "normalised to scale 0.5 and zero point 0"),
    ],
)
def test_declarations_that_do_not_fit(name, declared, schedule, words):
    with pytest.raises(OptionError, match=words):
        with_signals(compile_model(CASES[name][0], schedule=schedule, app=True), declared, GENERATOR)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not a declaration of preprocessing"),
        ("[]", "a JSON object is needed"),
        ("{", "is not a declaration of preprocessing"),
        ("{}", "the declaration is malformed"),
    ],
)
def test_bad_declarations_are_one_sentence(text, words, tmp_path):
    path, signals = tmp_path / "model.tflite", tmp_path / "signals.json"
    path.write_bytes(CASES["rows"][0])
    if text is not None:
        signals.write_text(text)
    outcome = thumbnet("parity", path, "--board", "host", "--schedule", "stream", "--signals", signals)
    assert outcome.code == 2
    assert words in outcome.sentence


def test_a_model_file_carries_no_declaration(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(CASES["rows"][0])
    outcome = thumbnet("parity", path, "--board", "host", "--schedule", "stream", "--signals", "bundle")
    assert outcome.code == 2
    assert "carries no declaration of its preprocessing" in outcome.sentence


def test_recorded_eeg_eog_and_emg(shared_dir, tmp_path):
    """Filters, an envelope and resampling over a real polysomnogram, exact on the host."""
    signal = pytest.importorskip("scipy.signal")
    recording = shared_dir / "data" / "sleep" / "dreams-spindles" / "excerpt3.edf"
    if not recording.is_file():
        pytest.skip("the DREAMS recording is absent")
    rows = [tuple(float(v) for v in row) for row in signal.butter(2, (0.3, 20), "bandpass", fs=50, output="sos")]
    steps = (Biquads(tuple(rows)), Resample(2, 1, tuple(signal.firwin(25, 0.45))))
    names = ("C3-A1", "EOG1-A1", "EMG1")
    channels = tuple(ChannelPlan(n, 0.01, 1.0, (*steps, Rectify()) if n == "EMG1" else steps) for n in names)
    path, signals = tmp_path / "model.tflite", tmp_path / "signals.json"
    path.write_bytes(network((1, 3, 3000, 1)))
    signals.write_text(json.dumps(SignalPlan(16, channels).to_dict()))
    outcome = thumbnet(
        *("parity", path, "--board", "host", "--schedule", "stream", "--signals", signals),
        *("--recording", recording, "--layers", "--windows", "4", "--json"),
    )
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["windows"] == 4 and found["mismatches"] == 0
    assert max(row["float_difference_max_uv"] for row in found["signals"]["channels"]) < 0.001
