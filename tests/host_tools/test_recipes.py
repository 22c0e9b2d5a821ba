"""Recipes: what is read, and that every mistake is one sentence with key, allowed values and got value."""

import re
from pathlib import Path

import pytest
from thumbnet.host_tools.recipes import Recipe, RecipeError, describe_keys, load_recipe, parse_recipe

ROOT = Path(__file__).resolve().parents[2]
EMG = {"signals": {"emg": "raw"}}


def test_a_name_and_the_kind_of_emg_are_enough():
    recipe = parse_recipe({"name": "x", **EMG})
    assert recipe.boards.names == ("qemu_m4", "netduinoplus2")
    assert recipe.budgets.parity_mismatches == 0


def test_board_is_short_for_boards():
    assert parse_recipe({"name": "x", **EMG, "board": {"name": "host"}}).boards.names == ("host",)


@pytest.mark.parametrize(
    ("content", "key", "allowed", "got"),
    [
        ({}, "name is missing", "name of the run's folder", "[]"),
        ({"name": "a b"}, "name", "matches", "'a b'"),
        ({"name": 3}, "name", "a text", "3"),
        ({"name": "x", "trainig": {}}, "trainig is not a key", "training", "{}"),
        ({"name": "x", "signals": 3}, "signals", "a table", "3"),
        ({"name": "x", "signals": {"emg": "loud"}}, "signals.emg", "envelope", "'loud'"),
        ({"name": "x", "signals": {"emg": "raw", "rate": 0.0}}, "signals.rate", "positive number", "0.0"),
        ({"name": "x", "signals": {"synthetic": {"hours": 0.0}}}, "signals.synthetic.hours", "at least 1", "0.0"),
        ({"name": "x", "signals": {"synthetic": {"size": 2}}}, "signals.synthetic.size", "subjects", "2"),
        ({"name": "x", "signals": {"emg": "raw", "filters": {"EEG": {"lowpass": 50.0}}}}, "signals.filters.EEG.lowpass",
         "below 50 Hz", "50"),
        ({"name": "x", "signals": {"emg": "raw", "converter": {"bits": 30}}}, "converter.bits", "2 to 24", "30"),
        ({"name": "x", "model": {"name": "vgg"}}, "model.name", "'ulw_sleepnet'", "'vgg'"),
        ({"name": "x", "training": {"epochs": "many"}}, "training.epochs", "a whole number", "'many'"),
        ({"name": "x", "training": {"epochs": 1.5}}, "training.epochs", "a whole number", "1.5"),
        ({"name": "x", "training": {"fractions": [0.5, 0.5]}}, "training.fractions", "three positive", "[0.5, 0.5]"),
        ({"name": "x", "training": {"fractions": [1, 2, 3]}}, "training.fractions", "sum to 1", "[1, 2, 3]"),
        ({"name": "x", "quantize": {"calibration_windows": 0}}, "calibration_windows", "at least 8", "0"),
        ({"name": "x", "boards": {"names": []}}, "boards.names", "at least one board", "[]"),
        ({"name": "x", "boards": {"windows": -1}}, "boards.windows", "at least 1", "-1"),
        ({"name": "x", "budgets": {"accuracy_drop": 3}}, "budgets.accuracy_drop", "at most 1", "3"),
        ({"name": "x", "codegen": {"prefix": "9a"}}, "codegen.prefix", "matches", "'9a'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(content, key, allowed, got):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(content, "my.toml")
    text = str(caught.value)
    assert text.startswith("recipe my.toml: ") and "\n" not in text
    assert key in text and allowed in text and f"got {'keys ' if got == '[]' and not content else ''}{got}" in text


def test_missing_file(tmp_path):
    with pytest.raises(RecipeError, match="does not exist"):
        load_recipe(tmp_path / "none.toml")


def test_not_toml(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("name = \n")
    with pytest.raises(RecipeError, match=r"is not TOML: .*line 1"):
        load_recipe(path)


def test_not_text(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(path)


def test_folder_is_taken_from_the_recipe(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('name = "a"\n[signals]\nfolder = "nights"\nemg = "raw"\n')
    assert load_recipe(path).signals.folder == str(tmp_path / "nights")


@pytest.mark.parametrize("path", sorted((ROOT / "training" / "recipes").glob("sleep_*.toml")), ids=lambda p: p.name)
def test_shipped_recipes_of_sleep_are_valid(path):
    assert isinstance(load_recipe(path), Recipe)


def test_the_documentation_lists_every_key_as_it_is():
    text = (ROOT / "docs" / "recipes.md").read_text()
    for table, key, default, meaning in describe_keys():
        row = f"| `{key}` | {meaning} | `{default}` |"
        assert row in text, f"docs/recipes.md lacks in [{table}]: {row}"
    documented = re.findall(r"^\| `(\w+)` \|", text, flags=re.M)
    assert len(documented) == len(describe_keys())
