"""Reports about hemodynamic parameters: complete, self-contained, and true to what the stages left."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="needs thumbnet[train]")

from hemo_run_sample import LAYERS, sample_judged, sample_run
from test_report import text_of
from thumbnet.host_tools.cli import run
from thumbnet.host_tools.hemodynamics.costs import table_of, write_table
from thumbnet.host_tools.report import formats
from thumbnet.host_tools.report.experts import idle_sentence
from thumbnet.host_tools.report.hemo_content import gather
from thumbnet.host_tools.report.hemo_page import render
from thumbnet.host_tools.report.hemo_summary import print_summary
from thumbnet.host_tools.report.hotspots import hot_spots, part_of
from thumbnet.host_tools.report.scatter import agreement_charts

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return sample_run(tmp_path_factory.mktemp("run") / "sample", gain_kept=0.9, ram_bytes=20_000, expert_share=0.02)


@pytest.fixture(scope="module")
def report(folder):
    return gather(folder)


@pytest.fixture(scope="module")
def page(report):
    return render(report)


def test_the_page_is_whole_and_asks_no_server(page):
    text = text_of(page)
    for word in ("None", " nan", "Undefined", "{{", "{%"):
        assert word not in text
    assert not re.findall(r"""(?:src|href)\s*=|url\(|@import|https?://""", page)


def test_the_page_says_what_the_figures_are(page, report):
    text = text_of(page)
    device = report["evaluation"]["errors"]["compressed network, int8"]
    for part in (
        "synthetic: the figures show that the chain works and say nothing about people",
        "no protocol pass", "population mean", "last cuff reading", "XResNet1d101", "calibration-based",
        formats.figure(device["SBP"]["mae"]), formats.figure(device["SVRI"]["rmse"]),
        "At most 2 of 4 experts may run for a window", "0 of 800 output bytes differ",
        "2 of 4 experts run for a window",
        "walk 1 over expert: input: 7 layers, 1 of them again (1.50 M MACs); 2.0 KB stored for later walks",
        "16 bits, 125 Hz", "highpass; each window by its own range", "0.12% of the codes differ",
        "0 of 800 output bytes of 20 windows differ, codes equal", "softmax in 1/32768", "ram_bytes",
        "qemu_m4 from samples", "≤ 20,000", "≥ 0.9",
    ):  # fmt: skip
        assert part in text, part
    assert page.count('class="cloud"') == 20


def test_the_table_of_costs(folder, report, page):
    table = table_of(folder)
    assert [row["name"] for row in table["rows"]] == ["teacher", "teacher-int8", "two-way", "int8", "aware"]
    assert table["deployed"] == "aware"
    by_name = {row["name"]: row for row in table["rows"]}
    assert by_name["teacher"]["cost"] is None and "int8 models only" in by_name["teacher"]["why_no_cost"]
    assert by_name["teacher-int8"]["cost"]["flash_bytes"] == 77_700
    assert by_name["int8"]["why_no_cost"] == "qemu_m4: region FLASH overflowed"
    # The deployed network costs what its firmware was profiled to.
    assert by_name["aware"]["cost"]["flash_bytes"] == 55_432 and by_name["aware"]["cost"]["board"] == "qemu_m4"
    text = text_of(page)
    for part in ("3.57 M", "77.7 KB", "2.55 M", "55.4 KB", "85 % (SBP)", "int8: no cost on a board, qemu_m4: region",
                 "teacher, two-way: no cost on a board, the compiler takes int8 models only",
                 "the teacher has no gain over the mean in SVRI"):  # fmt: skip
        assert part in text, part
    write_table(folder)
    written = json.loads((folder.path / "compression.json").read_text())
    assert written["schema"] == "thumbnet.hemodynamics-compression/1" and written["rows"] == table["rows"]


def test_budgets_are_shown_and_judged(report, page):
    found = {(row["key"], row["where"]): row for row in report["budgets"]}
    assert not found["ram_bytes", "qemu_m4"]["ok"] and found["gain_kept", "SBP"]["ok"]
    assert found["gain_kept", "SBP"]["least"] and ("gain_kept", "SVRI") not in found
    assert found["expert_share", "expert 3"] == {
        "key": "expert_share", "where": "expert 3", "limit": 0.02, "value": 0.4, "ok": True, "least": True,
    }  # fmt: skip
    assert 'class="verdict bad"' in page and "Budget exceeded: ram_bytes on qemu_m4" in text_of(page)


def test_every_key_of_the_report_is_documented(report):
    docs = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
    section = docs[docs.index("`thumbnet.hemodynamics-report/1`") :]
    for key in report.keys() - {"schema"}:
        assert f"`{key}`" in section, key


def test_the_terminal_ends_with_the_same_figures(report, capsys):
    print_summary(report, Path("runs/sample/report.html"))
    text = capsys.readouterr().out
    for part in ("compressed network, int8", "population mean", "title of aware", "55.4 KB", "0 of 800 bytes",
                 "region FLASH overflowed", "experts serve",
                 "qemu_m4 from samples: 0 of 800", "2.00 of at most 2 run for one", "runs/sample/report.html",
                 "say nothing about people"):  # fmt: skip
        assert part in text, part
    assert max(len(line.rstrip()) for line in text.splitlines() if "MAE" in line) <= 120


def test_a_network_that_is_for_no_device_has_a_report_too(tmp_path, capsys):
    made = sample_run(tmp_path / "run", on_device=False)
    report = gather(made)
    text = text_of(render(report))
    assert "No board was run" in text and "not made, a mixture of experts for devices needs towers" in text
    assert "Compressed network, float. First" in text
    print_summary(report, Path("report.html"))
    assert "no bundle: a mixture of experts" in capsys.readouterr().out


def test_two_parameters_of_people_of_whom_nothing_is_known(tmp_path, capsys):
    """One window each: no earlier reading, no change, no kinds of people but pressures."""
    report = gather(sample_run(tmp_path / "run", judged=sample_judged(tasks=("SBP", "DBP"), each=1)))
    text = text_of(render(report))
    for word in ("None", " nan", "Undefined"):
        assert word not in text
    assert "no tested person has an earlier reading" in text.lower()
    assert "Changes within people, whatever" not in text and "women" not in text
    print_summary(report, Path("report.html"))
    lines = capsys.readouterr().out.splitlines()
    assert any("no tested person has an earlier reading" in line for line in lines)
    # A baseline that has nothing to go by has no row.
    assert not any(line.strip().startswith(("last cuff reading", "demographics only")) for line in lines)


def test_the_host_counts_nothing(tmp_path):
    report = gather(sample_run(tmp_path / "run", board="host"))
    text = text_of(render(report))
    assert "not counted on host" in text and "Instructions by part" not in text
    assert report["compress"]["rows"][-1]["cost"] is None


def test_thumbnet_report_writes_it_again(folder, capsys):
    assert run(["report", str(folder.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "thumbnet.hemodynamics-report/1"
    assert (folder.path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_charts_lie_inside_and_lines_where_the_errors_are():
    errors = {"unit": "mmHg", "me": 1.0, "sd": 2.0, "mae": 1.5, "r2": 0.5}
    evaluation = {"errors": {"model": {"SBP": errors}}}
    charts = agreement_charts(evaluation, {"SBP": {"measured": [100, 120, 140], "estimated": [101, 118, 144]}})
    places = [
        tuple(map(float, place.split())) for place in re.findall(r"M([\d.-]+ [\d.-]+)h", charts[0]["scatter"]["dots"])
    ]
    assert len(places) == 3 and all(0 <= value <= 1000 for place in places for value in place)
    # A larger value lies further right and further up.
    assert places[0][0] < places[2][0] and places[0][1] > places[2][1]
    low, mean, high = (line["at"] for line in charts[0]["difference"]["lines"])
    assert low > mean > high and mean == pytest.approx((low + high) / 2)
    assert charts[0]["limits"] == "+1.00 (-2.92 to +4.92)"


def test_hot_spots_add_up_the_runs_of_experts(report):
    found = hot_spots(report["boards"])
    total = sum(layer[3] for layer in LAYERS)
    assert sum(row["instructions"] for row in found["layer_rows"]) == total
    stem = next(row for row in found["layer_rows"] if row["name"] == "expert: stem")
    assert stem["instructions"] == 78_101 + 78_103 and stem["macs"] == 2 * 35_056
    parts = {row["name"]: row for row in found["part_rows"]}
    assert parts["experts that run"]["instructions"] == 78_101 + 78_103 + 2 * 3_561
    assert parts["gate and choice"]["instructions"] == 67_824 + 231
    assert parts["samples to window"]["instructions"] == 51_000
    assert sum(row["share"] for row in parts.values()) == pytest.approx(1)
    assert part_of("towers: towers/hidden/Relu") == "towers" and part_of("values") == "towers"


@pytest.mark.parametrize(
    ("served", "text"),
    [([0.5, 0.02], "the least 2.0 %."), ([0.5, 0.019, 0.0], "Below 2 % of the windows: expert 1, 2.")],
)
def test_idle_experts_are_named(served, text):
    assert text in idle_sentence(served)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.456, "0.46"), (9.999, "10.00"), (13.64, "13.6"), (1234.5, "1,234"), (-0.5, "-0.50")],
)
def test_errors_have_few_digits(value, text):
    assert formats.figure(value) == text
