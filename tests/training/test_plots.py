"""Figures: they are written, say what they must, leave pyplot alone, and repeat byte for byte. Not how they look."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs thumbnet[train]")
pytest.importorskip("sklearn", reason="needs thumbnet[train]")

from thumbnet.training import plots
from thumbnet.training.errors import DatasetError, TrainingError
from thumbnet.training.metrics import staging_metrics
from thumbnet.training.sleep.stages import REM, STAGES, W

PNG = b"\x89PNG\r\n"


def texts(figure) -> list[str]:
    from matplotlib.text import Text

    figure.canvas.draw()
    return [item.get_text() for item in figure.findobj(Text) if item.get_text()]


def history(passes: int):
    curve = [1 / (n + 1) for n in range(passes)]
    return SimpleNamespace(loss=curve, val_loss=curve, accuracy=curve, val_accuracy=curve, best_pass=passes - 1)


def test_confusion_shows_counts_shares_and_metrics():
    found = staging_metrics(np.array([0, 0, 0, 4]), np.array([0, 0, 1, 4]), STAGES)
    shown = texts(plots.confusion_figure(found, "int8"))
    assert "int8\naccuracy 75.0%, macro F1 0.900, kappa 0.56" in shown
    assert {"2", "67%", "33%", "100%", "predicted", "scored", *STAGES} <= set(shown)


def test_confusion_of_one_class_says_that_kappa_is_undefined():
    found = staging_metrics(np.zeros(3, int), np.zeros(3, int), STAGES)
    assert any("kappa undefined" in text for text in texts(plots.confusion_figure(found)))


def test_hypnogram_highlights_rem_and_keeps_gaps_open():
    onsets = np.array([0, 30, 60, 300, 330.0])
    true, predicted = np.array([W, REM, REM, W, W]), np.array([W, REM, W, W, W])
    figure = plots.hypnogram_figure(onsets, true, predicted, STAGES, title="night 1")
    scored, other, differ = figure.axes
    assert [label.get_text() for label in scored.get_yticklabels()] == ["W", "REM", "N1", "N2", "N3"]
    assert scored.yaxis_inverted() and scored.get_title(loc="left") == "night 1"
    weights = {label.get_text(): label.get_fontweight() for label in scored.get_yticklabels()}
    assert weights["REM"] == "bold" and weights["W"] != "bold"
    assert len(scored.lines) == 2, "one line on each side of the gap"
    bars = [len(part.get_paths()) for part in scored.collections]
    assert bars == [3, 2, 0, 0, 0], "epochs of W, REM, N1, N2, N3 among the scored"
    assert [len(part.get_paths()) for part in other.collections] == [4, 1, 0, 0, 0]
    assert [len(part.get_paths()) for part in differ.collections] == [1]


@pytest.mark.parametrize("lengths", [(0, 0, 0), (2, 1, 2), (2, 2, 1)])
def test_hypnogram_needs_one_stage_per_epoch(lengths):
    arrays = [np.zeros(length, int) for length in lengths]
    with pytest.raises(DatasetError, match="a hypnogram needs one onset"):
        plots.hypnogram_figure(*arrays, STAGES)


def test_hypnogram_of_other_classes_keeps_their_order():
    figure = plots.hypnogram_figure(np.array([0.0]), np.array([0]), np.array([1]), ("NREM", "REM", "W"))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["W", "REM", "NREM"]


@pytest.mark.parametrize("passes", [1, 7, 40])
def test_learning_curves_mark_the_kept_pass(passes):
    figure = plots.learning_curves_figure(history(passes), "ULW-SleepNet")
    assert {"Loss", "Accuracy", "pass", "validation", "kept", "ULW-SleepNet"} <= set(texts(figure))
    for axes in figure.axes:
        assert [len(line.get_xdata()) for line in axes.lines] == [passes, passes, 1]
        assert axes.lines[2].get_xdata()[0] == passes


def test_files_are_png_and_svg_and_repeat(tmp_path):
    stems = [tmp_path / "a" / "curves", tmp_path / "b" / "v1.0 curves"]
    pairs = [plots.save_figure(plots.learning_curves_figure(history(3)), stem) for stem in stems]
    assert [path.name for path in pairs[1]] == ["v1.0 curves.png", "v1.0 curves.svg"]
    assert pairs[0][0].read_bytes().startswith(PNG) and b"<svg" in pairs[0][1].read_bytes()[:600]
    for first, second in zip(*pairs, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_a_folder_that_cannot_be_made_is_told_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        plots.save_figure(plots.learning_curves_figure(history(2)), tmp_path / "file" / "curves")


def test_pyplot_holds_no_figure_and_global_settings_stay():
    code = (
        "import matplotlib, numpy as np\n"
        "from thumbnet.training import plots\n"
        "before = dict.copy(matplotlib.rcParams)\n"
        "plots.hypnogram_figure(np.array([0.0]), np.array([0]), np.array([1]), ('W', 'REM'))\n"
        "assert dict.copy(matplotlib.rcParams) == before\n"
        "from matplotlib import pyplot\n"
        "assert pyplot.get_fignums() == []\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
