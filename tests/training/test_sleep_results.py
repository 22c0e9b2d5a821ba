"""Folds into one summary: pooled, per fold, per night, the int8 drop, and sleep statistics where lights are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from thumbnet.training.errors import DatasetError
from thumbnet.training.sleep.published import PUBLISHED_FIGURES
from thumbnet.training.sleep.results import FoldResult, summarise
from thumbnet.training.sleep.stages import STAGES


def fold(number: int, nights: int = 2, wrong: float = 0.2) -> FoldResult:
    rng = np.random.default_rng(number)
    labels = np.tile(np.repeat([0, 1, 2, 3, 2, 4, 0], 6), nights)
    per_night = len(labels) // nights
    kept = np.tile(np.r_[False, np.ones(per_night - 1, bool)], nights)
    guess = np.where(rng.random(len(labels)) < wrong, (labels + 1) % 5, labels)
    exact = guess.copy()
    exact[5] = (guess[5] + 2) % 5
    return FoldResult(
        np.repeat([f"F{number}N{n}" for n in range(nights)], per_night),
        np.full(len(labels), f"F{number}"),
        np.tile(30.0 * np.arange(per_night), nights),
        np.where(kept, labels, -1),
        kept,
        {"float": guess, "int8": exact, "majority": np.full(len(labels), 2)},
    )


@pytest.fixture(scope="module")
def summary():
    folds = [fold(n) for n in range(4)]
    lights = {name: (30.0, 42 * 30.0) for result in folds[:2] for name in set(result.recordings)}
    return summarise(folds, STAGES, lights), folds


def test_the_pooled_matrix_is_the_sum_over_folds(summary):
    found, folds = summary
    confusion = np.zeros((5, 5), int)
    for result in folds:
        np.add.at(confusion, (result.labels[result.kept], result.predicted["float"][result.kept]), 1)
    assert found["models"]["float"]["pooled"]["confusion"] == confusion.tolist()
    assert found["epochs"] == confusion.sum() == 4 * 82 and found["subjects"] == 4 and found["recordings"] == 8
    assert found["wake_share"] == pytest.approx(confusion[0].sum() / confusion.sum())


def test_spread_over_folds_and_quartiles_over_nights(summary):
    found, folds = summary
    accuracy = [np.mean(f.labels[f.kept] == f.predicted["float"][f.kept]) for f in folds]
    spread = found["models"]["float"]["per_fold"]["accuracy"]
    assert spread["values"] == pytest.approx(accuracy)
    assert spread["mean"] == pytest.approx(np.mean(accuracy)) and spread["sd"] == pytest.approx(
        np.std(accuracy, ddof=1)
    )
    kappas = [night["models"]["float"]["kappa"] for night in found["nights"]]
    nights = found["models"]["float"]["per_night"]["kappa"]
    assert nights["nights"] == 8 and nights["median"] == pytest.approx(np.median(kappas))
    assert nights["q1"] <= nights["median"] <= nights["q3"]


def test_sensitivity_is_the_share_of_a_stage_that_was_found(summary):
    pooled = summary[0]["models"]["majority"]["pooled"]
    assert pooled["sensitivity"] == {"W": 0.0, "N1": 0.0, "N2": 1.0, "N3": 0.0, "REM": 0.0}
    assert pooled["shares"]["N2"] == pooled["accuracy"]


def test_the_int8_drop_has_an_interval_over_subjects(summary):
    drop = summary[0]["int8_drop"]
    assert drop["over"] == "subjects" and drop["units"] == 4
    assert drop["value"] == pytest.approx(100 * drop["epochs"] / summary[0]["epochs"])
    assert drop["interval"][0] <= drop["value"] <= drop["interval"][1]


def test_statistics_only_of_nights_whose_lights_are_known(summary):
    found = summary[0]
    assert (found["statistics"]["nights"], found["statistics"]["of"]) == (4, 8)
    assert found["statistics"]["models"]["float"]["time_in_bed"]["scored"] == 20.5
    assert found["nights"][-1]["statistics"]["scored"]["total_sleep_time"] == "unknown"
    assert summarise([fold(1)], STAGES, {})["statistics"]["models"] == "unknown"


def test_it_is_json(summary):
    assert json.loads(json.dumps(summary[0], allow_nan=False))["folds"] == 4
    assert json.dumps([figure.to_dict() for figure in PUBLISHED_FIGURES], allow_nan=False)


def test_a_fold_comes_back_from_its_file(tmp_path):
    result = fold(3)
    result.write(tmp_path / "stages.npz")
    again = FoldResult.read(tmp_path / "stages.npz")
    assert list(again.predicted) == list(result.predicted)
    for name in ("recordings", "subjects", "onsets", "labels", "kept"):
        assert np.array_equal(getattr(again, name), getattr(result, name))
    (tmp_path / "half.npz").write_bytes((tmp_path / "stages.npz").read_bytes()[:100])
    for name in ("half.npz", "none.npz"):
        with pytest.raises(DatasetError, match="cannot be read as the result of a fold"):
            FoldResult.read(tmp_path / name)


def test_no_folds_and_folds_of_other_models_are_refused():
    other = fold(1)
    other.predicted.pop("int8")
    for results in ([], [fold(0), other]):
        with pytest.raises(DatasetError, match="results of folds need"):
            summarise(results, STAGES, {})
