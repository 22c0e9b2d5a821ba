"""The report's page: complete, self-contained, and its shapes add up. That it looks good is for eyes."""

import copy
import html.parser
import re

import pytest
from report_sample import sample_report
from thumbnet.host_tools.report import charts, formats
from thumbnet.host_tools.report.device import device_facts
from thumbnet.host_tools.report.page import render


class Checker(html.parser.HTMLParser):
    """Fails on tags that are not closed in order."""

    VOID = frozenset({"meta", "br", "img", "rect", "path", "circle", "polyline"})

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page():
    return render(sample_report())


def text_of(page):
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    return " ".join(" ".join(checker.text).split())


def test_tags_are_balanced_and_nothing_is_undefined(page):
    text = text_of(page)
    for word in ("None", "nan", "Undefined", "{{", "{%"):
        assert word not in text


def test_asks_no_server_for_anything(page):
    assert not re.findall(r"""(?:src|href)\s*=|url\(|@import|https?://""", page)


def test_says_the_figures_and_their_protocol(page):
    text = text_of(page)
    for part in ("83.9 %", "0.774", "95 % interval 97.4 % to 99.3 %", "subject-wise", "0 of 640 output bytes differ",
                 "qemu_m4", "netduinoplus2", "signals are synthetic"):  # fmt: skip
        assert part in text


def test_a_mismatch_turns_the_verdict(page):
    report = sample_report()
    report["boards"][1]["parity"].update(mismatches=3, first_diverging_layer={"index": 4, "name": "x", "op": "ADD"})
    text = render(report)
    assert 'class="verdict bad"' in text and 'class="verdict bad"' not in page
    assert "differs from layer 4" in text


def test_an_exceeded_budget_turns_the_verdict():
    report = sample_report()
    report["budgets"][0]["ok"] = False
    text = render(report)
    assert 'class="verdict bad"' in text
    assert "Budget exceeded: ram_bytes on qemu_m4" in text


def test_preprocessing_on_the_device_is_told_with_its_proof():
    report = copy.deepcopy(sample_report())
    channel = {"name": "EEG", "microvolts_per_count": 0.1, "steps": ["high-pass 0.3 Hz"], "share_clipped": 0.0125}
    report["signals"]["device"] = {
        "bits": 12,
        "rate": 200.0,
        "channels": [channel, {**channel, "name": "EMG", "steps": []}],
    }
    rows = [{"name": "EEG", "float_difference_max_uv": 0.0026, "float_difference_rms_uv": 0.0004}]
    behind = {
        "windows": 64,
        "bytes": 320,
        "mismatches": 0,
        "passed": True,
        "first_diverging_layer": None,
        "channels": rows,
    }
    report["boards"][0]["parity"]["signals"] = behind
    facts = dict(device_facts(report))
    assert facts["converter"] == "12 bits, 200 Hz, 0.1 uV a count"
    assert (facts["EEG"], facts["EMG"]) == ("high-pass 0.3 Hz", "no filter")
    assert facts["clipped"] == "the converter's range clips 1.25% of the samples of EMG"
    assert "0 of 320 output bytes of 64 windows differ, codes equal" in facts["qemu_m4 from samples"]
    assert "at most 0.0026 uV" in facts["qemu_m4 from samples"] and "netduinoplus2 from samples" not in facts
    assert "qemu_m4 from samples" in render(report)
    behind |= {"passed": False, "first_diverging_layer": {"name": "preprocessing"}}
    assert "first differing layer preprocessing" in dict(device_facts(report))["qemu_m4 from samples"]


def test_without_boards_layers_history_or_night_it_still_stands():
    report = sample_report(boards=())
    report["history"], report["hypnogram"] = {}, None
    report["metrics"]["baseline"] = None
    assert "No board was run" in text_of(render(report))


def test_the_host_has_no_instruction_count():
    report = sample_report(boards=("host",))
    profile = report["boards"][0]["profile"]
    profile.update(instructions=None, per_mac=None, flash_bytes=None, ram_bytes=None, stack_bytes=None)
    for layer in profile["layers"]:
        layer["instructions"] = None
    assert "not counted on host" in text_of(render(report))


def test_names_are_escaped():
    report = copy.deepcopy(sample_report())
    report["run"]["name"] = "<script>alert(1)</script>"
    assert "<script>" not in render(report)


def test_treemap_covers_the_area_in_proportion():
    weights = [charts.Weight(f"s{n}", "weights", n * n) for n in range(1, 20)] + [charts.Weight("z", "link", 0)]
    tiles = charts.treemap(weights)
    total = sum(weight.bytes for weight in weights)
    assert len(tiles) == 19
    for tile in tiles:
        assert tile.width * tile.height / 1e4 == pytest.approx(tile.bytes / total, rel=0.02, abs=1e-4)
        assert tile.left >= -1e-6 and tile.left + tile.width <= 100.01
        assert tile.top >= -1e-6 and tile.top + tile.height <= 100.01


def test_small_symbols_are_added_up_by_kind():
    weights = [charts.Weight(f"s{n}", "kernels" if n % 2 else "link", n + 1) for n in range(30)]
    merged = charts.merge_small(weights, 10)
    assert len(merged) == 12
    assert sum(weight.bytes for weight in merged) == sum(weight.bytes for weight in weights)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.31, 1.92), (-3, 1200), (5, 5), (0.9, 0.91)])
def test_ticks_are_round_and_inside(low, high):
    ticks = charts.nice_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


def test_hypnogram_leaves_gaps_open():
    path = charts.stage_steps([0, 30, 120], [0, 0, 2], 30)
    assert path == "M0 0.5H1H2M4 2.5H5"
    assert charts.stage_blocks([0, 30, 120], [0, 0, 2], 30) == [(0, 0, 2), (2, 4, 1)]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (999, "999 bytes"), (1000, "1.0 KB"), (124000, "124.0 KB"), (0, "0 bytes")]
)
def test_sizes(value, text):
    assert formats.kilobytes(value) == text
