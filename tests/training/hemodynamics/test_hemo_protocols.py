"""Divisions: nobody and no sample on both sides, and what each protocol must own up to."""

from __future__ import annotations

import numpy as np
import pytest
from ppg_sets import small_set
from thumbnet.training.errors import SplitError
from thumbnet.training.hemodynamics.protocols import (
    CALIBRATION_BASED,
    CALIBRATION_FREE,
    PROTOCOLS,
    RANDOM_SEGMENT,
    divide,
    from_parts,
)


def many(subjects: int = 20, each: int = 10, step: float = 10.0):
    return small_set(np.repeat([f"p{n:02d}" for n in range(subjects)], each).tolist(),
                     np.tile(np.arange(each) * step, subjects).tolist())  # fmt: skip


def overlapping(windows, first, second) -> bool:
    """Whether a window of one part shares samples with one of the other."""
    for a in first:
        for b in second:
            if (
                windows.records[a] == windows.records[b]
                and abs(windows.onsets[a] - windows.onsets[b]) < windows.seconds
            ):
                return True
    return False


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("step", [10.0, 4.0])
def test_parts_are_disjoint_and_share_no_sample(protocol, step):
    windows = many(6, 30, step)
    found = divide(windows, protocol, seed=3)
    parts = [found.train, found.validation, found.test]
    everything = np.concatenate(parts)
    assert len(np.unique(everything)) == len(everything) == len(windows) - found.dropped
    for one in range(3):
        for other in range(one):
            assert not overlapping(windows, parts[one], parts[other])
    assert (found.dropped > 0) == (protocol != CALIBRATION_FREE and step < 10)


def test_calibration_free_keeps_people_apart():
    windows = many()
    found = divide(windows, CALIBRATION_FREE, seed=1)
    people = [set(windows.subjects[part]) for part in (found.train, found.validation, found.test)]
    assert [len(group) for group in people] == [12, 4, 4]
    assert not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
    assert found.generalises
    assert len(found.known) == 0
    assert not np.array_equal(found.test, divide(windows, CALIBRATION_FREE, seed=2).test)


def test_calibration_based_tests_later_windows_of_known_people():
    windows = many()
    found = divide(windows, CALIBRATION_BASED)
    for subject in np.unique(windows.subjects):
        mine = [windows.onsets[part][windows.subjects[part] == subject] for part in (found.train, found.test)]
        assert mine[0].max() < mine[1].min()
    np.testing.assert_array_equal(found.known, found.train)
    assert not found.generalises


def test_people_with_too_few_windows_are_not_tested_and_nothing_of_them_is_known():
    windows = small_set(list("aaaaabb"), [0, 10, 20, 30, 40, 0, 10])
    found = divide(windows, CALIBRATION_BASED)
    assert set(windows.subjects[found.test]) == {"a"}
    assert set(windows.subjects[found.known]) == {"a"}
    assert {5, 6} <= set(found.train.tolist())


def test_random_segment_is_labelled_leaky_and_counts():
    found = divide(many(), RANDOM_SEGMENT)
    assert "leaky" in found.label
    assert found.leaks == ("40 of 40 tested windows are of people who are in training",)
    assert not found.generalises
    assert len(found.known) == 0


def test_unknown_subjects_are_owned_up_to():
    from dataclasses import replace

    found = divide(replace(many(), subjects_known=False))
    assert not found.generalises
    assert "does not say whose windows" in found.leaks[0]


def test_signals_and_labels_do_not_matter():
    from dataclasses import replace

    windows = many()
    other = replace(windows, labels=windows.labels + 1, signals=windows.signals * 0)
    for protocol in PROTOCOLS:
        np.testing.assert_array_equal(divide(windows, protocol).test, divide(other, protocol).test)


def test_two_sets_that_are_divided_already():
    train, test = many(8).named_subjects("one"), many(5).named_subjects("two")
    windows, found = from_parts(train, test, CALIBRATION_FREE)
    assert len(windows) == 130
    np.testing.assert_array_equal(found.test, np.arange(80, 130))
    assert len(np.unique(windows.subjects[found.validation])) == 2
    with pytest.raises(SplitError, match="no subject in both sets, got 5"):
        from_parts(many(8), many(5), CALIBRATION_FREE)
    with pytest.raises(SplitError, match="needs subjects that are in both sets"):
        from_parts(train, test, CALIBRATION_BASED)
    _, based = from_parts(many(8), many(5), CALIBRATION_BASED)
    assert len(based.known) == 50
    with pytest.raises(SplitError, match="take calibration-free or calibration-based"):
        from_parts(train, test, RANDOM_SEGMENT)
    with pytest.raises(SplitError, match="at least 2 subjects"):
        from_parts(many(1).named_subjects("one"), test, CALIBRATION_FREE)


@pytest.mark.parametrize(
    ("windows", "settings", "told"),
    [
        (many(2), {}, "needs at least 3 subjects"),
        (many(), {"protocol": "k-fold"}, "protocol must be one of"),
        (many(), {"fractions": (0.5, 0.5, 0.5)}, "three positive shares"),
        (small_set(["a", "b"], [0, 0]), {"protocol": RANDOM_SEGMENT}, "needs at least 3 windows"),
        (small_set(["a", "a", "b"], [0, 10, 0]), {"protocol": CALIBRATION_BASED}, "leaves a part of 3 windows"),
    ],
)
def test_impossible_divisions_are_told(windows, settings, told):
    with pytest.raises(SplitError, match=told):
        divide(windows, **settings)
