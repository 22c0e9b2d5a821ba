"""The compression table: points named in the recipe or on the command line, measured on a board, told in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_sample import sample_report
from thumbnet.codegen import analyze_model
from thumbnet.host_tools.boards import boards
from thumbnet.host_tools.cli import run
from thumbnet.host_tools.cost import cost_of
from thumbnet.host_tools.errors import HostToolsError
from thumbnet.host_tools.pipeline.compression import stage_names
from thumbnet.host_tools.recipes import CompressionTable, parse_recipe, with_compression
from thumbnet.host_tools.report.compression import TABLE_HEAD, layer_name, layer_rows, notes, table_rows
from thumbnet.host_tools.report.page import render

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "firmware" / "example_model" / "model.tflite"
COST = {"state_bytes": 2904, "ram_bytes": 12000, "flash_bytes": 60000, "instructions": 9_000_000}


def row(name: str, kind: str = "int8", cost=None, zeros: int = 10):
    return {
        "name": name,
        "kind": kind,
        "metrics": {"accuracy": 0.853},
        "drop": {"value": 1.25, "interval": [-0.5, 2.75], "over": "subjects", "units": 4},
        "parameters": 11869,
        "zeros": zeros,
        "macs": 2795264,
        "passes": 0,
        "windows": 400,
        "cost": cost,
        "why_no_cost": None if cost else "the compiler takes int8 models only",
    }


BLAME = {
    "snr_db": 21.3,
    "windows": 64,
    "layers": [
        {"name": "net/block3_add/add", "op": "ADD", "share": 0.41, "gain_db": 2.3, "agreement": 0.984},
        *({"name": f"l{n}", "op": "ADD", "share": 0.0, "gain_db": 0.0, "agreement": 0.9} for n in range(9)),
    ],
}


def test_rows_have_a_cell_for_every_column():
    rows = table_rows([row("float", "float"), row("int8", cost=COST), row("sparse50", cost=COST, zeros=5000)])
    assert {len(cells) for cells in rows} == {len(TABLE_HEAD.split("|"))}
    assert rows[0][-4:] == ("-", "-", "-", "-")
    assert rows[1] == ("int8", "0", "85.3%", "+1.2 (-0.5 to +2.8)", "11,869", "2.80 M", "2,904", "12,000", "60,000",
                       "9,000,000")  # fmt: skip
    assert rows[2][4] == "11,869 (6,869 not 0)"


def test_notes_say_why_figures_are_missing():
    assert notes([row("float", "float"), row("int8", cost=COST)]) == [
        "float: the compiler takes int8 models only",
        "400 held-out windows; intervals by bootstrap over 4 subjects",
    ]


def test_notes_compare_pruning_with_as_much_training():
    accuracy = {"more": 0.90, "prune25": 0.91, "prune50": 0.88, "prune50+distill": 0.892, "prune50+qat": 0.875}
    rows = [{**row(name, cost=COST), "metrics": {"accuracy": value}} for name, value in accuracy.items()]
    assert notes(rows)[:2] == [
        "prune25: 1.0 points above more, as many passes without pruning",
        "prune50: 2.0 points below more, as many passes without pruning; distill changes it by +1.2; "
        "qat changes it by -0.5",
    ]
    assert len(notes(rows[1:])) == 1  # nothing to compare with


def test_the_worst_layers_are_shown_by_their_names():
    rows = layer_rows(BLAME)
    assert len(rows) == 5
    assert rows[0] == ("block3_add", "ADD", "41%", "+2.3 dB", "98.4%")
    assert layer_name("net/relu/Relu;net/norm/FusedBatchNormV3") == "relu"
    assert layer_name("StatefulPartitionedCall:0") == "StatefulPartitionedCall:0"


def test_the_report_shows_the_table():
    content = {**sample_report(), "compression": {"board": "qemu_m4", "rows": [row("prune50", cost=COST)],
                                                   "layers": BLAME}}  # fmt: skip
    page = render(content)
    assert "Ways to a smaller network" in page and "prune50" in page and "block3_add" in page
    assert "Ways to a smaller network" not in render({**sample_report(), "compression": None})


def test_options_win_over_the_recipe():
    recipe = parse_recipe({"name": "x", "signals": {"emg": "raw"}, "compression": {"stages": ["int8"]}})
    changed = with_compression(recipe, " float, qat,float", "qemu_m3", True).compression
    assert (changed.stages, changed.board, changed.layers) == (("float", "qat"), "qemu_m3", True)
    assert with_compression(recipe, None, None).compression == recipe.compression
    with pytest.raises(HostToolsError, match="--stages must be names joined by commas, got 'a,,b'"):
        with_compression(recipe, "a,,b", None)


def test_stages_of_a_table():
    assert stage_names(CompressionTable()) == set()
    assert stage_names(CompressionTable(stages=("prune50+distill",), layers=True)) == {
        "compression:prune50+distill", "cost:prune50+distill", "compression:teacher", "compression:layers"}  # fmt: skip


def test_cost_is_that_of_the_profile(tmp_path):
    """On the host: the same compiler and the same link as on a board, no instructions."""
    found = cost_of(MODEL.read_bytes(), boards()["host"], tmp_path, schedule="stream")
    assert found.instructions is None and found.schedule == "stream"
    manifest = json.loads((tmp_path / "sources" / "model.json").read_text())
    assert found.state_bytes == manifest["state_bytes"]
    assert found.macs <= analyze_model(MODEL.read_bytes()).macs  # what the compiler left of them
    assert found.flash_bytes > found.state_bytes


@pytest.mark.slow
def test_cost_on_a_board_counts_instructions(tmp_path):
    found = cost_of(MODEL.read_bytes(), boards()["qemu_m4"], tmp_path, schedule="stream")
    assert found.instructions > found.macs
    assert found.ram_bytes > found.state_bytes and found.weight_bytes > 10_000


def test_an_unknown_point_is_one_sentence(tmp_path, capsys):
    pytest.importorskip("tf_keras", reason="needs thumbnet[train]")
    code = run(["compress", "sleep", "--output", str(tmp_path / "run"), "--stages", "int8,shrink"])
    error = capsys.readouterr().err
    assert code == 2 and error.count("\n") == 1
    assert "compression stage 'shrink' has an unknown step 'shrink'" in error
    assert not (tmp_path / "run").exists()


TINY = """
name = "tiny"
[signals]
rate = 100.0
emg = "raw"
[signals.channels]
"EEG Fpz-Cz" = ["EEG Fpz-Cz"]
[signals.synthetic]
subjects = 4
hours = 1.0
[training]
epochs = 1
[quantize]
calibration_windows = 8
[codegen]
schedule = "stream"
[compression]
stages = ["float", "int8", "prune50+distill", "sparse2x4+qat", "int16x8"]
epochs = 1
board = "host"
layers = true
"""


@pytest.mark.slow
@pytest.mark.train
def test_the_table_of_a_recipe(tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text(TINY)
    arguments = ["compress", "sleep", "--recipe", str(tmp_path / "tiny.toml"), "--output", str(tmp_path / "run")]
    assert run([*arguments, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in content["compression"]}
    assert list(rows) == ["float", "int8", "prune50+distill", "sparse2x4+qat", "int16x8"]
    assert rows["int8"]["metrics"] == content["metrics"]["int8"]
    assert rows["float"]["drop"]["value"] == 0 and rows["float"]["cost"] is None
    assert rows["prune50+distill"]["cost"]["state_bytes"] < rows["int8"]["cost"]["state_bytes"]
    assert rows["int16x8"]["why_no_cost"].startswith("the compiler takes int8 activations only")
    assert content["blame"]["layers"][0]["share"] >= content["blame"]["layers"][-1]["share"]
    assert run(arguments) == 0
    again = capsys.readouterr()
    assert again.err.count("up to date") == again.err.count("\n") - 1
    assert "sparse2x4+qat" in again.out
