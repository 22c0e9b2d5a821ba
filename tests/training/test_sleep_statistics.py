"""Sleep statistics: a night counted by hand, YASA's figures for it, and what must stay unknown.

Judges arithmetic only. YASA 0.8.1 counts wake after sleep onset within the sleep period (the manual: until lights on)
and REM latency from lights off (the manual: from sleep onset); both differences are written out below.
"""

from __future__ import annotations

import numpy as np
import pytest
from thumbnet.training.sleep.statistics import UNITS, UNKNOWN, compare_statistics, in_bed, sleep_statistics

RUNS = ((14, 0), (5, 1), (40, 2), (30, 3), (3, -1), (10, 2), (25, 4), (2, 0), (6, 1), (30, 2), (20, 4), (9, 0))
NIGHT = np.concatenate([np.full(count, stage) for count, stage in RUNS])
ONSETS = 30.0 * np.arange(len(NIGHT))
END = 30.0 * len(NIGHT)
# yasa.Hypnogram(...).sleep_statistics() of the same night, movement as ART, yasa 0.8.1.
YASA = {"TIB": 97.0, "TST": 83.0, "SE": 85.567, "SOL": 7.0, "WASO": 1.0, "Lat_REM": 51.0, "%N1": 6.6265,
        "%N2": 48.1928, "%N3": 18.0723, "%REM": 27.1084}  # fmt: skip


def test_figures_are_those_of_yasa():
    found = sleep_statistics(NIGHT, ONSETS, 0.0, END)
    final_wake = 9 * 0.5
    assert found["time_in_bed"] == YASA["TIB"] and found["total_sleep_time"] == YASA["TST"]
    assert 100 * found["sleep_efficiency"] == pytest.approx(YASA["SE"], abs=1e-3)
    assert found["sleep_onset_latency"] == YASA["SOL"]
    assert found["wake_after_sleep_onset"] == YASA["WASO"] + final_wake
    assert found["rem_latency"] == YASA["Lat_REM"] - YASA["SOL"]
    for stage in ("N1", "N2", "N3", "REM"):
        assert 100 * found[f"share_{stage}"] == pytest.approx(YASA[f"%{stage}"], abs=1e-4)


def test_figures_are_those_of_yasa_live():
    yasa = pytest.importorskip("yasa", reason="yasa is not installed (it brings Numba, LightGBM and pandas)")
    names = {0: "WAKE", 1: "N1", 2: "N2", 3: "N3", 4: "REM", -1: "ART"}
    theirs = yasa.Hypnogram([names[stage] for stage in NIGHT.tolist()], freq="30s").sleep_statistics()
    for key, value in YASA.items():
        assert theirs[key] == pytest.approx(value, abs=1e-3)


def test_only_the_time_between_the_lights_counts():
    found = sleep_statistics(NIGHT, ONSETS, 10 * 30.0, END - 5 * 30.0)
    assert found["time_in_bed"] == 97.0 - 7.5 and found["sleep_onset_latency"] == 2.0
    assert found["total_sleep_time"] == 83.0 and found["wake_after_sleep_onset"] == 1.0 + 2.0


def test_epochs_that_the_lights_fall_into_do_not_count():
    found = sleep_statistics(NIGHT, ONSETS, 10 * 30.0 + 7, END - 5 * 30.0 - 7)
    assert found["time_in_bed"] == 97.0 - 7.5 - 1.0


@pytest.mark.parametrize(
    ("off", "on"), [(None, END), (0.0, None), (None, None), (300.0, 300.0), (0.0, END + 3600), (-3600.0, END)]
)
def test_without_lights_or_outside_the_record_all_is_unknown(off, on):
    assert set(sleep_statistics(NIGHT, ONSETS, off, on).values()) == {UNKNOWN}


def test_a_record_with_a_gap_is_unknown():
    there = np.arange(len(NIGHT)) != 50
    assert in_bed(NIGHT[there], ONSETS[there], 0.0, END) is None


def test_nights_without_sleep_or_without_rem():
    awake = sleep_statistics(np.zeros(10, int), ONSETS[:10], 0.0, 300.0)
    assert awake["total_sleep_time"] == 0 and awake["sleep_efficiency"] == 0
    assert awake["sleep_onset_latency"] == awake["rem_latency"] == awake["share_N2"] == UNKNOWN
    dreamless = sleep_statistics(np.full(10, 2), ONSETS[:10], 0.0, 300.0)
    assert dreamless["rem_latency"] == UNKNOWN and dreamless["share_REM"] == 0


def test_scored_against_predicted():
    true = sleep_statistics(NIGHT, ONSETS, 0.0, END)
    late = np.where(np.arange(len(NIGHT)) < 18, 0, NIGHT)
    found = sleep_statistics(late, ONSETS, 0.0, END)
    none = dict.fromkeys(UNITS, UNKNOWN)
    summary = compare_statistics([(true, found), (true, true), (none, none)])
    assert summary["sleep_onset_latency"]["nights"] == 2
    assert summary["sleep_onset_latency"]["bias"] == pytest.approx(1.0)
    assert summary["sleep_onset_latency"]["mae"] == pytest.approx(1.0)
    assert summary["sleep_onset_latency"]["sd"] == pytest.approx(np.sqrt(2))
    assert summary["total_sleep_time"]["bias"] == pytest.approx(-1.0)
    assert compare_statistics([(none, none)]) == {}
