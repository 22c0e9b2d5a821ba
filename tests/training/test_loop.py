"""The training loop: same seed, same history; the best validation weights are kept; bad windows are refused."""

from __future__ import annotations

import inspect
import json
from itertools import pairwise

import numpy as np
import pytest

keras = pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from thumbnet.training.errors import ConfigError, ModelError  # noqa: E402
from thumbnet.training.loop import History, TrainingSettings, seed_everything, train  # noqa: E402

CHANNELS, SAMPLES, CLASSES = 2, 64, 3


def windows(count: int, seed: int):
    """Noise whose loudness is the class: learnable in a few passes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    signals = rng.normal(0, 1, (count, CHANNELS, SAMPLES, 1)) * (0.05 + 0.15 * labels[:, None, None, None])
    return signals.clip(-1, 1).astype(np.float32), labels


@pytest.fixture(scope="module")
def data():
    return (*windows(48, 1), *windows(24, 2))


def small_network(seed: int = 1):
    seed_everything(seed)
    flat = keras.layers.Flatten()(inputs := keras.layers.Input((CHANNELS, SAMPLES, 1)))
    dropped = keras.layers.Dropout(0.2)(flat)
    return keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax")(dropped))


def comparable(history: History) -> dict:
    return {key: value for key, value in history.to_dict().items() if key != "seconds"}


def test_the_seed_decides_the_history_and_the_weights(data):
    runs = []
    for seed in (5, 5, 6):
        model = small_network(seed)
        history = train(model, *data, TrainingSettings(seed=seed, epochs=2, batch_size=16))
        runs.append((comparable(history), np.concatenate([w.ravel() for w in model.get_weights()])))
    assert runs[0][0] == runs[1][0] and np.array_equal(runs[0][1], runs[1][1])
    assert runs[0][0]["loss"] != runs[2][0]["loss"]
    assert runs[0][0]["settings"]["seed"] == 5


def test_it_learns(data):
    history = train(small_network(), *data, TrainingSettings(epochs=12, learning_rate=0.02, patience=12))
    assert history.loss[-1] < history.loss[0]


def test_the_best_validation_weights_are_kept_and_patience_stops(data):
    # Wrong validation labels: the better the fit, the larger the validation loss, so an early pass is best.
    inputs, labels, validation, wrong = data[0], data[1], data[0], (data[1] + 1) % CLASSES
    model = small_network()
    settings = TrainingSettings(epochs=40, learning_rate=0.1, patience=3)
    history = train(model, inputs, labels, validation, wrong, settings)
    assert history.stopped_early and len(history.loss) == history.best_pass + 1 + settings.patience
    assert history.val_loss[history.best_pass] == min(history.val_loss)
    assert history.val_loss[-1] > min(history.val_loss)
    kept = model.evaluate(validation, wrong, verbose=0)[0]
    assert kept == pytest.approx(min(history.val_loss), rel=1e-5)


def test_the_best_weights_are_kept_without_an_early_stop_too(data):
    inputs, labels, validation, wrong = data[0], data[1], data[0], (data[1] + 1) % CLASSES
    model = small_network()
    history = train(model, inputs, labels, validation, wrong, TrainingSettings(epochs=4, learning_rate=0.1))
    assert not history.stopped_early and len(history.loss) == 4
    assert model.evaluate(validation, wrong, verbose=0)[0] == pytest.approx(min(history.val_loss), rel=1e-5)


def test_test_windows_are_no_argument():
    assert not [name for name in inspect.signature(train).parameters if "test" in name]


def test_the_arrays_given_stay_as_they_were(data):
    before = [array.copy() for array in data]
    train(small_network(), *data, TrainingSettings(epochs=1))
    assert all(np.array_equal(left, right) for left, right in zip(before, data, strict=True))


def test_history_is_json_and_comes_back(data, tmp_path):
    history = train(small_network(), *data, TrainingSettings(epochs=2, class_weights=True))
    history.write(tmp_path / "history.json")
    content = json.loads((tmp_path / "history.json").read_text())
    assert len(content["loss"]) == len(content["val_accuracy"]) == len(content["learning_rate"]) == 2
    assert History.read(tmp_path / "history.json") == history


@pytest.mark.parametrize("text", ["", "[]", '{"loss": []}', "\x00"])
def test_a_damaged_history_is_refused(text, tmp_path):
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(ModelError, match="cannot be read as a training history"):
        History.read(tmp_path / "history.json")
    with pytest.raises(ModelError, match="cannot be read"):
        History.read(tmp_path / "none.json")


def test_every_training_window_is_announced(data):
    seen: list[int] = []
    train(small_network(), *data, TrainingSettings(epochs=2, batch_size=20), advance=seen.append)
    assert seen == [20, 20, 8] * 2


def test_the_learning_rate_falls_and_restarts(data):
    settings = TrainingSettings(epochs=9, learning_rate=0.01, first_restart=1 / 3, patience=9)
    rates = train(small_network(), *data, settings).learning_rate
    assert rates[2] < 0.0035 and rates[3] > 0.9 * settings.learning_rate and rates[8] < rates[3]
    assert all(later < earlier for earlier, later in pairwise(rates[3:]))


@pytest.mark.parametrize(("limit", "expected"), [(None, 50), (15_000, 15), (999, 1), (1, 1), (10**9, 50)])
def test_the_smaller_limit_holds_and_one_pass_is_always_made(limit, expected):
    assert TrainingSettings(epochs=50, window_passes=limit).passes(1000) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 0),
        ("patience", 0),
        ("seed", -1),
        ("window_passes", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("first_restart", 0.0),
        ("first_restart", 1.5),
    ],
)
def test_settings_out_of_range(key, value):
    with pytest.raises(ConfigError, match=rf"training\.{key} must be .*, got "):
        TrainingSettings(**{key: value})


@pytest.mark.parametrize("part", ["training", "validation"])
@pytest.mark.parametrize("fault", ["shape", "none", "nan", "label", "count", "float labels"])
def test_windows_that_are_refused(part, fault, data):
    inputs, labels = data[0].copy(), data[1].copy()
    if fault == "shape":
        inputs = inputs[:, :, :-1]
    elif fault == "none":
        inputs, labels = inputs[:0], labels[:0]
    elif fault == "nan":
        inputs[3, 1, 5] = np.nan
    elif fault == "label":
        labels[0] = CLASSES
    elif fault == "count":
        labels = labels[:-1]
    else:
        labels = labels + 0.5
    pair, good = (inputs, labels), (data[0], data[1])
    arrays = (*pair, *good) if part == "training" else (*good, *pair)
    with pytest.raises(ModelError, match=rf"^{part} (windows|labels) must (be|have)") as caught:
        train(small_network(), *arrays, TrainingSettings(epochs=1))
    assert "\n" not in str(caught.value)


def test_a_loss_that_becomes_nan_is_told(data):
    model = small_network()
    model.layers[-1].kernel.assign(np.full(model.layers[-1].kernel.shape, np.nan))
    with pytest.raises(ModelError, match="the loss became NaN in pass 1"):
        train(model, *data, TrainingSettings(epochs=2))
