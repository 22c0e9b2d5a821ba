"""Stages: annotations and codes to one label per epoch, on written and on the 20 real hypnograms."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thumbnet.training.errors import ConfigError, HypnogramError, RecordingError
from thumbnet.training.sleep.hypnogram import (
    near_sleep,
    read_annotated_stages,
    runs_of_stages,
    stages_from_annotations,
    stages_from_codes,
    write_annotated_stages,
)
from thumbnet.training.sleep.stages import DREAMS_CODES, DROPPED, STAGES, code_map, stage_index

LABELS = st.lists(st.integers(-1, 4), min_size=1, max_size=80)


@given(LABELS, st.integers(0, 1000))
def test_runs_of_stages_are_undone_by_reading_them(labels, start):
    onsets, durations, texts = runs_of_stages(np.array(labels), start)
    assert durations.sum() == 30 * len(labels)
    stages = stages_from_annotations(onsets, durations, texts)
    assert stages.start == start
    assert stages.labels.tolist() == labels


@settings(max_examples=20, deadline=None)
@given(LABELS)
def test_written_files_are_read_back(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("stages") / "night-Hypnogram.edf"
    write_annotated_stages(path, *runs_of_stages(np.array(labels)))
    assert read_annotated_stages(path).labels.tolist() == labels


@given(LABELS, st.sampled_from([0.2, 1, 2, 10]))
def test_codes_at_any_rate_give_the_label_of_each_epoch(labels, rate):
    codes = np.repeat(np.array(labels, float), int(30 * rate))
    stages = stages_from_codes(codes, rate, {code: code for code in range(-1, 5)})
    assert stages.labels.tolist() == labels


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 100)), min_size=1, max_size=30))
def test_an_epoch_has_the_stage_that_covers_more_than_half(spans):
    onsets = np.cumsum([0, *(length for _, length in spans)])[:-1]
    texts = [f"Sleep stage {'W123R'[label]}" for label, _ in spans]
    stages = stages_from_annotations(onsets, [length for _, length in spans], texts)
    seconds = np.repeat([label for label, _ in spans], [length for _, length in spans])
    for epoch, label in enumerate(stages.labels):
        counts = np.bincount(seconds[30 * epoch : 30 * epoch + 30], minlength=5)
        assert label == (counts.argmax() if counts.max() > 15 else DROPPED)


def test_stages_three_and_four_merge_and_others_drop():
    texts = [
        "Lights off",
        "Sleep stage 3",
        "Sleep stage 4",
        "Movement time",
        "Sleep stage ?",
        "Sleep stage R",
    ]
    stages = stages_from_annotations(np.arange(6) * 30, [30] * 6, texts)
    assert stages.labels.tolist() == [3, 3, DROPPED, DROPPED, 4]
    assert stages.start == 30


def test_a_stage_without_a_duration_lasts_until_the_next():
    stages = stages_from_annotations([0, 90, 150], [0, 0, 0], ["Sleep stage W", "Sleep stage 1", "Sleep stage 2"])
    assert stages.labels.tolist() == [0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("onsets", "durations", "texts", "sentence"),
    [
        ([], [], [], "no hypnogram, none of 0 annotations"),
        ([0], [30], ["Lights off"], "no hypnogram, none of 1 annotations"),
        ([0], [30], ["Sleep stage 7"], "a stage must be one of .* got 'Sleep stage 7'"),
        (
            [0, 10],
            [60, 60],
            ["Sleep stage W", "Sleep stage 1"],
            "must not overlap, two do in the epoch at 0 s",
        ),
        ([0], [-30], ["Sleep stage W"], "finite onset and duration"),
        ([np.nan], [30], ["Sleep stage W"], "finite onset and duration"),
        ([0], [1e12], ["Sleep stage W"], "span at most 7 days"),
    ],
)
def test_annotations_that_are_no_hypnogram(onsets, durations, texts, sentence):
    with pytest.raises(HypnogramError, match=sentence):
        stages_from_annotations(onsets, durations, texts)


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        ([5.0] * 29, "codes last 29 s, one epoch is 30 s"),
        ([5.0] * 29 + [9.0], r"codes must be among \[0, 1, 2, 3, 4, 5\], got \[9\]"),
        ([5.0] * 29 + [4.4], "codes must be integers, got 4.4 at sample 29"),
        ([5.0] * 29 + [np.nan], "codes must be integers, got nan at sample 29"),
    ],
)
def test_codes_that_are_no_hypnogram(codes, sentence):
    with pytest.raises(HypnogramError, match=sentence):
        stages_from_codes(np.array(codes), 1.0, DREAMS_CODES)


def test_codes_of_a_recipe():
    table = {"5": "W", "4": "rem", "3": "S1", "2": "S2", "1": "S3", "0": "S4"}
    assert code_map(table) == DREAMS_CODES
    assert stage_index("drop") == DROPPED
    with pytest.raises(ConfigError, match="stage must be one of"):
        code_map({"5": "awake"})
    with pytest.raises(ConfigError, match="code must be an integer, got 'five'"):
        code_map({"five": "W"})


@given(LABELS, st.integers(0, 20))
def test_wake_is_kept_only_near_sleep(labels, epochs):
    labels = np.array(labels)
    mask = near_sleep(labels, epochs)
    asleep = np.flatnonzero(labels > 0)
    for i in range(len(labels)):
        near = not len(asleep) or asleep[0] - epochs <= i <= asleep[-1] + epochs
        assert mask[i] == near


def test_hypnogram_files_that_are_none(tmp_path):
    path = tmp_path / "a.edf"
    with pytest.raises(RecordingError, match="is not a file"):
        read_annotated_stages(path)
    path.write_bytes(b"rubbish" * 100)
    with pytest.raises(RecordingError, match="not an EDF file"):
        read_annotated_stages(path)


def _real_annotations(data: bytes) -> list[tuple[float, float, str]]:
    """Parse the annotations apart from MNE: onset, duration and text between their separators."""
    found = re.findall(rb"\+(\d+)\x15(\d+)\x14([^\x14]+)\x14", data)
    return [(float(onset), float(duration), text.decode()) for onset, duration, text in found]


def test_the_real_hypnograms(shared_dir):
    """Counts of every stage against a second parser that knows nothing of MNE."""
    folder = shared_dir / "data" / "sleep" / "sleep-edf-hypnograms"
    paths = sorted(folder.glob("*.edf"))
    if not paths:
        pytest.skip("the Sleep-EDF hypnograms are not on this machine")
    assert len(paths) == 20
    total = np.zeros(6, int)
    for path in paths:
        expected = np.zeros(6, int)
        for _, duration, text in _real_annotations(path.read_bytes()):
            column = "W123R".find(text[-1]) if text != "Movement time" else -1
            expected[3 if text.endswith("4") else column] += int(duration / 30)
        stages = read_annotated_stages(path)
        assert stages.start == 0
        assert np.bincount(np.where(stages.labels == DROPPED, 5, stages.labels), minlength=6).tolist() == (
            expected.tolist()
        ), path.name
        total += expected
    # SC4001, as a fixed point: N1, N2, N3 (101 of stage 3, 119 of stage 4), REM.
    first = read_annotated_stages(paths[0]).labels
    assert [int((first == label).sum()) for label in range(1, 5)] == [58, 250, 220, 125]
    assert len(STAGES) == 5 and total[:5].min() > 1000
