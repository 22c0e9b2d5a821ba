"""`thumbnet analyze`: all unsupported layers at once, and the boards a model fits."""

from __future__ import annotations

from pathlib import Path

from support.command import thumbnet
from support.small_models import float_model, small_model, two_inputs_model, unsupported_model


def analyze(tmp_path: Path, data: bytes, *options: str):
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    return thumbnet("analyze", path, *options)


def test_a_supported_model_lists_layers_macs_and_boards(tmp_path):
    outcome = analyze(tmp_path, small_model(), "--json")
    assert outcome.code == 0
    told = outcome.json
    assert told["schema"] == "thumbnet.analyze/1"
    assert told["supported"] is True
    assert [layer["op"] for layer in told["layers"]] == [
        "CONV_2D", "MAX_POOL_2D", "CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX",
    ]  # fmt: skip
    assert told["macs"] == sum(layer["macs"] for layer in told["layers"])
    assert told["operators"]["CONV_2D"] == 2
    assert told["inputs"][0]["shape"] == [1, 8, 8, 2]
    boards = {board["board"]: board for board in told["boards"]}
    assert boards["qemu_m4"]["fits"] is True
    assert "host" not in boards
    assert boards["qemu_m4"]["ram_bytes"] == told["state_bytes"] + 8 * 8 * 2 + 4


def test_every_unsupported_layer_is_named_at_once(tmp_path):
    outcome = analyze(tmp_path, unsupported_model(), "--json")
    assert outcome.code == 1
    refused = [layer for layer in outcome.json["layers"] if not layer["supported"]]
    assert [(layer["index"], layer["op"], layer["name"]) for layer in refused] == [
        (0, "COS", "y"),
        (2, "COS", "w"),
    ]
    assert all(layer["reason"] for layer in refused)
    assert outcome.json["boards"] == []
    text = analyze(tmp_path, unsupported_model()).out
    assert "layer 0 COS" in text
    assert "layer 2 COS" in text


def test_a_float_model_says_what_to_do(tmp_path):
    outcome = analyze(tmp_path, float_model())
    assert outcome.code == 1
    assert "full-integer quantization" in outcome.out


def test_two_inputs_and_two_outputs_are_listed(tmp_path):
    told = analyze(tmp_path, two_inputs_model(), "--json").json
    assert [tensor["name"] for tensor in told["inputs"]] == ["left", "right"]
    assert [tensor["name"] for tensor in told["outputs"]] == ["sum", "product"]


def test_a_damaged_file_is_one_sentence(tmp_path):
    outcome = analyze(tmp_path, small_model()[:500])
    assert outcome.code == 2
    assert "damaged" in outcome.sentence
