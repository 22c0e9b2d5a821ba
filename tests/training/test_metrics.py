"""Staging metrics against scikit-learn, what happens to absent classes, and what an interval is drawn from."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="needs thumbnet[train]")

from thumbnet.training.errors import DatasetError  # noqa: E402
from thumbnet.training.metrics import bootstrap_interval, share_equal, staging_metrics  # noqa: E402
from thumbnet.training.sleep.stages import STAGES  # noqa: E402


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 5, 500)
    return true, np.where(rng.random(500) < 0.7, true, rng.integers(0, 5, 500))


def test_against_scikit_learn(labels):
    true, predicted = labels
    found = staging_metrics(true, predicted, STAGES)
    assert found.epochs == 500 and found.absent == ()
    assert found.accuracy == pytest.approx(sklearn_metrics.accuracy_score(true, predicted))
    assert found.macro_f1 == pytest.approx(sklearn_metrics.f1_score(true, predicted, average="macro"))
    assert found.kappa == pytest.approx(sklearn_metrics.cohen_kappa_score(true, predicted))
    assert np.array_equal(found.confusion, sklearn_metrics.confusion_matrix(true, predicted))


def test_kappa_by_hand():
    # 45 + 25 of 100 agree; by chance (0.60 * 0.65) + (0.40 * 0.35) = 0.53.
    true = np.repeat([0, 0, 1, 1], [45, 15, 20, 20])
    predicted = np.repeat([0, 1, 0, 1], [45, 15, 20, 20])
    assert staging_metrics(true, predicted, ("W", "N1")).kappa == pytest.approx((0.65 - 0.53) / 0.47)


def test_absent_classes_are_listed_and_left_out():
    true, predicted = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    found = staging_metrics(true, predicted, STAGES)
    assert found.absent == ("N1", "N3", "REM")
    assert found.per_class_f1 == {"W": pytest.approx(2 / 3), "N1": None, "N2": 1.0, "N3": None, "REM": None}
    assert found.macro_f1 == pytest.approx((2 / 3 + 1) / 2)
    assert found.confusion.shape == (5, 5) and found.confusion[0, 1] == 1


def test_kappa_of_a_single_class_is_undefined_and_null_in_json():
    found = staging_metrics(np.full(4, 2), np.full(4, 2), STAGES)
    assert math.isnan(found.kappa) and found.accuracy == 1.0
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["kappa"] is None and content["absent"] == ["W", "N1", "N3", "REM"]
    assert content["confusion"][2][2] == 4


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        ([], []),
        ([0, 1], [0]),
        ([[0, 1]], [[0, 1]]),
        ([0, 5], [0, 1]),
        ([0, 1], [-1, 1]),
        ([0.5, 1.0], [0, 1]),
    ],
)
def test_labels_that_are_refused(true, predicted):
    with pytest.raises(DatasetError, match="stages must be") as caught:
        staging_metrics(np.array(true), np.array(predicted), STAGES)
    assert "\n" not in str(caught.value)


def test_interval_over_subjects_is_wider_where_subjects_differ():
    # Half the people are always right, half never: whole persons vary far more than single epochs.
    subjects = np.repeat([f"s{n}" for n in range(10)], 50)
    right = np.repeat(np.arange(10) % 2, 50)
    over_subjects = bootstrap_interval(np.mean, [right], subjects)
    over_epochs = bootstrap_interval(np.mean, [right], np.full(500, "one person"))
    assert (over_subjects.over, over_subjects.units) == ("subjects", 10)
    assert (over_epochs.over, over_epochs.units) == ("epochs", 500)
    assert over_subjects.low < over_epochs.low < 0.5 < over_epochs.high < over_subjects.high
    # Binomial: 1.96 * sqrt(0.25 / units).
    assert over_subjects.high - over_subjects.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 10), rel=0.2)
    assert over_epochs.high - over_epochs.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 500), rel=0.2)


@pytest.mark.parametrize(("people", "over"), [(1, "epochs"), (2, "epochs"), (3, "subjects")])
def test_three_people_are_needed_to_draw_people(people, over):
    subjects = np.array([f"s{n % people}" for n in range(30)])
    assert bootstrap_interval(np.mean, [np.arange(30)], subjects, resamples=10).over == over


def test_interval_is_reproducible_and_plain_json(labels):
    true, predicted = labels
    subjects = np.array([f"s{n % 7}" for n in range(500)])
    first, again, other = (
        bootstrap_interval(share_equal, labels, subjects, resamples=50, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first.value == np.mean(true == predicted)
    assert first.low <= first.value <= first.high
    assert json.loads(json.dumps(first.to_dict()))["over"] == "subjects"


def test_interval_needs_epochs_of_equal_count():
    with pytest.raises(DatasetError, match="one entry per epoch"):
        bootstrap_interval(np.mean, [np.array([])], np.array([]))
    with pytest.raises(DatasetError, match=r"lengths \[3\] for 2"):
        bootstrap_interval(np.mean, [np.zeros(3)], np.array(["a", "b"]))
