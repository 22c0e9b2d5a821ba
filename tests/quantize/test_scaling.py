"""Gain and clip level: per channel, from the epochs given and no others, and back to microvolts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thumbnet.quantize.errors import ScalingError
from thumbnet.quantize.scaling import ChannelScaling, fit_scaling, to_codes

CHANNELS = ("EEG", "EMG")


def signals(seed: int = 0, epochs: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 1, (epochs, 2, 400)) * np.array([[40.0], [2.0]])).astype(np.float32)


def test_each_channel_has_its_own_clip_level():
    found = fit_scaling(signals(), CHANNELS, 99.0)
    for row, clip in enumerate(found.clip_uv):
        assert clip == pytest.approx(np.percentile(np.abs(signals()[:, row]), 99.0), rel=1e-3)
    assert found.gain == tuple(1 / clip for clip in found.clip_uv)
    assert found.microvolts_per_step == tuple(clip / 127 for clip in found.clip_uv)


def test_only_the_training_epochs_given_decide():
    train, test = signals(), 1000 * signals(1)
    everything = np.concatenate([train, test])
    subjects = np.repeat(["a", "b"], 6)
    assert fit_scaling(everything[subjects == "a"], CHANNELS) == fit_scaling(train, CHANNELS)
    assert fit_scaling(everything, CHANNELS) != fit_scaling(train, CHANNELS)


def test_a_few_artefacts_do_not_take_the_resolution():
    spoilt = signals()
    spoilt[0, 0, :2] = 5000.0
    assert fit_scaling(spoilt, CHANNELS, 99.0).clip_uv[0] < 1.02 * fit_scaling(signals(), CHANNELS, 99.0).clip_uv[0]


def test_share_clipped_is_what_the_percentile_says():
    shares = fit_scaling(signals(), CHANNELS, 99.0).share_clipped(signals())
    assert shares == pytest.approx((0.01, 0.01), abs=1e-3)
    assert ChannelScaling(CHANNELS, (1e6, 1.0)).share_clipped(signals())[0] == 0.0


def test_apply_scales_and_clips():
    scaling = ChannelScaling(CHANNELS, (100.0, 10.0))
    found = scaling.apply(np.array([[[50.0, -250.0], [5.0, 12.0]]]))
    assert found.shape == (1, 2, 2, 1) and found.dtype == np.float32
    assert found[0, :, :, 0] == pytest.approx(np.array([[0.5, -1.0], [0.5, 1.0]]))


@settings(max_examples=50, deadline=None)
@given(st.floats(0.5, 5000.0), st.integers(0, 2**32 - 1))
def test_codes_round_trip_within_half_a_step(clip, seed):
    scaling = ChannelScaling(("EEG",), (clip,))
    original = np.random.default_rng(seed).uniform(-clip, clip, (2, 1, 50)).astype(np.float32)
    codes = scaling.to_int8(original)
    assert codes.dtype == np.int8 and codes.min() >= -127
    back = codes[..., 0] * scaling.microvolts_per_step[0]
    assert np.abs(back - original).max() <= scaling.microvolts_per_step[0] * (0.5 + 1e-4)


def test_codes_round_half_to_even():
    assert to_codes(np.array([0.5, 1.5, 2.5, -0.5, 127, -127, 400, -400]) / 127).tolist() == [
        0, 2, 2, 0, 127, -127, 127, -128,
    ]  # fmt: skip


def test_report_is_json_with_one_row_per_channel():
    rows = json.loads(json.dumps(fit_scaling(signals(), CHANNELS).report(signals())))
    assert [row["name"] for row in rows] == list(CHANNELS)
    assert set(rows[0]) == {"name", "clip_uv", "gain", "microvolts_per_step", "share_clipped"}
    assert rows[1]["microvolts_per_step"] < rows[0]["microvolts_per_step"]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda x: x[:0], "at least 1 epoch"),
        (lambda x: x[:, :1], "2 channels, samples"),
        (lambda x: x[0], r"must have the shape \(epochs, channels, samples\), got \(2, 400\)"),
        (lambda x: x * np.array([[1], [np.nan]]), "channel 'EMG' holds NaN or infinity"),
        (lambda x: x * np.array([[0], [1]]), "channel 'EEG' is flat"),
    ],
    ids=["empty", "channels", "axes", "nan", "flat"],
)
def test_signals_that_cannot_be_scaled(fault, sentence):
    with pytest.raises(ScalingError, match=sentence) as caught:
        fit_scaling(fault(signals()), CHANNELS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("percentile", [50, 100.1, -1, float("nan")])
def test_percentiles_out_of_range(percentile):
    with pytest.raises(ScalingError, match="clip_percentile must be above 50 and at most 100, got"):
        fit_scaling(signals(), CHANNELS, percentile)


@pytest.mark.parametrize("clips", [(1.0,), (1.0, 0.0), (1.0, -3.0), (1.0, float("nan")), (float("inf"), 1.0)])
def test_clip_levels_that_are_refused(clips):
    with pytest.raises(ScalingError, match="clip level"):
        ChannelScaling(CHANNELS, clips)


def test_apply_refuses_other_channels():
    with pytest.raises(ScalingError, match=r"2 channels, samples\), got \(6, 1, 400\)"):
        ChannelScaling(CHANNELS, (1.0, 1.0)).apply(signals()[:, :1])
