"""Pruning of a mixture of experts: what is left equals the large network with the rest silenced; sizes, refusals."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
pytestmark = pytest.mark.train

from support.networks import spread_weights  # noqa: E402
from thumbnet.quantize.errors import PruneError  # noqa: E402
from thumbnet.quantize.mixture_pruning import Removal, choose_removal, remove, silence  # noqa: E402
from thumbnet.quantize.mixture_sizes import smaller_sizes  # noqa: E402
from thumbnet.training.hemodynamics.config import edge, paper, reference  # noqa: E402
from thumbnet.training.hemodynamics.lsm2oe import Lsm2oe, predict  # noqa: E402
from thumbnet.training.hemodynamics.lsm2oe_sizes import count_parameters  # noqa: E402

SIZES = {"samples": 96, "channels": 48, "blocks": 2, "experts": 3, "k": 1}
EDGE = edge(3).with_options(**SIZES, strides=(1, 2))
CONFIGS = {
    "edge": EDGE,
    "plain": EDGE.with_options(use_msfgm=False),
    "bottom": paper(3).with_options(**SIZES, gate_kind="convolution"),
}
UNITS = ((0, 2), (1, 2), (0, 1))
REMOVALS = {
    "units": Removal(units=UNITS),
    "strided block": Removal(blocks=(2,)),
    "expert": Removal(experts=(1,)),
    "all": Removal(experts=(0,), blocks=(1,), units=UNITS),
}


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(0).uniform(-1, 1, (24, 1, 96, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def networks():
    made = {name: Lsm2oe(config) for name, config in CONFIGS.items()}
    for network in made.values():
        spread_weights(network)
    return made


@pytest.mark.parametrize(
    ("name", "removal"),
    [*(("edge", what) for what in REMOVALS), ("plain", "all"), ("bottom", "units")],
)
def test_what_is_left_equals_the_silenced_network(networks, windows, name, removal):
    large, gone = networks[name], REMOVALS[removal]
    if name == "bottom":
        gone = Removal(units=((1, 2),) * 3)
    before = large.get_weights()
    small, silent = remove(large, gone), silence(large, gone)
    expected = predict(silent, windows)
    assert np.ptp(expected) > 0.05, "flat outputs would prove nothing"
    assert np.abs(predict(small, windows) - expected).max() < 3e-5 * np.abs(expected).max()
    assert np.abs(predict(large, windows) - expected).max() > 1e-3, "nothing was removed"
    assert count_parameters(small.config) < count_parameters(large.config)
    assert all(np.array_equal(a, b) for a, b in zip(before, large.get_weights(), strict=True))


def test_the_weakest_go(networks, windows):
    large = Lsm2oe(EDGE)
    large.set_weights(networks["edge"].get_weights())
    weak = Removal(blocks=(1,), units=UNITS)
    faint = silence(large, weak)
    small = EDGE.with_options(channels=16, removed=(2,))
    found = choose_removal(faint, small, windows)
    assert found.units == UNITS and found.blocks == (1,)


def test_the_least_used_expert_goes(networks, windows):
    chosen = networks["edge"].route(windows, False).chosen.numpy().mean(axis=0)
    found = choose_removal(networks["edge"], EDGE.with_options(experts=2), windows)
    assert found.experts == (int(np.argmin(chosen)),)


@pytest.mark.parametrize("sparsity", [0.5, 0.65, 0.8])
def test_targets_are_met_closely(sparsity):
    large = edge()
    small = smaller_sizes(large, sparsity)
    share = 1 - count_parameters(small) / count_parameters(large)
    assert sparsity <= share < sparsity + 0.06


def test_eighty_percent_of_the_reference():
    small = smaller_sizes(reference(), 0.8)
    assert count_parameters(small) <= 0.2 * count_parameters(reference())


def test_a_small_network_gives_what_it_has():
    small = edge(2).with_options(experts=4, channels=16, blocks=2)
    least = smaller_sizes(small, 0.8, or_least=True)
    assert (least.experts, least.channels, least.whole_blocks) == (2, 16, 1)
    assert smaller_sizes(least, 0.8, or_least=True) == least
    assert smaller_sizes(edge(), 0.5, or_least=True) == smaller_sizes(edge(), 0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: smaller_sizes(edge(), 1.0), "target sparsity must be above 0 and below 1, got 1.0"),
        (lambda: smaller_sizes(edge(), 0.99), "target sparsity must be at most 0.9"),
        (lambda: smaller_sizes(reference().with_options(expert_kind="msfgm"), 0.5), "must be of the kind 'resnet'"),
    ],
)
def test_refused_targets(call, words):
    with pytest.raises(PruneError, match=words):
        call()


@pytest.mark.parametrize(
    ("removal", "words"),
    [
        (Removal(experts=(0, 1, 2)), "at least k = 1 of 3 experts have to stay"),
        (Removal(blocks=(1, 2)), "at least 1 of 2 blocks has to stay"),
        (Removal(units=((0, 1, 2),) * 3), "at least 1 of 3 units has to stay"),
        (Removal(units=((0,), (1,), (1, 2))), "each of 3 experts must lose as many units"),
    ],
)
def test_refused_removals(networks, removal, words):
    with pytest.raises(PruneError, match=words):
        remove(networks["edge"], removal)
