"""Splits: no person and no epoch in two parts, the same parts for the same seed, honest labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thumbnet.training.epochs import EpochSet, concatenate
from thumbnet.training.errors import DatasetError, SplitError
from thumbnet.training.splits import SUBJECT_WISE, WITHIN_RECORDING, subject_split


def epochs_of(subjects: list[str], labels=None, recordings=None) -> EpochSet:
    count = len(subjects)
    return EpochSet(
        signals=np.zeros((count, 1, 4), np.float32),
        labels=np.zeros(count, np.int64) if labels is None else np.asarray(labels),
        subjects=np.asarray(subjects),
        recordings=np.asarray(recordings or subjects),
        onsets=np.arange(count) * 30.0,
        channels=("EEG",),
        rate=100.0,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=3, max_size=60),
    st.integers(0, 2**32 - 1),
    st.floats(0.1, 0.4),
    st.floats(0.1, 0.4),
)
def test_every_epoch_is_in_one_part_and_nobody_in_two(subjects, seed, validation, test):
    epochs = epochs_of(subjects)
    try:
        split = subject_split(epochs, seed, (1 - validation - test, validation, test))
    except SplitError:
        # Two people with one or two epochs each leave nothing to validate on.
        assert len(set(subjects)) < 3
        return
    parts = (split.train, split.validation, split.test)
    assert sorted(np.concatenate(parts)) == list(range(len(subjects)))
    assert all(len(part) for part in parts)
    if len(set(subjects)) >= 3:
        people = [set(epochs.subjects[part]) for part in parts]
        assert split.protocol == SUBJECT_WISE and split.generalises
        assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])
    else:
        assert split.protocol == WITHIN_RECORDING and not split.generalises


def test_the_seed_decides():
    epochs = epochs_of(list("abcdefghij") * 3)
    first, again = subject_split(epochs, 1), subject_split(epochs, 1)
    assert np.array_equal(first.test, again.test)
    others = [set(epochs.subjects[subject_split(epochs, seed).test]) for seed in range(8)]
    assert len({frozenset(people) for people in others}) > 1


def test_two_nights_of_a_person_stay_together():
    subjects = [name for name in "abc" for _ in range(8)]
    recordings = [f"{name}{night}" for name in "abc" for night in (1, 2) for _ in range(4)]
    split = subject_split(epochs_of(subjects, recordings=recordings))
    for part in (split.train, split.validation, split.test):
        assert len(set(np.asarray(subjects)[part])) == 1


def test_one_recording_is_cut_into_blocks_of_time():
    labels = [0, 1, 2, 3, 4] * 4
    split = subject_split(epochs_of(["a"] * 20, labels))
    assert split.protocol == "time-within-recording (no generalisation claim)"
    assert split.train.tolist() == list(range(12))
    assert split.validation.tolist() == list(range(12, 16))
    assert split.test.tolist() == list(range(16, 20))


def test_the_blocks_rotate_so_that_train_sees_every_class():
    labels = [0] * 10 + [1] * 8 + [2] * 2
    split = subject_split(epochs_of(["a"] * 20, labels))
    assert set(np.asarray(labels)[split.train]) == {0, 1, 2}
    # Still contiguous, seen around a ring.
    for part in (split.train, split.validation, split.test):
        gaps = np.diff(np.concatenate([part, part[:1] + 20]))
        assert (gaps > 1).sum() == 1


def test_a_shuffled_set_is_cut_in_time_order():
    epochs = epochs_of(["a"] * 20)
    order = np.random.default_rng(0).permutation(20)
    split = subject_split(epochs.take(order))
    assert max(order[split.train]) < min(order[split.validation])
    assert max(order[split.validation]) < min(order[split.test])


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (0.5, 0.5), (-0.2, 0.6, 0.6)])
def test_fractions_must_be_shares(fractions):
    with pytest.raises(SplitError, match="three positive shares"):
        subject_split(epochs_of(list("abc")), fractions=fractions)


def test_too_few_epochs():
    with pytest.raises(SplitError, match="at least 3 epochs, got 2"):
        subject_split(epochs_of(["a", "a"]))


def test_epoch_sets_refuse_what_does_not_fit():
    epochs = epochs_of(list("abc"))
    with pytest.raises(DatasetError, match="one entry for each of 3 epochs"):
        EpochSet(**{**vars(epochs), "labels": np.zeros(2, np.int64)})
    with pytest.raises(DatasetError, match=r"shape \(epochs, 2 channels"):
        EpochSet(**{**vars(epochs), "channels": ("EEG", "EMG")})
    with pytest.raises(DatasetError, match="share channels, rate"):
        concatenate([epochs, EpochSet(**{**vars(epochs), "rate": 50.0})])
    with pytest.raises(DatasetError, match="no epochs to join"):
        concatenate([])
    joined = concatenate([epochs, epochs], skipped=["x"])
    assert len(joined) == 6 and joined.skipped == ("x",) and joined.counts(5).tolist() == [6, 0, 0, 0, 0]
