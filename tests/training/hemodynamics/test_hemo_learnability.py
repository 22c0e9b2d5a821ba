"""What the synthetic windows tell a learner about people it has not seen, judged by hand-made pulse features.

This is about the generator: that pressures and rate can be learned from shape and rhythm alone, and what cannot. It
says nothing about networks, nor about people.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs thumbnet[train]")

from thumbnet.training.errors import ModelError
from thumbnet.training.hemodynamics.evaluation import evaluate
from thumbnet.training.hemodynamics.feature_model import PulseFeatureModel
from thumbnet.training.hemodynamics.protocols import divide
from thumbnet.training.hemodynamics.synthetic import synthetic_windows


@pytest.fixture(scope="module")
def report():
    windows = synthetic_windows(250, 4, seed=7).with_tasks(["SBP", "MAP", "DBP", "HR", "CO", "SV"])
    parts = divide(windows)
    fitted = windows.take(np.union1d(parts.train, parts.validation))
    return evaluate(windows, parts, PulseFeatureModel().fit(fitted).estimate(windows))


@pytest.mark.parametrize(("task", "least"), [("HR", 95), ("SBP", 50), ("MAP", 50), ("DBP", 50)])
def test_rhythm_and_shape_tell_rate_and_pressures(report, task, least):
    """Percent of the population mean's error on unseen people that is taken away, 60 people tested."""
    assert report["gain"]["model"][task] > least


@pytest.mark.parametrize("task", ["SV", "CO"])
def test_flow_stays_mostly_unknown(report, task):
    """The size of the aorta and the body scales the flow and leaves the shape alone."""
    assert report["gain"]["model"][task] < 60


def test_changes_within_people_are_followed(report):
    """In direction; the size of a change, some 5 mmHg in ten minutes, is below what these measures resolve."""
    for task in ("HR", "SBP", "MAP", "DBP"):
        assert report["tracking"][task]["r"] > 0.4, task
        assert report["tracking"][task]["concordance"] > 0.6, task
    assert report["tracking"]["HR"]["mae_change"] < report["tracking"]["HR"]["mae_no_change"] / 2


def test_the_model_beats_what_is_known_without_the_signal(report):
    for task in ("HR", "SBP", "MAP", "DBP"):
        told = {name: row[task]["mae"] for name, row in report["errors"].items()}
        assert told["model"] < min(told["population mean"], told["demographics only"])


def test_a_model_must_be_fitted_on_enough():
    windows = synthetic_windows(2, 2)
    with pytest.raises(ModelError, match="must be fitted before"):
        PulseFeatureModel().estimate(windows)
    with pytest.raises(ModelError, match="at least 5 training windows with SBP, got 4"):
        PulseFeatureModel().fit(windows)
