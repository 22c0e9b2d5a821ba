"""Readers against files written here, whose content is known, and against real files where they are."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from ppg_sets import circulation_waves, write_wfdb
from thumbnet.training.errors import ConfigError, DatasetError, RecordingError, TrainingError
from thumbnet.training.hemodynamics.protocols import RANDOM_SEGMENT, divide
from thumbnet.training.hemodynamics.readers.npy_pair import read_npy_pair, write_npy_pair
from thumbnet.training.hemodynamics.readers.ppg_bp import read_ppg_bp
from thumbnet.training.hemodynamics.readers.pulsedb import official_division, read_pulsedb
from thumbnet.training.hemodynamics.readers.wfdb_records import read_wfdb_folder, read_wfdb_record
from thumbnet.training.hemodynamics.readers.xlsx import read_sheet
from thumbnet.training.hemodynamics.sources import DataConfig, cross_data, load_data
from thumbnet.training.hemodynamics.synthetic import synthetic_windows
from thumbnet.training.hemodynamics.windows import WindowConfig

CUT = WindowConfig()


# --- .npy pairs -----------------------------------------------------------------------------------------------


def test_a_pair_survives_writing_and_reading(tmp_path):
    windows = synthetic_windows(4, 3, seed=1)
    found = read_npy_pair(*write_npy_pair(windows, tmp_path / "pair"))
    np.testing.assert_allclose(found.signals, windows.signals, atol=1e-6)
    np.testing.assert_array_equal(found.labels, windows.labels)
    np.testing.assert_array_equal(found.subjects, windows.subjects)
    np.testing.assert_array_equal(found.people, windows.people)
    assert found.tasks == windows.tasks
    assert found.subjects_known
    assert found.onsets.tolist() == [0, 10, 20] * 4


def test_the_published_sample(shared_dir):
    folder = shared_dir / "data" / "ppg" / "lsmoe-sample"
    found = read_npy_pair(folder / "sampledata.npy", folder / "labels.npy")
    assert found.signals.shape == (10, 1250)
    assert found.tasks == ("SBP", "DBP")
    assert np.all(found.label("SBP") > found.label("DBP") + 20)
    assert not found.subjects_known
    assert len(np.unique(found.subjects)) == 10
    config = DataConfig.from_table({"source": "npy", "ppg_file": str(folder / "sampledata.npy"),
                                    "labels_file": str(folder / "labels.npy")})  # fmt: skip
    division = load_data(config).division
    assert [len(part) for part in (division.train, division.validation, division.test)] == [6, 2, 2]
    assert not division.generalises


@pytest.mark.parametrize(
    ("ppg", "labels", "options", "told"),
    [
        (np.zeros((3, 1000)), np.zeros((3, 2)), {}, r"must have the shape \(windows, 1250\), got \(3, 1000\)"),
        (np.zeros((3, 1250)), np.zeros((2, 2)), {}, "a row for each of the 3 windows"),
        (np.zeros((3, 1250)), np.zeros((3, 5)), {}, r"has 5 columns; name them \(--tasks\)"),
        (np.zeros((3, 1250)), np.zeros((3, 2)), {"tasks": ["SBP"]}, r"has 2 columns, got the names \['SBP'\]"),
        (np.zeros((3, 1250)), np.zeros((3, 2)), {"tasks": ["SBP", "SPO2"]}, "task must be one of"),
        (np.full((3, 1250), np.nan), np.zeros((3, 2)), {}, "must hold finite numbers, got 3750 others"),
        (np.full((3, 1250), "a"), np.zeros((3, 2)), {}, "must be an array of numbers"),
    ],
)
def test_pairs_that_do_not_fit_are_told(tmp_path, ppg, labels, options, told):
    np.save(tmp_path / "ppg.npy", ppg)
    np.save(tmp_path / "labels.npy", labels)
    with pytest.raises(TrainingError, match=told):
        read_npy_pair(tmp_path / "ppg.npy", tmp_path / "labels.npy", **options)


def test_files_beside_a_pair_must_fit_too(tmp_path):
    pair = write_npy_pair(synthetic_windows(3, 1), tmp_path)
    np.save(tmp_path / "subjects.npy", np.arange(2))
    with pytest.raises(DatasetError, match="must name a subject for each of 3 windows"):
        read_npy_pair(*pair)
    np.save(tmp_path / "subjects.npy", np.arange(3))
    assert read_npy_pair(*pair).subjects.tolist() == ["0", "1", "2"]
    np.save(tmp_path / "people.npy", np.zeros((3, 2)))
    with pytest.raises(DatasetError, match=r"must have the shape \(3, 4\) \(age, male, height, weight\)"):
        read_npy_pair(*pair)


def test_what_is_no_array_is_told(tmp_path):
    (tmp_path / "ppg.npy").write_text("not an array")
    for name in ("ppg.npy", "absent.npy"):
        with pytest.raises(RecordingError, match=re.escape(name)):
            read_npy_pair(tmp_path / name, tmp_path / name)


# --- PPG-BP ---------------------------------------------------------------------------------------------------


def test_ppg_bp_as_it_is(shared_dir):
    found = read_ppg_bp(shared_dir / "data" / "ppg" / "ppg-bp")
    assert len(np.unique(found.subjects)) == 219
    assert len(found) + len(found.skipped) == 657
    assert len(found.skipped) < 15
    assert found.tasks == ("SBP", "DBP", "HR")
    assert np.isfinite(found.people).all()  # height and weight come from the spreadsheet
    assert (found.label("SBP").min(), found.label("SBP").max()) == (80, 182)
    for subject in np.unique(found.subjects)[:20]:
        assert len(np.unique(found.labels[found.subjects == subject], axis=0)) == 1
    assert len(np.unique(found.records)) == len(found)
    assert divide(found, RANDOM_SEGMENT).dropped == 0  # segments are apart, though nobody knows when they were taken
    config = DataConfig(source="ppg-bp", folder=str(shared_dir / "data" / "ppg" / "ppg-bp"))
    assert len(cross_data(DataConfig(subjects=20, each=2), config).division.test) == len(found)


def ppg_bp_segments(count: int) -> np.ndarray:
    return np.round(4000 * circulation_waves(count, 2.1, 1000).volume)


def published_folder(folder: Path, segments: np.ndarray) -> None:
    """As in the published archive: a spreadsheet with a title row, and one text file per segment."""
    titles = ["Num.", "subject_ID", "Sex(M/F)", "Age(year)", "Height(cm)", "Weight(kg)",
              "Systolic Blood Pressure(mmHg)", "Diastolic Blood Pressure(mmHg)", "Heart Rate(b/m)"]  # fmt: skip
    rows = [["Title"], titles] + [[n, n + 1, "Female" if n % 2 else "Male", 40 + n, 160, 60, 120 + n, 80, 70]
                                  for n in range(len(segments))]  # fmt: skip
    cells = [
        "".join(f'<c r="{chr(65 + column)}{row}" t="inlineStr"><is><t>{value}</t></is></c>'
                for column, value in enumerate(line))
        for row, line in enumerate(rows, 1)
    ]  # fmt: skip
    sheet = ('<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
             + "".join(f"<row>{line}</row>" for line in cells) + "</sheetData></worksheet>")  # fmt: skip
    (folder / "0_subject").mkdir(parents=True)
    with zipfile.ZipFile(folder / "PPG-BP dataset.xlsx", "w") as book:
        book.writestr("xl/worksheets/sheet1.xml", sheet)
    for number, segment in enumerate(segments):
        (folder / "0_subject" / f"{number + 1}_1.txt").write_text("\t".join(str(int(value)) for value in segment))


def test_the_published_folder_gives_what_an_npz_gives(tmp_path):
    segments = ppg_bp_segments(6)
    published_folder(tmp_path / "published", segments)
    numbers = np.arange(6)
    np.savez(tmp_path / "ppg_bp.npz", ppg=segments, fs=1000, subject=numbers + 1, sbp=120 + numbers, dbp=[80] * 6,
             hr=[70] * 6, age=40 + numbers, sex=np.where(numbers % 2, "Female", "Male"))  # fmt: skip
    first, second = read_ppg_bp(tmp_path / "published"), read_ppg_bp(tmp_path / "ppg_bp.npz")
    assert len(first) >= 5
    np.testing.assert_array_equal(first.signals, second.signals)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.people[:, :2], second.people[:, :2])
    assert first.people[0].tolist() == [40, 1, 160, 60]
    assert np.isnan(second.people[:, 2:]).all()


def test_what_is_not_ppg_bp_is_told(tmp_path):
    with pytest.raises(RecordingError, match=r"spreadsheet and its segments .*, got 0 .xlsx and 0 segments"):
        read_ppg_bp(tmp_path)
    np.savez(tmp_path / "ppg_bp.npz", ppg=np.zeros((1, 10)))
    with pytest.raises(RecordingError, match="got none of the name 'subject'"):
        read_ppg_bp(tmp_path)
    (tmp_path / "no.xlsx").write_text("x")
    with pytest.raises(RecordingError, match="cannot be read as a spreadsheet"):
        read_sheet(tmp_path / "no.xlsx")


# --- PulseDB --------------------------------------------------------------------------------------------------


def write_pulsedb(path: Path, names: list[str], seed: int) -> np.ndarray:
    """A subset file as MATLAB 7.3 writes the structure of PulseDB's script; returns its PPG."""
    count = len(names)
    rng = np.random.default_rng(seed)
    signals = rng.random((count, 3, 1250))
    signals[:, 2] = 80 + 10 * signals[:, 2]
    with h5py.File(path, "w") as file:
        table = file.create_group("Subset")
        table["Signals"] = signals.transpose()
        for field, value in (("SBP", 120), ("DBP", 70), ("Age", 60), ("Height", np.nan), ("Weight", np.nan)):
            table[field] = np.full((1, count), float(value)) + np.arange(count)
        for field, texts in (("Subject", names), ("Gender", ["M", "F"] * count)):
            cells = []
            for number in range(count):
                units = np.array([[ord(letter)] for letter in texts[number]], np.uint16)
                cells.append(file.create_dataset(f"#refs#/{field}{number}", data=units).ref)
            table.create_dataset(field, data=np.array([cells], dtype=h5py.ref_dtype))
    return signals[:, 1]


def test_a_pulsedb_subset(tmp_path):
    ppg = write_pulsedb(tmp_path / "Train_Subset.mat", ["p000001_0", "p000001_0", "p000002_1"], 0)
    found = read_pulsedb(tmp_path)
    span = ppg.max(axis=1, keepdims=True) - ppg.min(axis=1, keepdims=True)
    np.testing.assert_allclose(found.signals, (ppg - ppg.min(axis=1, keepdims=True)) / span, atol=1e-6)
    assert found.tasks == ("SBP", "MAP", "DBP")
    np.testing.assert_array_equal(found.labels[:, [0, 2]], [[120, 70], [121, 71], [122, 72]])
    assert np.all((found.label("MAP") > 80) & (found.label("MAP") < 90))
    assert found.subjects.tolist() == ["p000001_0", "p000001_0", "p000002_1"]
    assert found.onsets.tolist() == [0, 10, 0]
    assert found.people[:, 1].tolist() == [1, 0, 1]
    assert np.isnan(found.people[:, 2]).all()
    assert len(read_pulsedb(tmp_path, limit=2)) == 2


def test_pulsedb_official_divisions(tmp_path):
    write_pulsedb(tmp_path / "VitalDB_Train_Subset.mat", list("aabbccdd"), 0)
    write_pulsedb(tmp_path / "VitalDB_CalFree_Test_Subset.mat", list("eeff"), 1)
    write_pulsedb(tmp_path / "VitalDB_CalBased_Test_Subset.mat", list("ab"), 2)
    windows, free = official_division(tmp_path, "calfree")
    assert set(windows.subjects[free.test]) == {"e", "f"}
    assert free.generalises
    windows, based = official_division(tmp_path, "calbased")
    assert set(windows.subjects[based.known]) == {"a", "b"}
    assert based.protocol == "calibration-based"
    data = load_data(DataConfig(source="pulsedb", folder=str(tmp_path), test="calbased"))
    np.testing.assert_array_equal(data.division.test, based.test)


def test_what_is_not_pulsedb_is_told(tmp_path):
    with pytest.raises(RecordingError, match=r"must hold CalFree_Test_Subset.mat or VitalDB_CalFree"):
        read_pulsedb(tmp_path, "calfree")
    (tmp_path / "Train_Subset.mat").write_text("not HDF5")
    with pytest.raises(RecordingError, match="is no subset file of PulseDB"):
        read_pulsedb(tmp_path)
    with pytest.raises(ConfigError, match="subset must be one of"):
        read_pulsedb(tmp_path, "test")
    with pytest.raises(ConfigError, match="tested subset must be one of"):
        official_division(tmp_path, "train")


# --- WFDB -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["16", "212"])
@pytest.mark.parametrize("rate", [125, 250])
def test_a_wfdb_record_gives_the_pressures_of_its_waves(tmp_path, fmt, rate):
    waves = circulation_waves(1, 32, rate, seed=1)
    gain = 6 if fmt == "212" else 50
    write_wfdb(tmp_path / "r1", {"PLETH": 100 * waves.volume[0], "ABP": waves.pressure[0]}, rate, fmt,
               "Age: 63  Sex: F", gain)  # fmt: skip
    found, rejections = read_wfdb_record(tmp_path / "r1.hea", CUT, "somebody")
    assert rejections.rejected == 0, str(rejections)
    assert found.signals.shape == (3, 1250)
    assert found.onsets.tolist() == [0, 10, 20]
    assert found.people[0, :2].tolist() == [63, 0]
    truth = [waves.systolic[0], waves.mean[0], waves.diastolic[0], waves.rate[0]]
    np.testing.assert_allclose(found.labels.mean(axis=0), truth, rtol=0.03)


def test_wfdb_folders_name_people_and_count_rejections(tmp_path):
    waves = circulation_waves(3, 40, 125, seed=2)
    volume = 100 * waves.volume
    (tmp_path / "p00" / "p000123").mkdir(parents=True)
    signals = {"PLETH": volume[0], "II": volume[0] / 50, "ABP": waves.pressure[0]}
    write_wfdb(tmp_path / "p00" / "p000123" / "3000001", signals, 125)
    volume[1, 100:400] = volume[1, 100]  # stands still
    waves.pressure[1, 1300:1310] = np.nan
    (tmp_path / "somebody").mkdir()
    write_wfdb(tmp_path / "somebody" / "night", {"PLETH": volume[1], "ABP": waves.pressure[1]}, 125)
    write_wfdb(tmp_path / "loose", {"PLETH": volume[2], "ECG": volume[2]}, 125)
    found, rejections = read_wfdb_folder(tmp_path)
    assert set(found.subjects) == {"p000123", "somebody"}
    assert rejections.to_dict() == {
        "windows": 8, "rejected": 2, "rate": 0.25, "reasons": {"signal stands still": 1, "samples are missing": 1}
    }  # fmt: skip
    assert len(found.skipped) == 1
    assert "loose.hea must name a PPG" in found.skipped[0]
    assert str(rejections).startswith("2 of 8 windows rejected (25.0%)")


def test_windows_of_a_multi_segment_record_never_span_a_gap(tmp_path):
    waves = circulation_waves(2, 25, 125, seed=3)
    for number in range(2):
        write_wfdb(tmp_path / f"m_{number}", {"ABP": waves.pressure[number], "PLETH": 100 * waves.volume[number]}, 125)
    (tmp_path / "m.hea").write_text("m/3 2 125 6875\nm_0 3125\n~ 625\nm_1 3125\n")
    found, rejections = read_wfdb_folder(tmp_path, WindowConfig(stride=625))
    assert rejections.windows == 8
    assert found.onsets.tolist() == [0, 5, 10, 15, 30, 35, 40, 45]
    assert set(found.records) == {"m/m"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no WFDB header"),
        ("r 2 125 10\nr.dat 16 50/mmHg 16 0 0 0 0 ABP\n", "2 signals announced, 1 described"),
        ("r 1 125 10\nr.dat 311 50/mmHg 16 0 0 0 0 ABP\n", "one sample a frame in a format of"),
        ("r 1 125 10\nr.dat 16x4 50/mmHg 16 0 0 0 0 ABP\n", "got '16x4'"),
        ("r 2 125 10\nr.dat 16 50 16 0 0 0 0 ABP\nr.dat 16 50 16 0 0 0 0 PLETH\n", "r.dat cannot be read"),
    ],
)
def test_headers_that_cannot_be_used_are_told(tmp_path, text, told):
    (tmp_path / "r.hea").write_text(text)
    with pytest.raises(RecordingError, match=told):
        read_wfdb_record(tmp_path / "r.hea", CUT, "x")


def test_a_sample_file_that_is_too_short_is_told(tmp_path):
    waves = circulation_waves(1, 12, 125)
    write_wfdb(tmp_path / "r", {"PLETH": waves.volume[0], "ABP": waves.pressure[0]}, 125)
    (tmp_path / "r.dat").write_bytes((tmp_path / "r.dat").read_bytes()[:1000])
    with pytest.raises(RecordingError, match="must hold 1500 samples a signal, got 250"):
        read_wfdb_record(tmp_path / "r.hea", CUT, "x")


def test_folders_without_records_are_told(tmp_path):
    with pytest.raises(DatasetError, match="must hold WFDB records"):
        read_wfdb_folder(tmp_path)
    with pytest.raises(DatasetError, match="does not exist"):
        read_wfdb_folder(tmp_path / "absent")


# --- settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"source": "mimic"}, "data.source must be one of"),
        ({"sorce": "npy"}, "data.sorce is no setting"),
        ({"source": "wfdb"}, "data.folder must name the folder"),
        ({"source": "npy"}, "data.ppg_file and data.labels_file"),
        ({"protocol": "leaky"}, "data.protocol must be one of"),
        ({"highpass": 63.0}, "data.highpass must be above 0 and below 62.5 Hz"),
        ({"stride": 0}, "data.stride must be at least 1"),
        ({"rate": "fast"}, "data.rate must be a number, got 'fast'"),
        ({"order": 2.5}, "data.order must be a whole number, got 2.5"),
        ({"subjects": "many"}, "data.subjects must be a whole number, got 'many'"),
        ({"seed": True}, "data.seed must be a whole number, got True"),
        ({"seed": -1}, "data.seed must be at least 0, got -1"),
        ({"fractions": ["half", 0.3, 0.2]}, "data.fractions must be three shares"),
        ({"noise": "loud"}, "data.noise must be a number, got 'loud'"),
        ({"folder": 3}, "data.folder must be a text, got 3"),
        ({"tasks": "SBP"}, "data.tasks must be a list of names, got 'SBP'"),
    ],
)
def test_settings_that_cannot_be_are_told(table, told):
    with pytest.raises(ConfigError, match=told):
        DataConfig.from_table(table)


def test_settings_survive_a_table():
    config = DataConfig.from_table(
        {"subjects": 12, "each": 2, "highpass": 0.5, "stride": 625, "fractions": [0.5, 0.25, 0.25]}
    )
    assert config.windows.stride == 625
    assert DataConfig.from_table(config.to_dict()) == config
    data = load_data(config)
    assert len(data.windows) == 24
    assert len(np.unique(data.windows.subjects[data.division.test])) == 3


def test_sets_that_share_no_task_are_told(tmp_path):
    trained, tested = (
        DataConfig(source="npy", ppg_file=str(pair[0]), labels_file=str(pair[1]), tasks=(task,))
        for task in ("CO", "SBP")
        for pair in [write_npy_pair(synthetic_windows(3, 1).with_tasks([task]), tmp_path / task)]
    )
    with pytest.raises(ConfigError, match="share no task"):
        cross_data(trained, tested)
