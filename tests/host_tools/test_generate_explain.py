"""`thumbnet generate --explain` and `--disable`: what is printed, and what is refused."""

from __future__ import annotations

from support.command import thumbnet
from support.mobilenet import mobilenet


def test_the_explanation_as_json(tmp_path):
    model = tmp_path / "mobile.tflite"
    model.write_bytes(mobilenet(12, ((6, 1), (8, 2)), dead=0.5, seed=4))
    told = thumbnet("generate", model, "--output", tmp_path / "out", "--explain", "--json").json
    found = told["explanation"]
    dead = next(report for report in found["passes"] if report["name"] == "dead-channels")
    assert dead["macs"][1] == told["macs"] < dead["macs"][0]
    assert found["arena_bytes"] <= told["state_bytes"]
    plain = thumbnet("generate", model, "--output", tmp_path / "out", "--json").json
    assert plain["explanation"] is None
    off = thumbnet("generate", model, "--output", tmp_path / "out", "--disable", "dead-channels", "--json").json
    assert off["macs"] == dead["macs"][0]


def test_the_explanation_for_people(model, tmp_path):
    out = thumbnet("generate", model, "--output", tmp_path / "out", "--explain").out
    for words in ("dead-channels", "lower bound", "tn_conv2d_s8_dsp (dsp)", "chosen", "tn_softmax_s8"):
        assert words in out
    assert "\x1b[" not in out


def test_an_unknown_name_is_one_sentence_and_nothing_is_written(model, tmp_path):
    done = thumbnet("generate", model, "--output", tmp_path / "out", "--disable", "magic")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "cannot switch off 'magic': allowed are fold-constants" in done.err
    assert not (tmp_path / "out").exists()


def test_the_other_engine_has_nothing_to_explain(model, tmp_path):
    done = thumbnet("generate", model, "--output", tmp_path / "out", "--engine", "tflm", "--explain")
    assert done.code == 2
    assert "--disable and --explain are about the engine aot" in done.err
