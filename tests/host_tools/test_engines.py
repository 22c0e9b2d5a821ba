"""Processes for folds: how many at once, what a failing one says, that none is left behind."""

from __future__ import annotations

import json
import sys
import time

import pytest
from thumbnet.host_tools.pipeline import engines
from thumbnet.host_tools.pipeline.engines import Engine, FoldError

NOTE = """
import json, os, pathlib, sys, time
task = pathlib.Path(sys.argv[1]); start = time.time()
time.sleep({seconds})
(task.parent / "note.json").write_text(json.dumps([start, time.time(), os.environ["THUMBNET_THREADS"], os.getpid()]))
{last}
"""


@pytest.fixture
def tasks(tmp_path):
    files = []
    for number in range(4):
        folder = tmp_path / "subject-wise" / f"{number + 1:02d}"
        folder.mkdir(parents=True)
        (folder / "task.json").write_text("{}")
        files.append(folder / "task.json")
    return files


def with_code(monkeypatch, seconds=0.3, last=""):
    code = NOTE.format(seconds=seconds, last=last)
    monkeypatch.setattr(engines, "_command", lambda task, _work: [sys.executable, "-c", code, str(task)])


def notes(tasks):
    return [json.loads((task.parent / "note.json").read_text()) for task in tasks]


def test_at_most_so_many_at_once(tasks, monkeypatch):
    with_code(monkeypatch)
    done = []
    Engine(jobs=2).run(tasks, 3, done.append)
    spans = notes(tasks)
    assert sorted(done) == tasks and {span[2] for span in spans} == {"3"}
    most = max(sum(a <= start < b for a, b, *_ in spans) for start, *_ in spans)
    assert most == 2


def test_a_failing_fold_is_one_sentence_with_its_last_words(tasks, monkeypatch):
    with_code(monkeypatch, 0, 'print("noise", file=sys.stderr); sys.exit("the loss became NaN in pass 3")')
    with pytest.raises(FoldError, match=r"subject-wise fold 01 failed: the loss became NaN in pass 3 \(log: "):
        Engine().run(tasks, 1, lambda _: None)
    assert (tasks[0].parent / "log.txt").read_text().startswith("noise")


def test_none_is_left_behind(tasks, monkeypatch):
    with_code(monkeypatch, 30)
    calls = []

    def interrupt(seconds):
        calls.append(seconds)
        if len(calls) == 3:
            raise KeyboardInterrupt
        time.sleep_(seconds)

    started = []
    original = engines._start
    monkeypatch.setattr(
        engines, "_start", lambda task, threads, work: started.append(original(task, threads, work)) or started[-1]
    )
    monkeypatch.setattr(time, "sleep_", time.sleep, raising=False)
    monkeypatch.setattr(engines.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Engine(jobs=2).run(tasks, 1, lambda _: None)
    assert len(started) == 2 and all(process.poll() is not None for process in started)


@pytest.mark.parametrize(
    ("settings", "sentence"), [({"kind": "slurm"}, "--engine must be"), ({"jobs": 0}, "--jobs must")]
)
def test_engines_that_are_not(settings, sentence):
    with pytest.raises(FoldError, match=sentence):
        Engine(**settings)


def test_ray_that_is_not_installed_is_one_sentence(tasks, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FoldError, match=r"needs the package ray: pip install 'thumbnet\[ray\]'"):
        Engine("ray").run(tasks, 1, lambda _: None)


@pytest.fixture(scope="module")
def ray_is_there():
    return pytest.importorskip("ray", reason="the extra thumbnet[ray] is not installed")


@pytest.mark.slow
def test_a_local_ray_cluster_does_the_same(tasks, tmp_path, ray_is_there):
    """The real worker command; these tasks are damaged, so each ends at once and says so."""
    with pytest.raises(FoldError, match=r"subject-wise fold 0\d failed: the task of a fold .* cannot be read"):
        Engine("ray", address="local").run(tasks, 1, lambda _: None)
    missing = tmp_path / "elsewhere" / "task.json"
    with pytest.raises(FoldError, match=r"the Ray worker .* does not see .*elsewhere; put the run's folder"):
        Engine("ray", address="local").run([missing], 1, lambda _: None)


@pytest.mark.slow
def test_no_cluster_is_one_sentence(tasks, ray_is_there):
    with pytest.raises(FoldError, match="no Ray cluster at --address auto"):
        Engine("ray", address="auto").run(tasks, 1, lambda _: None)
