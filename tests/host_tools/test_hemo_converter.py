"""What hemodynamic bundles declare of their converter, and recordings of a PPG as it gives them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from support.command import thumbnet
from support.mixtures import Sizes, mixture
from thumbnet.codegen import compile_model
from thumbnet.codegen.signals import SignalPlan, design, run_codes
from thumbnet.host_tools.errors import HostToolsError
from thumbnet.host_tools.hemodynamics.converter import declared, read_counts
from thumbnet.host_tools.hemodynamics.recipe import parse_hemo_recipe
from thumbnet.host_tools.recipes import RecipeError
from thumbnet.quantize.mixture_bundle import mixture_bundle
from thumbnet.quantize.signals import check_signals, window_counts
from thumbnet.training.hemodynamics.learning import as_rows
from thumbnet.training.hemodynamics.readers.wfdb_write import write_record
from thumbnet.training.hemodynamics.synthetic import synthetic_windows


def recipe(**tables):
    return parse_hemo_recipe({"name": "x", "task": "hemodynamics", **tables})


def plan_of(**tables) -> SignalPlan:
    found = declared(recipe(**tables))
    check_signals(found, ["PPG"], "the declaration", normalised=True)
    return SignalPlan.from_dict(found)


def test_windows_that_come_cut_need_no_step():
    plan = plan_of()
    assert (plan.bits, plan.rate, plan.channels[0].steps) == (16, 125.0, ())
    assert (plan.normalise.low, plan.normalise.high, plan.normalise.zero_point) == (-1, 1, 0)
    assert design(plan).narrow


@pytest.mark.parametrize("bits", [12, 16, 20])
def test_codes_of_the_converter_beside_those_of_training(bits):
    """Of windows that fill three quarters of the range; 16 bits differ by one in about two of a thousand codes."""
    plan = plan_of(converter={"bits": bits})
    windows = synthetic_windows(6, 4, 1).signals
    counts = window_counts(plan.to_dict(), windows, 125.0)
    assert counts.shape == (24, 1250, 1) and counts.dtype == np.int32
    assert np.abs(counts).max() == round(0.75 * (2 ** (bits - 1) - 1))
    codes = np.stack([run_codes(design(plan), window.T)[0] for window in counts]).astype(int)
    wanted = np.round(127 * as_rows(windows)[:, 0, :, 0])
    assert np.abs(codes - wanted).max() <= 1
    assert (codes != wanted).mean() < {12: 0.06, 16: 0.004, 20: 0.0005}[bits]


def test_filters_are_those_of_training_at_the_converters_rate():
    filters = {"highpass": 0.5, "lowpass": 8.0, "order": 3}
    at_once = plan_of(data={"source": "wfdb", "folder": "x", **filters})
    assert [type(step).__name__ for step in at_once.channels[0].steps] == ["Biquads"]
    assert at_once.rate == 125.0
    faster = plan_of(data={"source": "ppg-bp", "folder": "x", **filters})
    assert [type(step).__name__ for step in faster.channels[0].steps] == ["Biquads", "Resample"]
    assert (faster.rate, faster.ratio) == (1000.0, (1, 8))
    slower = plan_of(data={"source": "ppg-bp", "folder": "x"}, converter={"rate": 250})
    assert [type(step).__name__ for step in slower.channels[0].steps] == ["Resample"]


def test_cut_windows_at_another_rate_are_resampled_only():
    plan = plan_of(data={"highpass": 0.5}, converter={"rate": 250, "bits": 18})
    assert [type(step).__name__ for step in plan.channels[0].steps] == ["Resample"]
    assert window_counts(plan.to_dict(), np.linspace(0, 1, 1250)[None], 125.0).shape == (1, 2500, 1)


@pytest.mark.parametrize(
    ("converter", "sentence"),
    [
        ({"bits": 25}, r"converter\.bits must be at most 24|less than or equal to 24|converter\.bits"),
        ({"rate": 0}, r"converter\.rate"),
        ({"rate": 125.0001}, "as whole numbers up to 1024"),
    ],
)
def test_refused_converters(converter, sentence):
    with pytest.raises(RecipeError, match=sentence):
        recipe(converter=converter)


# --- recordings ---------------------------------------------------------------------------------------------


def bundle(**converter):
    return SimpleNamespace(signals=declared(recipe(converter=converter)), rate=125.0)


def wave(count: int = 4000) -> np.ndarray:
    seconds = np.arange(count) / 125
    return 3 + np.sin(2 * np.pi * 1.2 * seconds) + 0.3 * np.sin(2 * np.pi * 2.4 * seconds)


@pytest.mark.parametrize("name", ["ppg.npy", "ppg.csv"])
def test_numbers_span_three_quarters_of_the_range(name, tmp_path):
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, wave().reshape(2, 2000))
    else:
        np.savetxt(path, wave())
    counts = read_counts(path, bundle())
    assert counts.shape == (1, 4000) and counts.dtype == np.int32
    assert (counts.min(), counts.max()) == (-24575, 24575)


def test_whole_numbers_are_counts(tmp_path):
    np.save(tmp_path / "ppg.npy", np.arange(6, dtype=np.int16))
    assert read_counts(tmp_path / "ppg.npy", bundle()).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_a_record_is_brought_to_the_converters_rate(tmp_path):
    write_record(tmp_path / "r", {"ECG": (np.zeros(1000), "mV"), "PLETH": (wave(1000), "NU")}, 250.0)
    counts = read_counts(tmp_path / "r.hea", bundle())
    assert counts.shape == (1, 500)
    assert np.corrcoef(counts[0], wave(1000)[::2])[0, 1] > 0.9999


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("a.npy", np.zeros((2, 3, 4)), r"must hold samples of one PPG, .* got float64 \(2, 3, 4\)"),
        ("a.npy", np.array([1.0, np.nan]), "must hold finite samples, got 1 others"),
        ("b.csv", None, "there is no file"),
    ],
)
def test_refused_recordings(name, array, words, tmp_path):
    if array is not None:
        np.save(tmp_path / name, array)
    with pytest.raises(HostToolsError, match=words):
        read_counts(tmp_path / name, bundle())


def test_a_record_without_a_ppg_is_refused(tmp_path):
    write_record(tmp_path / "r", {"ABP": (np.linspace(60, 120, 500), "mmHg")}, 125.0)
    with pytest.raises(HostToolsError, match="must name a PPG"):
        read_counts(tmp_path / "r.hea", bundle())


def test_a_table_is_no_recording(tmp_path):
    (tmp_path / "a.csv").write_text("time,ppg\n0,1\n")
    with pytest.raises(HostToolsError, match="must hold one number a line"):
        read_counts(tmp_path / "a.csv", bundle())


# --- commands -----------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    """A bundle of a small mixture whose declaration fits its input, and a recording of five windows."""
    made = mixture(Sizes(length=200))
    tensor = compile_model(made.to_bytes()).inputs[0]
    signals = declared(recipe())
    signals["normalise"] |= {"scale": tensor.scale, "zero_point": tensor.zero_point}
    channels = [{"name": "PPG", "unit": "a.u.", "rate": 125.0, "kind": "ppg"}]
    nothing = {"calibration": {}, "training": {}, "licences": [], "versions": {}}
    mixture_bundle(made, channels=channels, preprocessing=[{"step": "min-max"}], signals=signals, **nothing).write(
        tmp_path / "model.bundle"
    )
    np.save(tmp_path / "ppg.npy", wave(1100))
    return tmp_path


def test_the_bundles_declaration_stands_in_front_of_the_model(written):
    given = ("parity", written / "model.bundle", "--board", "host", "--schedule", "auto", "--signals", "bundle")
    done = thumbnet(*given, "--recording", written / "ppg.npy", "--layers", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["windows"], found["mismatches"], found["first_diverging_layer"]) == (5, 0, None)
    output = written / "generated"
    options = ("--target", "cortex-m4", "--schedule", "auto", "--signals", "bundle", "--output", output, "--json")
    made = thumbnet("generate", written / "model.bundle", *options)
    assert made.code == 0, made.err
    assert "int16_t window[200]" in (output / "src" / "tn_app_model.h").read_text()
    told = json.loads((output / "model.json").read_text())["signals"]
    assert told["normalise"]["low"] == -1
