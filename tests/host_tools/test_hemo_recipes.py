"""Recipes about hemodynamic parameters, and what the published options make of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from thumbnet.host_tools.errors import HostToolsError
from thumbnet.host_tools.hemodynamics.budgets import check_hemo_budgets
from thumbnet.host_tools.hemodynamics.model_options import check_network, recipe_with
from thumbnet.host_tools.hemodynamics.recipe import HemoRecipe, is_hemodynamics, load_hemo_recipe, parse_hemo_recipe
from thumbnet.host_tools.recipes import RecipeError, describe_keys
from thumbnet.training.hemodynamics.lsm2oe_sizes import count_parameters

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "training" / "recipes"


def test_the_demo_is_small():
    recipe = load_hemo_recipe(RECIPES / "hemo_demo.toml")
    config = recipe.model.sizes(1250, 10)
    assert config.experts == 4 and config.channels <= 16
    assert recipe.source.subjects * recipe.source.each <= 1500
    assert recipe.boards.names == ("qemu_m4", "qemu_m55") and recipe.boards.windows == 200


def test_the_edge_recipe_ends_within_its_size():
    from thumbnet.quantize.mixture_sizes import smaller_sizes

    recipe = load_hemo_recipe(RECIPES / "hemo_edge.toml")
    small = smaller_sizes(recipe.model.sizes(1250, 10), recipe.compression.target_sparsity)
    assert count_parameters(small) <= 150_000
    assert (small.experts, small.channels, small.k) == (8, 32, 2)


def test_which_recipes_are_of_this_task(tmp_path):
    assert is_hemodynamics(RECIPES / "hemo_demo.toml")
    assert not is_hemodynamics(RECIPES / "sleep_demo.toml")
    assert not is_hemodynamics(tmp_path / "none.toml")


def test_published_options(tmp_path):
    recipe = recipe_with(None, {
        "ppg_file": tmp_path / "ppg.npy", "labels_file": tmp_path / "labels.npy", "num_experts": 6, "k": 3,
        "hidden_channels": 32, "noisy_gating": True, "noise_type": "uniform", "use_msfgm": True, "epochs": 7,
        "batch_size": 64, "lr": 0.002, "target_sparsity": 0.8, "teacher_weights": tmp_path / "model.keras", "seed": 5,
    })  # fmt: skip
    assert (recipe.source.source, recipe.source.ppg_file) == ("npy", str(tmp_path / "ppg.npy"))
    config = recipe.model.sizes(1250, 2)
    assert (config.experts, config.k, config.channels, config.noise, config.noisy) == (6, 3, 32, "uniform", True)
    assert (recipe.training.epochs, recipe.training.batch_size, recipe.training.learning_rate) == (7, 64, 0.002)
    assert recipe.compression.target_sparsity == 0.8
    assert recipe.training.weights == str(tmp_path / "model.keras")
    assert recipe.training.seed == recipe.source.seed == 5


def test_options_of_another_network_than_that_of_a_run_are_told(tmp_path):
    config = recipe_with(None, {"num_experts": 4, "noise_type": "uniform"}).model.sizes(1250, 2).to_dict()
    same = {"num_experts": 4, "k": 2, "noisy_gating": True, "noise_type": "uniform", "epochs": 3, "lr": 1.0, "seed": 9}
    check_network(config, same, tmp_path)
    with pytest.raises(HostToolsError, match="has experts 4; --num-experts 8 is another one"):
        check_network(config, {"num_experts": 8}, tmp_path)


def test_another_configuration_drops_the_sizes_of_the_recipe():
    config = recipe_with(None, {"configuration": "reference", "num_experts": 4}).model.sizes(1250, 4)
    assert (config.experts, config.channels, config.blocks, config.gates) == (4, 128, 20, "single")


def test_another_depth_drops_the_strides():
    assert recipe_with(None, {"num_blocks": 4}).model.sizes(1250, 10).block_strides == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"model": {"channels": 24}}, r"recipe as given: model\.channels must be a multiple of 16"),
        ({"model": {"channel": 16}}, r"model\.channel is not a key; allowed in \[model\] are configuration, experts"),
        ({"model": {"configuration": "huge"}}, r"model\.configuration must be 'reference', 'paper' or 'edge', got"),
        ({"training": {"epochs": 0}}, r"training\.epochs must be at least 1, got 0"),
        ({"compression": {"target_sparsity": 1.0}}, r"target_sparsity must be .*less_than|less than 1|valid"),
        ({"data": {"source": "moon"}}, r"data\.source must be one of"),
        ({"compression": {"alpha": 0.0, "beta": 0.0}}, r"must not both be 0"),
    ],
)
def test_refused(content, sentence):
    with pytest.raises(RecipeError, match=sentence):
        parse_hemo_recipe({"name": "x", "task": "hemodynamics", **content})


def test_files_are_taken_from_the_recipes_folder(tmp_path):
    text = 'name = "x"\ntask = "hemodynamics"\n[data]\nsource = "npy"\nppg_file = "a.npy"\nlabels_file = "b.npy"\n'
    (tmp_path / "r.toml").write_text(text)
    assert load_hemo_recipe(tmp_path / "r.toml").source.labels_file == str(tmp_path / "b.npy")


def test_budgets():
    limits = {"ram_bytes": 100, "gain_kept": 0.9, "expert_share": 0.02, "instructions_per_mac": 2.0}
    recipe = parse_hemo_recipe({"name": "x", "budgets": limits})
    profile = {"ram_bytes": 101, "instructions_per_mac": 2.1}
    boards = [{"name": "b", "profile": profile, "parity": {"mismatches": 1}}]
    rows = [{"gain_kept": None}, {"gain_kept": {"HR": 0.95, "SBP": 0.5, "CO": None}, "served": [0.3, 0.01]}]
    found = check_hemo_budgets(recipe.budgets, rows, boards)
    assert [budget.sentence for budget in found if not budget.ok] == [
        "budgets.ram_bytes allows at most 100, b has 101",
        "budgets.instructions_per_mac allows at most 2, b has 2.1",
        "budgets.parity_mismatches allows at most 0, b has 1",
        "budgets.gain_kept allows at least 0.9, SBP has 0.5",
        "budgets.expert_share allows at least 0.02, expert 1 has 0.01",
    ]
    assert [(budget.key, budget.where) for budget in found if budget.ok] == [
        ("gain_kept", "HR"),
        ("expert_share", "expert 0"),
    ]


def test_a_teacher_alone_keeps_everything():
    """Without an int8 network there is no gain to keep; what is measured is judged all the same."""
    recipe = parse_hemo_recipe({"name": "x", "budgets": {"gain_kept": 0.9, "flash_bytes": 1}})
    assert check_hemo_budgets(recipe.budgets, [{"gain_kept": None, "served": [1.0]}], []) == []


def test_every_key_is_documented():
    text = (ROOT / "docs" / "hemodynamics.md").read_text(encoding="utf-8")
    part = text[text.index("\n## Recipe\n") : text.index("\n## Sources\n")]
    for table, key, default, meaning in describe_keys(HemoRecipe):
        row = f"| `{key}` | {meaning} | `{default}` |"
        assert row in part, f"docs/hemodynamics.md lacks in [{table}]: {row}"
    assert len(re.findall(r"^\| `(\w+)` \|", part, flags=re.M)) == len(describe_keys(HemoRecipe))
