"""docs/json-schemas.md and docs/runs.md name every JSON object that a command prints, and every key of ours."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.command import thumbnet
from thumbnet.host_tools import jsonout

ROOT = Path(__file__).resolve().parents[2]
DOCS = "\n".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("json-schemas.md", "runs.md"))


def section(schema: str) -> str:
    found = re.search(rf"^## .*`{re.escape(schema)}`.*?(?=^## |\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{schema} is not documented"
    return found[0]


def test_every_emitted_schema_is_documented():
    sources = (ROOT / "host_tools" / "commands").glob("*.py")
    emitted = {name for path in sources for name in re.findall(r'emit\("([a-z-]+/\d+)"', path.read_text())}
    assert {"parity/1", "profile/1", "generate/1", "analyze/1"} <= emitted
    for name in emitted:
        assert f"thumbnet.{name}" in DOCS


@pytest.mark.parametrize(
    "arguments",
    [["generate", "--output", "OUT"], ["analyze"], ["build", "--board", "host", "--output", "OUT"],
     ["parity", "--board", "host", "--windows", "1"], ["profile", "--board", "host"], ["devices"]],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_every_key_is_documented(model, tmp_path, arguments):
    verb, *options = (str(tmp_path / "out") if word == "OUT" else word for word in arguments)
    outcome = thumbnet(verb, *([] if verb == "devices" else [model]), *options, "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.json
    shared = DOCS.partition("## `thumbnet.parity/1`")[0]
    text = section(told["schema"]) + shared
    missing = [key for key in told if key != "schema" and not re.search(rf"[`\"]{key}[`\"]", text)]
    assert missing == []


def test_every_key_of_the_manifest_is_documented():
    told = json.loads((ROOT / "firmware" / "example_model" / "model.json").read_text(encoding="utf-8"))
    text = DOCS[DOCS.index("## `PREFIX.json`") :].partition("## `thumbnet.analyze/1`")[0]
    keys = {*told, *told["schedule"], *told["schedule"]["segments"][0], *told["inputs"][0], *told["layers"][0]}
    assert [key for key in sorted(keys) if not re.search(rf"[`\"]{key}[`\"]", text)] == []


def test_values_of_numpy_become_plain_json():
    text = jsonout.dumps("x/1", {"a": np.int64(3), "b": np.arange(2), "c": np.float32(0.5)})
    assert json.loads(text) == {"schema": "thumbnet.x/1", "a": 3, "b": [0, 1], "c": 0.5}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        jsonout.dumps("x/1", {"a": value})


def test_what_is_no_json_value_is_refused():
    with pytest.raises(TypeError, match="Path has no JSON form"):
        jsonout.dumps("x/1", {"a": type("Path", (), {})()})


def test_prints_inside_go_to_standard_error(capsys):
    with jsonout.quiet_stdout():
        print("loading")
    jsonout.emit("x/1", {})
    captured = capsys.readouterr()
    assert captured.err == "loading\n"
    assert json.loads(captured.out) == {"schema": "thumbnet.x/1"}
