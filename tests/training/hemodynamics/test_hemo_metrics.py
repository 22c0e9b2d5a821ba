"""Errors, grades, baselines, tracking, identities and strata, each against numbers worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ppg_sets import small_set
from thumbnet.training.errors import ConfigError, DatasetError
from thumbnet.training.hemodynamics.agreement import errors_by_stratum, identity_violations, strata_of, tracking
from thumbnet.training.hemodynamics.baselines import (
    CUFF,
    DEMOGRAPHICS,
    POPULATION,
    SUBJECT,
    baseline_estimates,
    with_demographics,
)
from thumbnet.training.hemodynamics.calibration import calibrated, fit_calibration
from thumbnet.training.hemodynamics.evaluation import NO_EARLIER_READING, NO_TRAITS, evaluate
from thumbnet.training.hemodynamics.expert_use import expert_use
from thumbnet.training.hemodynamics.metrics import aami_numbers, bhs_grade, errors_of, ieee_grade
from thumbnet.training.hemodynamics.protocols import (
    CALIBRATION_BASED,
    CALIBRATION_FREE,
    Division,
    divide,
    few_windows,
)
from thumbnet.training.hemodynamics.synthetic import synthetic_windows
from thumbnet.training.hemodynamics.tasks import check_tasks, task_of


def division(train, test, known=(), protocol="calibration-free") -> Division:
    train, test, known = (np.array(part, np.int64) for part in (train, test, known))
    return Division(protocol, train, train[:1], test, known, "label")


def test_errors_by_hand():
    found = errors_of(
        "sbp", np.array([100.0, 120, 140, np.nan]), np.array([104.0, 114, 156, 9]), np.array(list("aabb"))
    )
    assert found is not None
    assert (found.task, found.unit, found.windows, found.subjects) == ("SBP", "mmHg", 3, 2)
    assert found.mae == pytest.approx(26 / 3)
    assert found.me == pytest.approx(14 / 3)
    assert found.sd == pytest.approx(np.std([4, -6, 16], ddof=1))
    assert found.rmse == pytest.approx(np.sqrt((16 + 36 + 256) / 3))
    assert found.mape == pytest.approx(100 * (4 / 100 + 6 / 120 + 16 / 140) / 3)
    assert found.r2 == pytest.approx(1 - (16 + 36 + 256) / 800)
    assert found.within == {5: pytest.approx(1 / 3), 10: pytest.approx(2 / 3), 15: pytest.approx(2 / 3)}


def test_grades_are_for_pressures_only():
    found = errors_of("HR", np.array([60.0, 80]), np.array([61.0, 80]), np.array(["a", "b"]))
    assert found is not None
    assert (found.aami, found.bhs, found.ieee) == (None, None, None)


def test_constant_measurements_have_no_r2_and_json_has_no_nan():
    found = errors_of("DBP", np.array([80.0, 80]), np.array([81.0, 80]), np.array(["a", "b"]))
    assert found is not None
    assert np.isnan(found.r2)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["r2"] is None


def test_no_data_no_errors():
    assert errors_of("SBP", np.array([np.nan]), np.array([1.0]), np.array(["a"])) is None
    with pytest.raises(DatasetError, match="must be equally many, got 2, 1 and 1"):
        errors_of("SBP", np.zeros(2), np.zeros(1), np.array(["a"]))


@pytest.mark.parametrize(
    ("me", "sd", "subjects", "passed"),
    [(5, 8, 85, True), (-5, 8, 85, True), (5.1, 8, 85, False), (5, 8.1, 85, False), (0, 1, 84, False)],
)
def test_aami_limits(me, sd, subjects, passed):
    assert aami_numbers(me, sd, subjects) is passed


@pytest.mark.parametrize(
    ("shares", "grade"),
    [((0.60, 0.85, 0.95), "A"), ((0.60, 0.85, 0.94), "B"), ((0.50, 0.75, 0.90), "B"), ((0.49, 0.75, 0.90), "C"),
     ((0.40, 0.65, 0.85), "C"), ((0.39, 0.90, 0.99), "D")],
)  # fmt: skip
def test_bhs_needs_all_three_shares(shares, grade):
    assert bhs_grade(dict(zip((5, 10, 15), shares, strict=True))) == grade


@pytest.mark.parametrize(("mae", "grade"), [(5, "A"), (5.01, "B"), (6, "B"), (6.99, "C"), (7, "D")])
def test_ieee_grades(mae, grade):
    assert ieee_grade(mae) == grade


def test_baselines_by_hand():
    windows = small_set(
        ["a", "a", "b", "b", "c", "c", "c"], [0, 10, 0, 10, 0, 10, 25],
        [[100, 60], [110, 64], [130, 80], [140, 84], [120, 70], [126, 72], [130, 75]],
    )  # fmt: skip
    found = baseline_estimates(windows, division([0, 1, 2, 3], [4, 5, 6]))
    np.testing.assert_allclose(found[POPULATION], [[120, 72]] * 3)
    assert np.isnan(found[DEMOGRAPHICS]).all()  # nobody's traits are known
    np.testing.assert_allclose(found[SUBJECT], [[np.nan] * 2, [120, 70], [123, 71]])
    np.testing.assert_allclose(found[CUFF], [[np.nan] * 2, [120, 70], [126, 72]])


def test_a_reading_is_earlier_when_its_window_has_ended():
    windows = small_set(["a", "b", "b", "b"], [0, 0, 9.9, 10], [[1, 1], [2, 2], [3, 3], [4, 4]])
    found = baseline_estimates(windows, division([0], [1, 2, 3]))
    np.testing.assert_array_equal(found[CUFF], [[np.nan] * 2, [np.nan] * 2, [2, 2]])


def test_known_windows_of_another_record_are_earlier():
    windows = small_set(
        ["a", "b", "b"], [0, 500, 0], [[1, 1], [2, np.nan], [3, 3]], records=["a", "visit 1", "visit 2"]
    )
    found = baseline_estimates(windows, division([0], [2], known=[1]))
    np.testing.assert_array_equal(found[CUFF], [[2, np.nan]])
    unknown = baseline_estimates(windows, division([0], [1, 2]))
    assert np.isnan(unknown[CUFF]).all()


def test_demographics_find_a_line_in_age():
    age = np.linspace(20, 80, 61)
    people = np.stack([age, age * 0, np.full(61, np.nan), np.full(61, 80.0)], axis=1)
    windows = small_set(
        [f"{n}" for n in range(61)], [0] * 61, np.stack([100 + age / 2, 0 * age], axis=1), people=people
    )
    found = baseline_estimates(windows, division(np.arange(0, 61, 2), np.arange(1, 61, 2)))
    np.testing.assert_allclose(found[DEMOGRAPHICS][:, 0], 100 + age[1::2] / 2, atol=2.5)


def test_demographics_say_nothing_about_people_of_whom_nothing_is_known():
    people = np.full((40, 4), np.nan)
    people[:30, 0] = np.linspace(20, 80, 30)  # the last ten are strangers, five of whom train
    labels = np.where(np.isnan(people[:, :1]), 500, 100 + people[:, :1]) * np.ones((1, 2))
    windows = small_set([f"{n}" for n in range(40)], [0] * 40, labels, people=people)
    train = [*range(0, 30, 2), *range(30, 35)]
    found = baseline_estimates(windows, division(train, [1, 3, 36]))[DEMOGRAPHICS]
    np.testing.assert_allclose(found[:2], windows.labels[[1, 3]], atol=6)
    assert np.isnan(found[2]).all()


def test_tracking_ignores_the_offset_of_a_person():
    truth = np.array([100.0, 110, 120, 90, 100, 95])
    told = truth + np.array([30] * 3 + [-20] * 3)
    found = tracking("SBP", truth, told, np.array(list("aaabbb")), np.array([0.0, 1, 2, 0, 1, 2]))
    assert found is not None
    assert found["r"] == pytest.approx(1)
    assert found["slope"] == pytest.approx(1)
    assert found["mae_change"] == pytest.approx(0)
    assert found["mae_no_change"] == pytest.approx((10 + 20 + 10 + 5) / 4)
    assert found["changes"] == 3  # that of 5 mmHg is none
    assert found["concordance"] == 1


def test_tracking_tells_the_wrong_direction_and_goes_by_time():
    truth, told = np.array([120.0, 100, 110]), np.array([100.0, 120, 110])
    found = tracking("SBP", truth, told, np.array(list("aaa")), np.array([2.0, 0, 1]))
    assert found is not None
    assert found["r"] == pytest.approx(-1)
    assert found["concordance"] == 0


def test_tracking_needs_three_windows_that_differ():
    assert tracking("SBP", np.array([1.0, 2]), np.zeros(2), np.array(list("aa")), np.arange(2.0)) is None
    assert tracking("SBP", np.ones(3), np.zeros(3), np.array(list("aaa")), np.arange(3.0)) is None


def test_identities_hold_for_measurements_and_not_for_noise():
    windows = synthetic_windows(20, 2, seed=1)
    exact = identity_violations(windows.tasks, windows.labels, windows.people)
    assert {name: row.get("largest", row.get("share")) for name, row in exact.items()} == {
        "CO = HR * SV / 1000": pytest.approx(0, abs=1e-9),
        "CO / CI = SV / SI": pytest.approx(0, abs=1e-9),
        "SVRI / SVR = CO / CI": pytest.approx(0, abs=1e-9),
        "CI = CO / BSA": pytest.approx(0, abs=1e-9),
        "SBP > MAP > DBP": 0,
        "0 <= MAP - SVR * CO / 80 <= 20 mmHg": 0,
    }
    off = windows.labels * np.array([1, 1, 1, 1, 1.1, 1, 1, 1, 1.3, 1])
    broken = identity_violations(windows.tasks, off, windows.people)
    assert broken["CO = HR * SV / 1000"]["median"] == pytest.approx(100 * (1 - 1 / 1.1))
    assert broken["0 <= MAP - SVR * CO / 80 <= 20 mmHg"]["share"] > 0.9
    swapped = identity_violations(("MAP", "SBP", "DBP"), windows.labels[:, :3], windows.people)
    assert swapped == {"SBP > MAP > DBP": {"share": 1.0}}


def test_strata_tell_age_sex_and_pressure_apart():
    people = [[30, 1, 180, 80], [39.9, 0, 160, 60], [40, 0, 160, 60], [60, 1, 180, 80]]
    windows = small_set(list("abcd"), [0] * 4, [[85, 50], [119, 70], [120, 80], [140, 90]], people=people)
    masks = {name: mask.tolist() for name, mask in strata_of(windows).items()}
    assert masks["under 40"] == [True, True, False, False]
    assert masks["60 and older"] == [False, False, False, True]
    assert masks["men"] == [True, False, False, True]
    assert masks["SBP 120 to 139"] == [False, False, True, False]
    table = errors_by_stratum(windows, windows.labels + np.array([2, -3]))
    assert table["women"] == {"windows": 2, "subjects": 2, "SBP": {"me": 2, "mae": 2}, "DBP": {"me": -3, "mae": 3}}


def test_calibration_fits_offset_then_gain():
    one = fit_calibration(np.array([[120.0]]), np.array([[100.0]]))
    assert (one.gain[0], one.offset[0], one.readings[0]) == (1, 20, 1)
    told = np.arange(100.0, 140)[:, None]
    many = fit_calibration(1.5 * told + 3, told)
    assert many.gain[0] == pytest.approx(1 + 0.5 * 40 / 45)
    np.testing.assert_allclose(many.apply(told).mean(), (1.5 * told + 3).mean())
    none = fit_calibration(np.array([[np.nan]]), np.array([[100.0]]))
    assert (none.gain[0], none.offset[0]) == (1, 0)


def test_calibration_uses_known_readings_of_the_same_person():
    windows = small_set(list("aabb"), [0, 10, 0, 10], [[100, 1], [100, 1], [130, 2], [130, 2]])
    told = np.full((4, 2), [110.0, 1.5])
    found = calibrated(windows, division([0, 2], [1, 3], known=[0], protocol=CALIBRATION_BASED), told)
    np.testing.assert_allclose(found, [[100, 1], [110, 1.5]])


def test_expert_use_counts_who_serves_whom():
    windows = small_set(list("abcd"), [0] * 4, [[100, 60]] * 2 + [[150, 90]] * 2)
    weights = np.array([[0.5, 0.5, 0], [0.9, 0.1, 0], [0, 1, 0], [0.3, 0.7, 0]])
    found = expert_use(weights, windows)
    assert found["served"] == [0.75, 1.0, 0.0]
    assert found["idle"] == [2]
    assert found["importance"] == pytest.approx([1.7 / 4, 2.3 / 4, 0])
    assert found["entropy"] == pytest.approx(-(3 / 7 * np.log2(3 / 7) + 4 / 7 * np.log2(4 / 7)))
    assert found["evenness"] == pytest.approx(found["entropy"] / np.log2(3))
    assert found["active"] == {"mean": 1.75, "largest": 2}
    assert found["kinds"]["SBP 140 and more"] == [0.5, 1.0, 0.0]
    assert found["means"]["SBP"] == [pytest.approx(350 / 3), 125.0, None]
    by_task = expert_use(np.stack([weights, weights[:, ::-1]], axis=1), windows)
    assert by_task["served"] == [0.75, 1.0, 0.75]


def test_an_evaluation_is_whole_and_json(tmp_path):
    windows = synthetic_windows(12, 4, seed=2)
    parts = divide(windows)
    told = windows.labels + np.random.default_rng(0).normal(0, 1, windows.labels.shape)
    report = json.loads(
        json.dumps(evaluate(windows, parts, told, others={"none": windows.labels * 0}), allow_nan=False)
    )
    assert report["protocol"]["name"] == "calibration-free"
    assert "no protocol pass" in report["statement"]
    assert set(report["errors"]) == {
        "model", "none", "population mean", "demographics only", "subject mean", "last cuff reading"
    }  # fmt: skip
    assert set(report["errors"]["model"]) == set(windows.tasks)
    assert report["gain"]["model"]["SBP"] > 80
    assert report["gain"]["none"]["SBP"] < 0
    assert report["tracking"]["SBP"]["r"] > 0.9
    assert report["remarks"] == [few_windows(32, 8, 8)]
    assert {row["model"] for row in report["published"]} >= {"LSM2oE", "XResNet1d101"}
    assert all(row["protocol"] for row in report["published"])


def test_an_evaluation_under_calibration_shows_the_calibrated_model():
    windows = synthetic_windows(12, 6, seed=2)
    report = evaluate(windows, divide(windows, CALIBRATION_BASED), windows.labels + 10)
    assert report["errors"]["model"]["SBP"]["mae"] == pytest.approx(10)
    assert report["errors"]["model, calibrated"]["SBP"]["mae"] == pytest.approx(0, abs=1e-9)


def test_an_evaluation_says_where_nobody_has_an_earlier_reading():
    windows = small_set(list("aabbccdd"), [0] * 8, np.arange(16).reshape(8, 2))
    report = evaluate(windows, divide(windows), windows.labels)
    assert report["remarks"] == [few_windows(4, 2, 2), NO_TRAITS, NO_EARLIER_READING]
    assert report["errors"]["last cuff reading"] == {}


def test_a_handful_of_windows_is_owned_up_to():
    assert few_windows(20, 10, 20) is None
    assert few_windows(6, 2, 2).startswith("6 windows train, 2 validate, 2 are tested: enough to see that every step")


def test_demographics_join_a_model_by_what_validation_people_say():
    rng = np.random.default_rng(0)
    age, rest = rng.uniform(20, 80, 300), rng.normal(0, 10, 300)
    people = np.stack([age, *np.full((3, 300), np.nan)], axis=1)
    windows = small_set(
        [f"{n}" for n in range(300)], [0] * 300, np.stack([100 + age, 80 + rest], axis=1), people=people
    )
    parts = Division(CALIBRATION_FREE, *np.split(np.arange(300), [150, 200]), np.array([], int), "by hand")
    told = np.stack([rng.normal(150, 20, 300), 80 + rest], axis=1)  # knows nothing of the first, all of the second
    told[200:, 0] = 1e6
    found, weights = with_demographics(windows, parts, told)
    assert weights == pytest.approx([0, 1], abs=0.02)
    assert np.abs(found[:, 1] - windows.labels[200:, 1]).max() < 1
    report = evaluate(windows, parts, windows.labels, joined=True)
    assert report["joined"] == {"SBP": pytest.approx(1), "DBP": pytest.approx(1)}
    assert report["errors"]["model, with demographics"]["SBP"]["mae"] == pytest.approx(0, abs=1e-9)


def test_where_nothing_is_known_of_people_nothing_is_joined():
    windows = small_set([f"{n}" for n in range(9)], [0] * 9, np.arange(18).reshape(9, 2))
    report = evaluate(windows, divide(windows), windows.labels, joined=True)
    assert "model, with demographics" not in report["errors"] and "joined" not in report


def test_estimates_of_another_shape_are_refused():
    windows = synthetic_windows(3, 1)
    with pytest.raises(DatasetError, match=r"must have the shape \(3, 10\), got \(3, 2\)"):
        evaluate(windows, divide(windows), windows.labels[:, :2])


def test_task_names():
    assert task_of(" sbp ").title == "systolic blood pressure"
    assert check_tasks(["dbp", "SBP"]) == ("DBP", "SBP")
    with pytest.raises(ConfigError, match="task must be one of"):
        task_of("SPO2")
    for names in ([], ["SBP", "sbp"]):
        with pytest.raises(ConfigError, match="tasks must be different names"):
            check_tasks(names)
