"""Files as users bring them: empty, cut off, of another kind, in other units; each told in one sentence."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from ppg_sets import circulation_waves, write_wfdb
from test_hemo_readers import published_folder, write_pulsedb
from thumbnet.training.errors import DatasetError, RecordingError, TrainingError
from thumbnet.training.hemodynamics.readers.arrays import load_array, load_arrays
from thumbnet.training.hemodynamics.readers.npy_pair import read_npy_pair
from thumbnet.training.hemodynamics.readers.ppg_bp import read_ppg_bp
from thumbnet.training.hemodynamics.readers.pulsedb import read_pulsedb
from thumbnet.training.hemodynamics.readers.wfdb_records import read_wfdb_folder

PPG = np.random.default_rng(0).random((6, 1250))
PRESSURES = np.tile([120.0, 75.0], (6, 1)) + np.arange(6)[:, None]


# --- NumPy's files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_array, load_arrays])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"SBP,DBP\n120,80\n", "it holds text or Python objects"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "is no .*, or damaged"),
        (b"PK\x03\x04 not a zip file", "is no .*, or damaged"),
    ],
)
def test_damaged_files_are_told(tmp_path, load, content, told):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(RecordingError, match=told):
        load(tmp_path / "file")


def test_one_array_is_not_several(tmp_path):
    np.save(tmp_path / "one.npy", PPG)
    np.savez(tmp_path / "several.npz", ppg=PPG)
    with pytest.raises(RecordingError, match=r"must hold one array \(.npy\), got several"):
        load_array(tmp_path / "several.npz")
    with pytest.raises(RecordingError, match=r"must hold several named arrays \(.npz\), got one"):
        load_arrays(tmp_path / "one.npy")
    whole = (tmp_path / "several.npz").read_bytes()
    (tmp_path / "several.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match="or damaged"):
        load_arrays(tmp_path / "several.npz")
    damaged = bytearray(whole)
    damaged[1000:1100] = bytes(100)
    (tmp_path / "several.npz").write_bytes(bytes(damaged))
    with pytest.raises(RecordingError, match="Bad CRC-32"):
        load_arrays(tmp_path / "several.npz")


# --- .npy pairs -----------------------------------------------------------------------------------------------


def changed(array: np.ndarray, place, value: float) -> np.ndarray:
    other = array.copy()
    other[place] = value
    return other


@pytest.mark.parametrize(
    ("ppg", "labels", "told"),
    [
        (PPG[:0], PRESSURES[:0], "ppg.npy holds no window"),
        (changed(PPG, (2, slice(3)), np.nan), PRESSURES, "got 3 others in 1 of 6 windows"),
        (np.ones_like(PPG), PRESSURES, "must hold pulses, got 6 flat windows"),
        (PPG, changed(PRESSURES, (1, 1), np.inf), "NaN where there is none, got infinity"),
        (PPG, changed(PRESSURES, (slice(None), 1), np.nan), "holds no label of DBP"),
        (PPG, PRESSURES / 7.5, "SBP must be in mmHg, 40 to 300, got a median of 16.3"),
        (PPG, PRESSURES[:, ::-1], "SBP must lie above DBP, but does not in 6 of 6 windows"),
    ],
)
def test_pairs_that_cannot_be_meant_are_told(tmp_path, ppg, labels, told):
    np.save(tmp_path / "ppg.npy", ppg)
    np.save(tmp_path / "labels.npy", labels)
    with pytest.raises(TrainingError, match=told):
        read_npy_pair(tmp_path / "ppg.npy", tmp_path / "labels.npy")


def test_a_label_that_was_not_measured_and_a_flat_window_pass(tmp_path):
    np.save(tmp_path / "ppg.npy", changed(PPG, 4, 1.0))
    np.save(tmp_path / "labels.npy", changed(PRESSURES, (1, 0), np.nan))
    found = read_npy_pair(tmp_path / "ppg.npy", tmp_path / "labels.npy")
    assert np.isnan(found.labels).sum() == 1
    assert "1 of 6 windows are flat" in found.notes


# --- PPG-BP ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ppg_bp():
    segments = np.round(4000 * circulation_waves(4, 2.1, 1000).volume)
    numbers = np.arange(4)
    return {"ppg": segments, "fs": np.array(1000), "subject": numbers + 1, "sbp": 120 + numbers, "dbp": 80 + numbers,
            "hr": 70 + numbers, "age": 40 + numbers, "sex": np.array(["Male", "Female", "M", "?"])}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("sbp", None, "got none of the name 'sbp'"),
        ("sbp", [120] * 3, r"sbp must have the shape \(4,\), got \(3,\)"),
        ("ppg", np.zeros(2100), r"ppg must have the shape \(segments, samples\), got \(2100,\)"),
        ("ppg", np.full((4, 9), "a"), "ppg must be numbers, got <U1"),
        ("age", ["x"] * 4, "age must be numbers"),
        ("subject", ["s1", "s2", "s3", "s4"], "subject must be whole numbers"),
        ("fs", 0, "fs must be one positive number of samples per second, got 0"),
        ("fs", [1000, 1000], "fs must be one positive number"),
        ("ppg", np.ones((4, 2100)), "holds no usable PPG window: PPG-BP subject 1, segment 0: no two whole beats"),
        ("ppg", np.ones((4, 100)), "0.1 s hold no two whole beats"),
        ("ppg", np.full((4, 2100), np.nan), "2100 of 2100 samples are missing"),
    ],
)
def test_arrays_that_are_not_ppg_bp_are_told(tmp_path, ppg_bp, name, value, told):
    table = {key: entry for key, entry in {**ppg_bp, name: value}.items() if entry is not None}
    np.savez(tmp_path / "ppg_bp.npz", **table)
    with pytest.raises(TrainingError, match=told):
        read_ppg_bp(tmp_path)


def test_a_damaged_segment_is_left_out_and_an_unknown_sex_stays_unknown(tmp_path, ppg_bp):
    table = {**ppg_bp, "ppg": changed(ppg_bp["ppg"], (0, 7), np.nan)}
    np.savez(tmp_path / "ppg_bp.npz", **table)
    found = read_ppg_bp(tmp_path)
    assert found.skipped[0].endswith("subject 1, segment 0: 1 of 2100 samples are missing")
    sexes = dict(zip(found.subjects.tolist(), found.people[:, 1].tolist(), strict=True))
    assert (sexes["002"], sexes["003"]) == (0, 1) and np.isnan(sexes["004"])


@pytest.mark.parametrize(
    ("content", "told"), [("", "0 s hold no two whole beats"), ("1\t2\tabc", "1_1.txt must be numbers")]
)
def test_text_files_that_are_no_segments_are_told(tmp_path, ppg_bp, content, told):
    published_folder(tmp_path, ppg_bp["ppg"][:2])
    for path in (tmp_path / "0_subject").iterdir():
        path.write_text(content)
    with pytest.raises(TrainingError, match=told):
        read_ppg_bp(tmp_path)


def test_an_open_spreadsheet_leaves_a_file_that_is_none(tmp_path, ppg_bp):
    published_folder(tmp_path, ppg_bp["ppg"])
    (tmp_path / "~$PPG-BP dataset.xlsx").write_text("locked by somebody")
    assert len(read_ppg_bp(tmp_path)) >= 3


def test_the_whole_set_cut_off_is_told(tmp_path, shared_dir):
    whole = shared_dir / "data" / "ppg" / "ppg-bp" / "ppg_bp.npz"
    (tmp_path / "ppg_bp.npz").write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(RecordingError, match="or damaged"):
        read_ppg_bp(tmp_path)


# --- PulseDB and WFDB -----------------------------------------------------------------------------------------


def _without_column(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["Subset/DBP"]


def _short_column(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["Subset/DBP"]
        file["Subset/DBP"] = np.zeros((1, 2))


def _no_table(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["Subset"] = np.zeros(3)


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4000])


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_without_column, "must hold the column 'DBP'"),
        (_short_column, "DBP must have an entry for each of 3 segments, got 2"),
        (_no_table, "is no subset file of PulseDB"),
        (_cut_off, "is no subset file of PulseDB"),
    ],
)
def test_subsets_that_are_not_pulsedb_are_told(tmp_path, damage, told):
    path = tmp_path / "Train_Subset.mat"
    write_pulsedb(path, ["a", "b", "c"], 0)
    damage(path)
    with pytest.raises(RecordingError, match=told):
        read_pulsedb(tmp_path)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("", "is no WFDB header"),
        ("a 2 125 2500\na.dat 16 50 16 0 0 0 0 PLETH\n", "2 signals announced, 1 described"),
        ("a 0 125 2500\n", "must name a PPG"),
        ("a 2 125 99999\na.dat 16 50 16 0 0 0 0 PLETH\na.dat 16 50 16 0 0 0 0 ABP\n", "must hold 99999 samples"),
        ("a 2 0 2500\na.dat 16 50 16 0 0 0 0 PLETH\na.dat 16 50 16 0 0 0 0 ABP\n", "is no WFDB header"),
        ("a/2 2 125 2500\nb 1250\nc 1250\n", "b.hea cannot be read"),
        ("a 2 125 2500\nb.dat 16 50 16 0 0 0 0 PLETH\nb.dat 16 50 16 0 0 0 0 ABP\n", "b.dat cannot be read"),
        ("a 2 125\nempty.dat 16 50 16 0 0 0 0 PLETH\nempty.dat 16 50 16 0 0 0 0 ABP\n", "must hold"),
    ],
)
def test_records_that_cannot_be_read_are_told(tmp_path, header, told):
    waves = circulation_waves(1, 20, 125)
    write_wfdb(tmp_path / "a", {"PLETH": waves.volume[0], "ABP": waves.pressure[0]}, 125)
    (tmp_path / "empty.dat").write_bytes(b"")
    (tmp_path / "a.hea").write_text(header)
    with pytest.raises(DatasetError, match=f"holds no usable PPG window: .*{re.escape(told)}"):
        read_wfdb_folder(tmp_path)


def test_one_good_record_is_read_beside_a_bad_one(tmp_path):
    waves = circulation_waves(1, 30, 125)
    write_wfdb(tmp_path / "a", {"PLETH": waves.volume[0], "ABP": waves.pressure[0]}, 125)
    shutil.copy(tmp_path / "a.dat", tmp_path / "b.dat")
    (tmp_path / "b.hea").write_text("nothing")
    found, _ = read_wfdb_folder(tmp_path)
    assert len(found) >= 1 and "b.hea is no WFDB header" in found.skipped[0]
