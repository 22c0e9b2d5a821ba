"""ULW-SleepNet: the published parameter count, and the same function as the published form.

It tests the network's structure, not what it learns; the figures are those of the paper (arXiv 2602.23852).
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from thumbnet.quantize.fold import count_macs  # noqa: E402
from thumbnet.training.sleep.ulw_sleepnet import (  # noqa: E402
    build_time_distributed,
    build_ulw_sleepnet,
    transfer_weights,
)


def trainable(model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(("channels", "expected"), [(4, 13_337), (10, 25_625)])
def test_trainable_parameters(channels, expected):
    assert trainable(build_ulw_sleepnet(channels)) == expected


def test_parameters_with_batch_statistics():
    assert build_ulw_sleepnet().count_params() == 13_561


def test_the_published_form_has_the_same_parameters():
    assert trainable(build_time_distributed()) == 13_337
    assert build_time_distributed().count_params() == 13_561


def test_macs():
    assert count_macs(build_ulw_sleepnet()) == 3_498_352


@pytest.mark.parametrize("samples", [3000, 301])
def test_equal_to_the_time_distributed_form(samples):
    network, published = build_ulw_sleepnet(samples=samples), build_time_distributed(samples=samples)
    rng = np.random.default_rng(samples)
    for variable in network.weights:
        low = 0.5 if "variance" in variable.name else -0.5
        variable.assign(rng.uniform(low, 1.0, variable.shape))
    transfer_weights(network, published)
    inputs = rng.normal(0, 0.3, (3, 4, samples, 1)).astype(np.float32)
    ours, theirs = network(inputs).numpy(), published(inputs).numpy()
    assert np.ptp(ours) > 0.01, "saturated or flat outputs would prove nothing"
    assert np.abs(ours - theirs).max() < 1e-6


def test_weights_come_back_unchanged():
    network, published, again = build_ulw_sleepnet(samples=64), build_time_distributed(samples=64), None
    transfer_weights(network, published)
    again = build_ulw_sleepnet(samples=64)
    transfer_weights(published, again)
    for before, after in zip(network.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(before, after)


def test_output_is_a_distribution_over_the_classes():
    outputs = build_ulw_sleepnet(2, 64, classes=3)(np.zeros((5, 2, 64, 1), np.float32)).numpy()
    assert outputs.shape == (5, 3)
    assert np.allclose(outputs.sum(axis=1), 1, atol=1e-6)


def test_other_widths_depths_and_kernels():
    network = build_ulw_sleepnet(samples=256, filters=(4, 6, 8, 10), taps=5, hidden_units=0)
    shapes = {layer.name: layer.output_shape[1:] for layer in network.layers}
    assert [shapes[f"block{number}_add"] for number in (1, 2, 3, 4)] == [(4, 64, 4), (4, 16, 6), (4, 4, 8), (4, 1, 10)]
    assert network.get_layer("block2_main_a_depthwise").kernel_size == (1, 5)
    assert "hidden" not in shapes and network.get_layer("stages").kernel.shape == (40, 5)
