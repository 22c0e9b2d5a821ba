"""`thumbnet generate`: what it writes, what it refuses, and that it stays quick and free of TensorFlow."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.command import thumbnet
from support.small_models import float_model, small_model, unsupported_model
from thumbnet.host_tools.errors import HostToolsError
from thumbnet.host_tools.oracle import open_oracle
from thumbnet.host_tools.writing import write_files


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_library_is_written_and_its_cost_told(model, tmp_path):
    outcome = thumbnet("generate", model, "--output", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.json
    assert told["schema"] == "thumbnet.generate/1"
    assert (told["target"], told["engine"], told["layers"]) == ("cortex-m4", "aot", 6)
    assert told["macs"] == 8 * 8 * 4 * 9 * 2 + 4 * 4 * 6 * 9 * 4 + 18
    assert told["state_bytes"] > 0
    assert told["weight_bytes"] > 0
    assert set(told["files"]) == set(told["changed"]) == set(files_of(tmp_path / "out"))
    assert {"src/model.c", "src/model.h", "library.json", "model.json"} <= set(told["files"])
    assert "src/tn_app_model.h" in told["files"]


def test_the_adapter_for_the_device_application_can_be_left_out(model, tmp_path):
    told = thumbnet("generate", model, "--output", tmp_path / "out", "--no-app", "--json").json
    assert "src/tn_app_model.h" not in told["files"]


def test_the_human_table_says_the_same(model, tmp_path):
    out = thumbnet("generate", model, "--output", tmp_path / "out", "--prefix", "sleep").out
    for word in ("layers", "MACs", "state", "weights", "src/sleep.c"):
        assert word in out


def test_under_a_second_of_processor_time_and_no_tensorflow(model, tmp_path):
    outcomes = [thumbnet("generate", model, "--output", tmp_path / "out") for _ in range(2)]
    assert min(outcome.cpu_seconds for outcome in outcomes) < 1.0
    code = (
        "import sys; from thumbnet.host_tools import cli;"
        f"code = cli.run(['generate', {str(model)!r}, '--output', {str(tmp_path / 'again')!r}]);"
        "heavy = {'tensorflow', 'tf_keras', 'ai_edge_litert', 'tflite_micro', 'mne', 'matplotlib', 'pydantic', 'rich'};"
        "sys.exit(str(code or heavy & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == ""


def test_writing_again_changes_nothing(model, tmp_path):
    first = thumbnet("generate", model, "--output", tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.c")}
    second = thumbnet("generate", model, "--output", tmp_path / "out", "--json")
    assert first.code == second.code == 0
    assert second.json["changed"] == []
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.c")} == before


def test_the_tflm_engine_embeds_the_very_bytes(model, tmp_path):
    outcome = thumbnet("generate", model, "--engine", "tflm", "--output", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["weight_bytes"] == model.stat().st_size
    assert outcome.json["state_bytes"] is None
    text = (tmp_path / "out" / "model_model_data.cc").read_text()
    numbers = text[text.index("= {") : text.rindex("}")]
    embedded = bytes(int(number, 0) for number in re.findall(r"\b(?:0x[0-9a-f]+|\d+)\b", numbers))
    assert embedded == model.read_bytes()
    # What the firmware would run is run here, by the same interpreter.
    inputs = [np.zeros((1, 8, 8, 2), np.int8)]
    np.testing.assert_array_equal(open_oracle(embedded).run(inputs)[0], open_oracle(small_model()).run(inputs)[0])


def test_a_board_implies_its_core(model, tmp_path):
    outcome = thumbnet("generate", model, "--board", "qemu-m7", "--output", tmp_path / "out", "--json")
    assert outcome.json["target"] == "cortex-m7"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--target", "cortex-m5"],
            ["unknown target 'cortex-m5'", "did you mean 'cortex-m55'?", "cortex-m0"],
        ),
        (["--board", "qemu_m9"], ["unknown board 'qemu_m9'", "qemu_m4", "netduinoplus2"]),
        (["--engine", "tvm"], ["unknown engine 'tvm'", "aot, tflm"]),
        (["--board", "qemu_m4", "--target", "cortex-m0"], ["has a cortex-m4", "--target says cortex-m0"]),
        (["--prefix", "for"], ["prefix 'for'"]),
        (["--prefix", "2b"], ["prefix '2b'"]),
    ],
)
def test_wrong_names_are_answered_with_the_right_ones(model, tmp_path, arguments, words):
    outcome = thumbnet("generate", model, "--output", tmp_path / "out", *arguments)
    assert outcome.code == 2
    for word in words:
        assert word in outcome.sentence
    assert not (tmp_path / "out").exists()


def bad_models() -> dict[str, tuple[bytes, str]]:
    sound = small_model()
    wrong_version = bytearray(sound)
    # The version is the only field of value 3 in the root table, right after the vtable.
    root = int.from_bytes(sound[:4], "little")
    vtable = root - int.from_bytes(sound[root : root + 4], "little", signed=True)
    at = root + int.from_bytes(sound[vtable + 4 : vtable + 6], "little")
    wrong_version[at : at + 4] = (9).to_bytes(4, "little")
    return {
        "random": (bytes(range(256)) * 40, "not a .tflite model"),
        "empty": (b"", "not a .tflite model"),
        "truncated": (sound[: len(sound) // 2], "damaged"),
        "version": (bytes(wrong_version), "version 9"),
        "float": (float_model(), "float32"),
        "unsupported": (unsupported_model(), "COS"),
    }


@pytest.mark.parametrize("kind", bad_models())
@pytest.mark.parametrize("verb", ["generate", "parity", "profile"])
def test_a_bad_model_is_refused_in_one_sentence_and_nothing_is_written(tmp_path, kind, verb):
    data, word = bad_models()[kind]
    path = tmp_path / "bad.tflite"
    path.write_bytes(data)
    options = ["--output", tmp_path / "out"] if verb == "generate" else ["--board", "host"]
    outcome = thumbnet(verb, path, *options)
    assert outcome.code == 2
    assert outcome.out == ""
    assert word in outcome.sentence
    assert [p.name for p in tmp_path.iterdir()] == ["bad.tflite"]


@pytest.mark.parametrize("verb", ["generate", "analyze", "parity", "profile"])
def test_a_missing_model_is_told(tmp_path, verb):
    options = {"generate": ["--output", tmp_path / "out"], "analyze": []}.get(verb, ["--board", "host"])
    outcome = thumbnet(verb, tmp_path / "none.tflite", *options)
    assert outcome.code == 2
    assert "none.tflite does not exist" in outcome.sentence


def test_a_folder_or_a_keras_model_is_told(tmp_path):
    assert "is a folder" in thumbnet("analyze", tmp_path).sentence
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert "thumbnet convert" in thumbnet("analyze", tmp_path / "model.h5").sentence


def test_foreign_files_are_never_overwritten_unless_forced(model, tmp_path):
    out = tmp_path / "out"
    (out / "src").mkdir(parents=True)
    (out / "src" / "model.c").write_text("int mine;\n")
    (out / "notes.txt").write_text("keep me\n")
    refused = thumbnet("generate", model, "--output", out)
    assert refused.code == 2
    assert "src/model.c" in refused.sentence
    assert files_of(out) == {"src/model.c": b"int mine;\n", "notes.txt": b"keep me\n"}
    assert thumbnet("generate", model, "--output", out, "--force").code == 0
    assert (out / "notes.txt").read_text() == "keep me\n"
    assert "int mine;" not in (out / "src" / "model.c").read_text()


def test_the_output_may_not_be_a_file(model, tmp_path):
    (tmp_path / "out").write_text("")
    assert "is a file" in thumbnet("generate", model, "--output", tmp_path / "out").sentence


def test_a_failure_while_writing_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    write_files(tmp_path / "out", {"a.c": "thumbnet 1"})
    original = Path.write_text

    def fail(self, text, **options):
        if self.name == "b.c":
            raise OSError(28, "No space left on device")
        return original(self, text, **options)

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OSError, match="No space left"):
        write_files(tmp_path / "out", {"a.c": "thumbnet 2", "b.c": "thumbnet"})
    assert files_of(tmp_path) == {"out/a.c": b"thumbnet 1"}


def test_foreign_files_are_judged_by_their_mark(tmp_path):
    (tmp_path / "a.c").write_text("mine")
    with pytest.raises(HostToolsError, match=r"holds a\.c, not written by thumbnet"):
        write_files(tmp_path, {"a.c": "thumbnet"})
    assert write_files(tmp_path, {"a.c": "mine"}) == []


def test_what_the_code_leans_to(model, tmp_path):
    outcome = thumbnet("generate", model, "--optimize", "size", "--output", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["optimize"] == "size"
    refused = thumbnet("generate", model, "--optimize", "fast", "--output", tmp_path / "other")
    assert refused.code == 2
    assert refused.sentence == "unknown optimize 'fast'; allowed: speed, size"
    assert not (tmp_path / "other").exists()
