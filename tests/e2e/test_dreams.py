"""The whole recipe on real recordings: six excerpts of the DREAMS database, one EEG, one subject left out at a time.

Judges that the chain is whole and honest: every epoch tested once, baselines beside the network, int8 close to float,
the board equal to the host. It does not judge how good the network is: 6 x 30 minutes teach little, and a linear model
of band powers does as well. Source: Devuyst et al., DREAMS sleep spindles database, CC BY-NC-ND 3.0.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.qemu]

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "training"))


@pytest.fixture(scope="module")
def report(shared_dir, tmp_path_factory):
    from dreams import write_as_edf

    folder = tmp_path_factory.mktemp("dreams")
    data = write_as_edf(shared_dir / "data" / "sleep" / "dreams-spindles", folder / "excerpts")
    recipe = ROOT / "training" / "recipes" / "sleep_single_eeg.toml"
    words = [sys.executable, "-m", "thumbnet.host_tools", "run", str(recipe), "--data", str(data), "--jobs", "2",
             "--output", str(folder / "run"), "--json"]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_six_are_read_and_tested_once(report):
    folds = report["folds"]["protocols"]["subject-wise"]
    assert report["signals"]["skipped"] == [] and folds["recordings"] == folds["subjects"] == folds["folds"] == 6
    assert folds["epochs"] == 360 and folds["generalises"]
    assert sorted(name for row in folds["fold_list"] for name in row["subjects"]["test"]) == [
        f"excerpt{number}" for number in (1, 2, 3, 5, 6, 7)
    ]
    # Text files say nothing about lights.
    assert folds["statistics"]["models"] == "unknown"


def test_int8_is_close_to_float_and_baselines_stand_beside_them(report):
    folds = report["folds"]["protocols"]["subject-wise"]
    drop = folds["int8_drop"]
    assert drop["value"] <= 1.0 or drop["epochs"] <= 4
    accuracy = {name: model["pooled"]["accuracy"] for name, model in folds["models"].items()}
    assert accuracy["majority"] == pytest.approx(220 / 360)
    assert accuracy["float"] > accuracy["majority"], accuracy
    assert folds["models"]["majority"]["pooled"]["kappa"] == 0 < folds["models"]["float"]["pooled"]["kappa"]


def test_the_board_answers_as_the_host(report):
    (board,) = report["boards"]
    assert board["name"] == "qemu_m4" and board["parity"]["mismatches"] == 0 and board["parity"]["windows"] >= 60
