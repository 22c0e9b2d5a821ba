"""Bland-Altman and scatter plots: what they say, and that they keep to themselves."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs thumbnet[train]")

from thumbnet.training.errors import DatasetError
from thumbnet.training.hemodynamics.plots import bland_altman_figure, save_plots, scatter_figure

TRUTH = np.array([100.0, 120, 140, np.nan])
TOLD = np.array([104.0, 114, 156, 1])
WHO = np.array(list("aabb"))


def test_bland_altman_draws_mean_difference_and_limits():
    axes = bland_altman_figure("SBP", TRUTH, TOLD, WHO, "network").axes[0]
    deviation = np.std([4, -6, 16], ddof=1)
    levels = sorted(line.get_ydata()[0] for line in axes.lines if len(line.get_ydata()) == 2)
    assert levels == pytest.approx([14 / 3 - 1.96 * deviation, 14 / 3, 14 / 3 + 1.96 * deviation])
    points = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    np.testing.assert_allclose(points.get_xdata(), [102, 117, 148])
    np.testing.assert_allclose(points.get_ydata(), [4, -6, 16])
    assert "network" in axes.get_title(loc="left") and "mmHg" in axes.get_ylabel()


def test_scatter_says_its_figures():
    title = scatter_figure("SBP", TRUTH, TOLD, WHO).axes[0].get_title(loc="left")
    assert "MAE 8.67 mmHg" in title and "3 windows, 2 subjects" in title


def test_parameters_without_data_have_no_figure(tmp_path):
    files = save_plots(tmp_path, ("SBP", "HR"), np.stack([TRUTH, TRUTH * np.nan], 1), np.stack([TOLD, TOLD], 1), WHO)
    assert sorted(path.name for path in files) == [
        "bland-altman-sbp.png", "bland-altman-sbp.svg", "scatter-sbp.png", "scatter-sbp.svg"
    ]  # fmt: skip
    with pytest.raises(DatasetError, match="a figure of HR needs at least one window"):
        scatter_figure("HR", TRUTH * np.nan, TOLD, WHO)
