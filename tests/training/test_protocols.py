"""Who is in which part: no person on both sides subject-wise; the leaks of the published folds are there and named."""

from __future__ import annotations

import numpy as np
import pytest
from thumbnet.training.epochs import EpochSet
from thumbnet.training.errors import SplitError
from thumbnet.training.protocols import PUBLISHED, plan_folds
from thumbnet.training.splits import SUBJECT_WISE


def people(count: int, nights: int = 2, epochs: int = 5) -> EpochSet:
    subjects = np.repeat([f"S{n:02d}" for n in range(count)], nights * epochs)
    recordings = np.repeat([f"S{n:02d}N{k}" for n in range(count) for k in range(nights)], epochs)
    total = len(subjects)
    signals = np.zeros((total, 1, 4), "f4")
    return EpochSet(signals, np.arange(total) % 5, subjects, recordings, np.arange(float(total)), ("C",), 1.0)


@pytest.mark.parametrize(("count", "folds"), [(4, 2), (3, 3), (6, 6), (20, 5), (20, 20), (7, 3), (78, 10)])
def test_subject_wise_folds_share_nobody_and_test_everybody_once(count, folds):
    epochs = people(count)
    plan = plan_folds(epochs, SUBJECT_WISE, folds, seed=4)
    tested = []
    for fold in plan.folds:
        parts = [set(epochs.subjects[part]) for part in (fold.train, fold.validation, fold.test)]
        assert all(parts) and not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert len(fold.train) + len(fold.validation) + len(fold.test) == len(epochs)
        assert set(fold.recordings) == set(epochs.recordings[fold.test])
        tested += sorted(parts[2])
    assert sorted(tested) == sorted(set(epochs.subjects))
    assert plan.generalises and plan.leaks == () and plan.selection == "loss" and "subject-wise" in plan.label


def test_the_label_tells_that_no_pass_is_picked():
    plan = plan_folds(people(6), SUBJECT_WISE, 6, selection="last")
    assert plan.selection == "last" and plan.label.endswith("test subjects seen by nothing, the last pass counts")
    assert plan_folds(people(6), PUBLISHED, 3, selection="last").selection == "accuracy"


def test_everybody_validates_about_as_often():
    epochs = people(20)
    plan = plan_folds(epochs, SUBJECT_WISE, 5, validation=0.25)
    times = np.zeros(20, int)
    for fold in plan.folds:
        times += np.isin(np.unique(epochs.subjects), epochs.subjects[fold.validation])
    assert times.min() == times.max() == 1


def test_the_seed_decides():
    epochs = people(12)
    first, again, other = ([f.recordings for f in plan_folds(epochs, SUBJECT_WISE, 4, seed=s).folds] for s in (1, 1, 2))
    assert first == again != other


def test_published_folds_have_their_leaks_and_name_them():
    epochs = people(7)  # 14 recordings, 4 folds of 3, 2 left out
    plan = plan_folds(epochs, PUBLISHED, 4)
    assert plan.selection == "accuracy" and not plan.generalises and plan.label.startswith("published, 4 folds")
    assert [len(fold.recordings) for fold in plan.folds] == [3] * 4
    for fold in plan.folds:
        assert np.array_equal(fold.validation, fold.test)
        assert not set(epochs.recordings[fold.train]) & set(fold.recordings)
        assert not set(epochs.recordings[fold.train]) & {"S06N0", "S06N1"}
    assert any(set(epochs.subjects[fold.train]) & set(epochs.subjects[fold.test]) for fold in plan.folds)
    text = " ".join(plan.leaks)
    assert "test fold itself" in text and "in 4 of 4 a tested person has another night" in text
    assert "2 recordings beyond equal folds are left out (S06N0, S06N1)" in text


def test_published_folds_of_whole_people_do_not_claim_a_leak_they_lack():
    plan = plan_folds(people(6, nights=1), PUBLISHED, 3)
    assert len(plan.leaks) == 1 and "test fold itself" in plan.leaks[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("random", 3), "folds.protocols must be among"),
        ((SUBJECT_WISE, 1), "folds.count must be at least 2, got 1"),
        ((SUBJECT_WISE, 9), "9 subject-wise folds need at least 9 subjects .*, got 6"),
        ((PUBLISHED, 13), "13 published folds need as many recordings, got 12"),
        ((SUBJECT_WISE, 3, 0, 1.0), "folds.validation must be a share"),
    ],
)
def test_folds_that_cannot_be(arguments, sentence):
    with pytest.raises(SplitError, match=sentence):
        plan_folds(people(6), *arguments)


def test_two_people_cannot_be_divided_in_three():
    with pytest.raises(SplitError, match="need at least 4 subjects"):
        plan_folds(people(2), SUBJECT_WISE, 2)
