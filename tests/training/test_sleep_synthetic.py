"""Synthetic nights: read back as they were drawn, the same for the same seed, hard but not hopeless.

What is tested is the generator and the reader together; no figure here speaks about people.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import welch
from thumbnet.training.errors import ConfigError, DatasetError
from thumbnet.training.sleep.baseline import BANDS_HZ, BandPowerBaseline, band_powers
from thumbnet.training.sleep.dataset import SignalConfig, load_folder
from thumbnet.training.sleep.edf_header import read_edf_header
from thumbnet.training.sleep.stages import N1, N2, N3, REM, W
from thumbnet.training.sleep.synthetic import write_synthetic_dataset
from thumbnet.training.sleep.synthetic_night import draw_sleeper, draw_states, score
from thumbnet.training.splits import SUBJECT_WISE, subject_split


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nights")
    write_synthetic_dataset(folder, subjects=6, hours=2, seed=3)
    return load_folder(folder, SignalConfig(emg="raw"))


def test_files_are_named_and_built_as_sleep_edf_has_them(tmp_path):
    paths = write_synthetic_dataset(tmp_path, 2, 1, nights=2, emg="envelope", record_seconds=60)
    assert [path.name for path in paths] == [
        f"SC4{subject}{night}E0-PSG.edf" for subject in ("00", "01") for night in (1, 2)
    ]
    header = read_edf_header(paths[0])
    assert header.labels == ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal", "EMG submental")
    assert [signal.rate for signal in header.signals] == [100, 100, 100, 1]
    assert header.record_seconds == 60 and header.seconds == 3600
    epochs = load_folder(tmp_path, SignalConfig(emg="envelope"))
    assert set(epochs.subjects) == {"SC400", "SC401"} and len(np.unique(epochs.recordings)) == 4
    assert not epochs.skipped


@given(st.integers(0, 2**31), st.sampled_from([3600, 7200, 9000, 28800]))
def test_nights_last_as_long_as_asked(seed, seconds):
    rng = np.random.default_rng(seed)
    states = draw_states(rng, draw_sleeper(rng), seconds)
    assert len(states) == seconds and states[0] == W and states[-1] == W
    labels = score(rng, states)
    assert len(labels) == seconds // 30 and set(labels) <= {-1, 0, 1, 2, 3, 4}


def test_the_seed_decides_every_byte(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_synthetic_dataset(tmp_path / name, 1, 1, seed)
    first, again, other = (
        b"".join(path.read_bytes() for path in sorted((tmp_path / name).iterdir())) for name in "abc"
    )
    assert first == again and first != other


def test_people_do_not_depend_on_how_many_they_are(tmp_path):
    write_synthetic_dataset(tmp_path / "one", 1, 1)
    write_synthetic_dataset(tmp_path / "two", 2, 1)
    names = [path.name for path in sorted((tmp_path / "one").iterdir())]
    assert all((tmp_path / "one" / n).read_bytes() == (tmp_path / "two" / n).read_bytes() for n in names)


def test_nights_have_the_architecture_of_sleep(nights):
    shares = nights.counts(5) / len(nights)
    assert (shares > [0.08, 0.05, 0.25, 0.12, 0.05]).all() and shares.argmax() == N2
    first = nights.onsets < 3600
    assert (nights.labels[first] == N3).mean() > (nights.labels[~first] == N3).mean()
    assert (nights.labels[first] == REM).mean() < (nights.labels[~first] == REM).mean()
    for recording in np.unique(nights.recordings):
        labels = nights.labels[nights.recordings == recording]
        assert labels[0] == W and labels[-1] == W


def test_stages_look_as_the_manual_says(nights):
    nights = nights.take(np.arange(0, len(nights), 3))
    powers = 10 ** band_powers(nights.signals, 100).reshape(-1, 4, len(BANDS_HZ))
    middle = {stage: np.median(powers[nights.labels == stage], axis=0) for stage in range(5)}
    bands = list(BANDS_HZ)
    delta, alpha, sigma = bands.index("delta"), bands.index("alpha"), bands.index("sigma")
    assert middle[N3][0, delta] > 3 * middle[N2][0, delta]
    assert middle[W][1, alpha] > 2 * middle[N2][1, alpha]
    assert middle[N2][0, sigma] > 1.3 * middle[REM][0, sigma]
    assert middle[REM][2].sum() > 1.5 * middle[N2][2].sum()
    # Tone is lowest in REM and highest in wake.
    tone = {s: np.median(np.abs(nights.signals[nights.labels == s, 3])) for s in range(5)}
    assert tone[REM] == min(tone.values()) and tone[W] == max(tone.values())


def test_people_differ(nights):
    level = [np.median(np.abs(nights.signals[nights.subjects == s, 3])) for s in np.unique(nights.subjects)]
    assert max(level) > 1.2 * min(level)


def test_artefacts_do_not_drown_the_signal(nights):
    """Clip levels are fitted on such nights: EEG and EOG stay off the rails of 400 and 800 uV."""
    loud = np.percentile(np.abs(nights.signals), 99.9, axis=(0, 2))
    assert (loud < [200, 200, 250, 120]).all()


def test_band_powers_of_a_sine():
    time = np.arange(3000) / 100
    powers = 10 ** band_powers(20 * np.sin(2 * np.pi * 10 * time)[None, None], 100)[0]
    assert powers[list(BANDS_HZ).index("alpha")] == pytest.approx(200, rel=0.02)
    assert powers.sum() == pytest.approx(200, rel=0.02)
    frequency, density = welch(20 * np.sin(2 * np.pi * 10 * time), 100, nperseg=400)
    assert density.sum() * frequency[1] == pytest.approx(200, rel=0.02)


def test_the_baseline_neither_fails_nor_finds_it_easy(nights):
    split = subject_split(nights, seed=0)
    assert split.protocol == SUBJECT_WISE
    test = nights.take(split.test)
    predicted = BandPowerBaseline().fit(nights.take(split.train)).predict(test)
    right = predicted == test.labels
    assert 0.65 < right.mean() < 0.93
    recall = [right[test.labels == stage].mean() for stage in range(5)]
    assert np.argmin(recall) == N1


def test_the_baseline_refuses_what_it_cannot_do(nights):
    with pytest.raises(DatasetError, match="must be fitted before"):
        BandPowerBaseline().predict(nights)
    with pytest.raises(DatasetError, match="at least 2 stages, got 1"):
        BandPowerBaseline().fit(nights.take(nights.labels == W))


@pytest.mark.parametrize(
    "settings",
    [{"subjects": 0}, {"hours": 0.5}, {"nights": 10}, {"record_seconds": 0}, {"emg": "loud"}],
)
def test_numbers_out_of_range(tmp_path, settings):
    name = next(iter(settings))
    with pytest.raises(ConfigError, match=f"{name} must"):
        write_synthetic_dataset(tmp_path, **{"subjects": 1, "hours": 1, **settings})
