"""`thumbnet bench`: rows beside the baseline, and figures held against recorded ones.

What is tested: that a figure that got worse is found and named, that models are recognised, that the documents hold
what was measured; slow: that nothing got worse than the recorded figures of the built-in example.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from support.command import thumbnet
from thumbnet.host_tools.bench.baseline import baseline, find_model, find_reference, provenance
from thumbnet.host_tools.bench.check import check, read_record, record
from thumbnet.host_tools.bench.measure import FIGURES, Row, cases, example_model, find_models
from thumbnet.host_tools.bench.text import lines, markdown
from thumbnet.host_tools.boards import get_board
from thumbnet.host_tools.errors import BoardError, HostToolsError
from thumbnet.host_tools.modelfile import read_model

RECORD = Path(__file__).resolve().parents[2] / "firmware" / "bench.json"
TOOLS = {"arm-none-eabi-gcc": "gcc 1", "qemu-system-arm": "qemu 1"}


def row(**figures: int | None) -> Row:
    measured = {**dict.fromkeys(FIGURES, 1000), "instructions": 1_000_000, **figures}
    model, board = read_model(example_model()), get_board("qemu_m4")
    name = find_model(model)
    return Row(model, board, "stream", 2_795_264, name, measured, [], find_reference(name, board.target))


def recorded(*rows: Row) -> dict:
    return json.loads(record(rows, TOOLS))


def test_the_built_in_example_is_known():
    reference = row().reference
    assert reference is not None
    assert (reference.instructions, reference.arena_bytes, reference.flash_bytes) == (35_999_763, 186_836, 89_924)
    assert row().name == "ulw-sleepnet/rows-folded"


def test_a_model_is_known_by_its_architecture(tmp_path):
    model = read_model(example_model())
    trained_anew = dataclasses.replace(model, tflite=model.tflite + bytes(16), path=tmp_path / "mine.tflite")
    assert trained_anew.sha256 != model.sha256
    assert find_model(trained_anew) == "ulw-sleepnet/rows-folded"


def test_a_known_file_name_alone_is_not_enough(model):
    other = model.with_name("kws_ref_model.tflite")
    model.rename(other)
    assert find_model(read_model(other)) is None


def test_public_models_are_known(shared_dir):
    for file, name in (("kws_ref_model", "kws"), ("pretrainedResnet_quant", "image-classification")):
        assert find_model(read_model(shared_dir / "models" / f"{file}.tflite")) == f"mlperf-tiny/{name}"


def test_the_baseline_says_where_it_comes_from():
    for word in ("CMSIS-NN", "tflite-micro", "arm-none-eabi-gcc 12.2.1", "-O2", "QEMU"):
        assert word in provenance()
    assert {figure["model"] for figure in baseline()["figures"]} == set(baseline()["models"])


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_that_got_worse_is_named(figure):
    was = recorded(row())
    limit = round(was["figures"][0][figure] * 1.02)
    assert check([row(**{figure: limit})], was, TOOLS).worse == ()
    outcome = check([row(**{figure: limit + 200})], was, TOOLS)
    assert [item.figure for item in outcome.worse] == [figure]
    sentence = str(outcome.worse[0])
    assert sentence.startswith("ulw-sleepnet/rows-folded on qemu_m4, stream: ")
    assert f"is {limit + 200:,}" in sentence
    assert f"was {was['figures'][0][figure]:,}" in sentence


def test_two_per_cent_of_a_count_is_the_limit():
    was = recorded(row())
    assert not check([row(instructions=1_020_016)], was, TOOLS).worse
    assert check([row(instructions=1_020_017)], was, TOOLS).worse


def test_better_figures_pass_and_new_ones_are_told():
    was = recorded(row())
    better = row(instructions=1, flash_bytes=1)
    other = dataclasses.replace(better, schedule="whole")
    outcome = check([better, other], was, {**TOOLS, "qemu-system-arm": "qemu 2"})
    assert (outcome.worse, outcome.compared) == ((), 1)
    assert any("not in the record" in remark for remark in outcome.remarks)
    assert any("'qemu 2'" in remark for remark in outcome.remarks)


def test_a_row_that_is_refused_now_fails():
    refused = dataclasses.replace(row(), figures=dict.fromkeys(FIGURES), refused="it does not fit")
    with pytest.raises(HostToolsError, match="it does not fit"):
        check([refused], recorded(row()), TOOLS)
    assert recorded(refused)["figures"] == []


def test_a_record_of_other_models_is_refused():
    was = recorded(row())
    was["figures"][0]["sha256"] = "0"
    with pytest.raises(HostToolsError, match="none of the models"):
        check([row()], was, TOOLS)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "thumbnet.bench-record/1", "figures": [3]}'])
def test_what_is_no_record_is_refused(text, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(HostToolsError, match="not a record"):
        read_record(path)
    with pytest.raises(HostToolsError, match="--record"):
        read_record(tmp_path / "absent.json")


def test_the_table_puts_the_baseline_first():
    first, second = lines([row()])
    assert first[2:6] == ["TFLM", "1.00", "12.88", "35,999,763"]
    assert second[2:6] == ["stream", "0.03", "0.36", "1,000,000"]
    text = markdown([row()], True, TOOLS)
    assert "| ulw-sleepnet/rows-folded | qemu_m4 | stream | 0.03 |" in text
    assert "qemu-system-arm: qemu 1" in text


def test_only_emulated_boards_count():
    with pytest.raises(BoardError, match="host is not emulated"):
        cases([read_model(example_model())], [get_board("host")], ["whole"])


def test_models_of_a_folder_join_the_example(model):
    assert [found.path.name for found in find_models((), model.parent)] == ["model.tflite", "small.tflite"]
    assert [found.path.name for found in find_models((model,), None)] == ["small.tflite"]
    with pytest.raises(HostToolsError, match="not a folder"):
        find_models((), model)


@pytest.mark.qemu
def test_the_command_records_checks_and_fails(model, tmp_path):
    record_file, document = tmp_path / "record.json", tmp_path / "bench.md"
    common = ["bench", "--model", model, "--board", "qemu_m4"]
    outcome = thumbnet(*common, "--json", "--record", record_file, "--markdown", document, "--layers")
    assert outcome.code == 0, outcome.err
    told = outcome.json
    assert [found["schedule"] for found in told["rows"]] == ["whole", "stream"]
    assert all(found["instructions"] > 0 and found["layers"] for found in told["rows"])
    assert "| small.tflite | qemu_m4 | whole |" in document.read_text()
    assert thumbnet("bench", "--model", model, "--check", record_file).code == 0
    kept = json.loads(record_file.read_text())
    kept["figures"][1]["flash_bytes"] //= 2
    record_file.write_text(json.dumps(kept))
    failed = thumbnet("bench", "--model", model, "--check", record_file)
    assert failed.code == 1, failed.err
    assert "worse: small.tflite on qemu_m4, stream: flash was" in failed.out


@pytest.mark.qemu
def test_a_schedule_that_a_model_cannot_have_is_a_row(tmp_path):
    from support.small_models import two_inputs_model

    path = tmp_path / "two.tflite"
    path.write_bytes(two_inputs_model())
    outcome = thumbnet("bench", "--model", path, "--board", "qemu_m4", "--json")
    assert outcome.code == 0, outcome.err
    whole, stream = outcome.json["rows"]
    assert whole["refused"] is None
    assert "not possible" in stream["refused"]
    assert stream["instructions"] is None


@pytest.mark.qemu
@pytest.mark.slow
def test_no_figure_of_the_example_got_worse():
    outcome = thumbnet("bench", "--check", RECORD)
    assert outcome.code == 0, outcome.out + outcome.err
