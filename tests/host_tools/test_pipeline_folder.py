"""The folder of a run: stages are skipped only when nothing changed, and nothing is left half-written."""

import json

import pytest
from thumbnet.host_tools.pipeline.folder import RunError, RunFolder
from thumbnet.host_tools.pipeline.hashing import code_hash, content_hash


def write(name, text):
    def work(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        return {"text": text}

    return work


def test_a_stage_is_up_to_date_until_its_key_or_its_files_change(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "run")
    folder.perform("train", "k1", write("a/model.bin", "one"))
    assert folder.up_to_date("train", "k1")
    assert not folder.up_to_date("train", "k2")
    (folder.path / "a/model.bin").write_text("touched")
    assert not folder.up_to_date("train", "k1")


def test_a_second_process_finds_what_the_first_left(tmp_path):
    RunFolder.create(tmp_path / "run", "run").perform("train", "k", write("model.bin", "one"))
    again = RunFolder.create(tmp_path / "run", "run")
    assert again.up_to_date("train", "k")
    assert again.facts("train") == {"text": "one"}


def test_a_failing_stage_leaves_nothing(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "run")
    folder.perform("train", "k", write("model.bin", "one"))

    def fails(partial):
        (partial / "model.bin").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.perform("train", "k2", fails)
    assert (folder.path / "model.bin").read_text() == "one"
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "model.bin", "run.json"]
    assert folder.up_to_date("train", "k")


def test_a_stage_that_ran_again_removes_what_it_no_longer_makes(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "run")
    folder.perform("plots", "k", write("old.png", "x"))
    folder.perform("plots", "k2", write("new.png", "x"))
    assert not (folder.path / "old.png").exists()


def test_a_file_that_another_stage_makes_now_stays(tmp_path):
    """A folder of an earlier version: what one stage made is made by two."""
    folder = RunFolder.create(tmp_path / "run", "run")
    folder.perform("compress", "k1", write("student.keras", "old"))
    folder.perform("prune", "k1", write("student.keras", "new"))
    folder.perform("compress", "k2", write("model.bundle", "bundle"))
    assert (folder.path / "student.keras").read_text() == "new"
    assert folder.up_to_date("prune", "k1")


def test_stages_of_boards_that_left_the_recipe_are_removed(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "run")
    folder.perform("build:a", "k", write("a.elf", "x"))
    folder.perform("build:b", "k", write("b.elf", "x"))
    folder.forget(keep={"build:b"})
    assert list(folder.stages) == ["build:b"]
    assert not (folder.path / "a.elf").exists()


def test_leftovers_of_a_killed_process_are_swept(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "run")
    folder.save()
    del folder
    (tmp_path / "run" / ".partial-dead").mkdir()
    RunFolder.create(tmp_path / "run", "run")
    assert not (tmp_path / "run" / ".partial-dead").exists()


def test_two_processes_do_not_work_in_one_folder(tmp_path):
    first = RunFolder.create(tmp_path / "run", "run")
    with pytest.raises(RunError, match="another process is working in"):
        RunFolder.create(tmp_path / "run", "run")
    del first
    RunFolder.create(tmp_path / "run", "run")


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=r"holds thesis\.tex but no run\.json"):
        RunFolder.create(tmp_path, "run")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "thumbnet.run/99"}', '{"schema": "thumbnet.run/1"}'])
def test_a_damaged_run_file_is_one_sentence(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json"):
        RunFolder.open(tmp_path)


def test_no_run_at_all(tmp_path):
    with pytest.raises(RunError, match="is not the folder of a run"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(RunError, match="never finished its stage train"):
        RunFolder(tmp_path, "x").facts("train")
    with pytest.raises(RunError, match=r"lacks model\.tflite"):
        RunFolder(tmp_path, "x").output("model.tflite")


def test_run_file_names_schema_and_stages(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "run")
    folder.perform("train", "k", write("model.bin", "one"))
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert content["schema"] == "thumbnet.run/1"
    assert list(content["stages"]["train"]["outputs"]) == ["model.bin"]


def test_hashes_see_values_and_the_order_of_channels():
    assert content_hash({"a": 1, "b": [2]}) == content_hash({"a": 1, "b": [2]})
    assert content_hash({"EOG": 1, "EMG": 2}) != content_hash({"EMG": 2, "EOG": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})


def test_code_hash_tells_rooms_apart():
    assert code_hash("codegen") != code_hash("quantize")
    assert code_hash("host_tools/pipeline") == code_hash("host_tools/pipeline")
