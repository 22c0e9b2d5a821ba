"""The training loop: same seed, same history; the best validation weights are kept; bad windows are refused."""

from __future__ import annotations

import inspect
import json
from itertools import pairwise

import numpy as np
import pytest

keras = pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from thumbnet.training.augment import Augmentation  # noqa: E402
from thumbnet.training.errors import ConfigError, ModelError  # noqa: E402
from thumbnet.training.loop import History, predict_probabilities, seed_everything, train  # noqa: E402
from thumbnet.training.settings import TrainingSettings  # noqa: E402
from thumbnet.training.steps import Teaching  # noqa: E402

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


def loss_of(model, inputs, labels) -> float:
    shares = np.asarray(model(inputs, training=False))
    return float(-np.log(shares[np.arange(len(labels)), labels]).mean())


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
    assert loss_of(model, validation, wrong) == pytest.approx(min(history.val_loss), rel=1e-5)


def test_the_best_weights_are_kept_without_an_early_stop_too(data):
    inputs, labels, validation, wrong = data[0], data[1], data[0], (data[1] + 1) % CLASSES
    model = small_network()
    history = train(model, inputs, labels, validation, wrong, TrainingSettings(epochs=4, learning_rate=0.1))
    assert not history.stopped_early and len(history.loss) == 4
    assert loss_of(model, validation, wrong) == pytest.approx(min(history.val_loss), rel=1e-5)


def test_augmentation_is_drawn_anew_in_every_pass_and_by_the_seed(data):
    def weights(**changes):
        model = small_network()
        before = train(model, *data, TrainingSettings(epochs=2, **changes))
        return before.loss, np.concatenate([value.ravel() for value in model.get_weights()])

    plain, (loss, first), (_, again) = weights(), *(weights(augment_gain_db=6.0, augment_flip=True) for _ in range(2))
    assert loss != plain[0] and not np.array_equal(first, plain[1])
    np.testing.assert_array_equal(first, again)


def test_augmented_windows_keep_their_shape_and_their_limits():
    windows = np.random.default_rng(1).uniform(-1, 1, (64, 2, 50, 1)).astype(np.float32)
    changed = Augmentation(6.0, flip=True).apply(windows, np.random.default_rng(2))
    assert changed.shape == windows.shape and changed.dtype == np.float32 and np.abs(changed).max() == 1
    small = np.abs(windows) < 0.4
    factors = np.where(small, changed, np.nan) / windows
    assert 10 ** (-6 / 20) <= np.nanmin(np.abs(factors)) < 0.6 and 1.7 < np.nanmax(np.abs(factors)) <= 10 ** (6 / 20)
    assert np.nanstd(factors, axis=(2, 3)).max() < 1e-3  # one factor a channel
    signs = np.sign(np.nanmean(factors, axis=(2, 3)))
    assert np.array_equal(signs[:, 0], signs[:, 1]) and 0.2 < (signs[:, 0] > 0).mean() < 0.8
    noisy = Augmentation(noise=0.1).apply(np.zeros_like(windows), np.random.default_rng(2))
    assert noisy.std() == pytest.approx(0.1, rel=0.05)
    assert Augmentation().apply(windows, np.random.default_rng(2)) is windows


@pytest.mark.parametrize("changes", [{"augment_gain_db": -1.0}, {"augment_gain_db": 30.0}, {"augment_noise": 1.0}])
def test_augmentation_out_of_range_is_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        TrainingSettings(**changes)


def test_the_last_pass_counts_where_it_is_asked_for(data):
    inputs, labels, validation, wrong = data[0], data[1], data[0], (data[1] + 1) % CLASSES
    model = small_network()
    settings = TrainingSettings(epochs=6, learning_rate=0.1, patience=1, selection="last")
    history = train(model, inputs, labels, validation, wrong, settings)
    assert (len(history.loss), history.best_pass, history.stopped_early) == (6, 5, False)
    assert loss_of(model, validation, wrong) == pytest.approx(history.val_loss[-1], rel=1e-5)
    assert history.val_loss[-1] > min(history.val_loss)


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


def test_every_pass_is_told_and_may_end_the_training(data):
    told = []

    def on_pass(number, row):
        told.append((number, row["val_accuracy"]))
        if len(told) == 5:
            raise InterruptedError

    history = train(small_network(), *data, TrainingSettings(epochs=3), on_pass=on_pass)
    assert told == list(enumerate(history.val_accuracy))
    with pytest.raises(InterruptedError):
        train(small_network(), *data, TrainingSettings(epochs=3), on_pass=on_pass)
    assert [number for number, _ in told[3:]] == [0, 1]


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


class KilledError(Exception):
    pass


@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_training_taken_up_ends_as_one_never_interrupted(data, tmp_path, at):
    """Killed in the middle of a pass, in another process's place: a new model, the same checkpoint."""
    settings = TrainingSettings(epochs=4, batch_size=20, learning_rate=0.05, seed=3)
    whole = small_network(3)
    expected = train(whole, *data, settings)
    steps = []

    def dies(_windows):
        steps.append(1)
        if len(steps) == at:
            raise KilledError

    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(KilledError):
        train(small_network(3), *data, settings, advance=dies, checkpoint=checkpoint)
    assert checkpoint.exists() == (at > 3)
    resumed = small_network(99)
    for variable, value in zip(resumed.weights, small_network(3).get_weights(), strict=True):
        variable.assign(value)
    history = train(resumed, *data, settings, checkpoint=checkpoint)
    assert comparable(history) == comparable(expected)
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True))


def test_patience_counts_on_after_a_resume(data, tmp_path):
    inputs, labels, validation, wrong = data[0], data[1], data[0], (data[1] + 1) % CLASSES
    settings = TrainingSettings(epochs=40, learning_rate=0.1, patience=3)
    expected = train(small_network(), inputs, labels, validation, wrong, settings, checkpoint=tmp_path / "c.npz")
    again = train(small_network(), inputs, labels, validation, wrong, settings, checkpoint=tmp_path / "c.npz")
    assert comparable(again) == comparable(expected)


def test_the_checkpoint_of_another_training_or_half_of_one_is_not_taken_up(data, tmp_path):
    checkpoint = tmp_path / "c.npz"
    train(small_network(), *data, TrainingSettings(epochs=1), checkpoint=checkpoint)
    other = TrainingSettings(epochs=2, learning_rate=0.01)
    expected = comparable(train(small_network(), *data, other))
    assert comparable(train(small_network(), *data, other, checkpoint=checkpoint)) == expected
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    assert comparable(train(small_network(), *data, other, checkpoint=checkpoint)) == expected


def test_the_best_pass_may_be_best_in_accuracy(data):
    history = train(small_network(), *data, TrainingSettings(epochs=6, learning_rate=0.05, selection="accuracy"))
    assert history.best_pass == int(np.argmax(history.val_accuracy))
    with pytest.raises(ConfigError, match=r"training\.selection must be one of"):
        TrainingSettings(selection="luck")


def test_windows_that_are_read_when_needed_train_the_same(data):
    class Lazy:
        def __init__(self, array):
            self.array, self.shape = array, array.shape

        def __len__(self):
            return len(self.array)

        def __getitem__(self, indices):
            return self.array[indices]

    settings = TrainingSettings(epochs=2, batch_size=16)
    whole, lazy = small_network(), small_network()
    expected = train(whole, *data, settings)
    found = train(lazy, Lazy(data[0]), data[1], Lazy(data[2]), data[3], settings)
    assert comparable(found) == comparable(expected)
    assert np.array_equal(predict_probabilities(whole, data[2]), predict_probabilities(lazy, Lazy(data[2]), 64))
    spoilt = data[0].copy()
    spoilt[3] = np.nan
    with pytest.raises(ModelError, match="must be finite, got NaN"):
        train(small_network(), Lazy(spoilt), data[1], data[2], data[3], settings)


def test_curves_for_tensorboard(data, tmp_path):
    import tensorflow as tf

    train(small_network(), *data, TrainingSettings(epochs=2), log_folder=tmp_path / "logs")
    (file,) = (tmp_path / "logs").iterdir()
    seen = {}
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            seen.setdefault(value.tag, []).append((event.step, tf.make_ndarray(value.tensor).item()))
            assert value.metadata.plugin_data.plugin_name == "scalars"
    assert set(seen) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert [step for step, _ in seen["loss"]] == [1, 2]


def test_a_teacher_alone_is_imitated(data):
    inputs, labels, validation_inputs, validation_labels = data
    model = small_network()
    stubborn = np.tile([0.05, 0.05, 0.9], (len(inputs), 1))  # whatever the labels say
    settings = TrainingSettings(epochs=10, learning_rate=0.01, selection="accuracy")
    teaching = Teaching(stubborn, temperature=2.0, alpha=1.0)
    train(model, inputs, labels, validation_inputs, np.full_like(validation_labels, 2), settings, teaching=teaching)
    assert np.mean(predict_probabilities(model, inputs).argmax(axis=1) == 2) > 0.9


def test_the_distance_to_the_teacher_is_the_divergence_at_its_temperature():
    taught, output = np.array([[0.7, 0.2, 0.1]]), np.array([[0.3, 0.3, 0.4]])
    p, q = (np.sqrt(shares) / np.sqrt(shares).sum() for shares in (taught, output))
    expected = 4 * np.sum(p * np.log(p / q))
    assert float(Teaching(taught, temperature=2.0).loss(taught, output)) == pytest.approx(expected, rel=1e-4)
    assert float(Teaching(taught).loss(taught, taught)) == pytest.approx(0, abs=1e-6)


def test_a_teacher_without_weight_changes_nothing(data):
    first, second = small_network(), small_network()
    settings = TrainingSettings(epochs=2)
    train(first, *data, settings)
    train(second, *data, settings, teaching=Teaching(np.full((len(data[0]), CLASSES), 1 / 3), alpha=0.0))
    for left, right in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("setting", [{"temperature": 0.0}, {"alpha": 1.5}])
def test_settings_of_teaching_out_of_range(setting):
    with pytest.raises(ConfigError, match="got"):
        Teaching(np.zeros((1, 3)), **setting)


def test_a_teacher_of_other_windows_is_refused(data):
    with pytest.raises(ModelError, match=r"3 probabilities for each of 48 training windows, got shape \(1, 3\)"):
        train(small_network(), *data, teaching=Teaching(np.zeros((1, 3))))
