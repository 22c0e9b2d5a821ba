"""`thumbnet parity`: prove that a board computes what the oracle computes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import (
    PATH,
    choose_board,
    json_option,
    max_ram_option,
    model_argument,
    schedule_option,
    workdir_option,
    working_folder,
)

if TYPE_CHECKING:
    from ..errors import HostToolsError
    from ..modelfile import ModelFile
    from ..parity_run import ParityResult
    from ..signals import Front
    from ..windows import Windows

_DEFAULT_WINDOWS = 16


@click.command("parity")
@model_argument
@click.option(
    "--board",
    "boards",
    multiple=True,
    required=True,
    metavar="BOARD",
    help="Board to run on: `host`, a board's name, or `all`; give it several times to run several.",
)
@click.option(
    "--windows",
    "count",
    type=click.IntRange(min=1),
    default=None,
    help=f"Windows to run.  [default: {_DEFAULT_WINDOWS}, or all of --inputs]",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, help="Seed of the random windows.")
@click.option(
    "--inputs",
    "inputs",
    type=PATH,
    multiple=True,
    help="Windows from a .npy file (one option per model input): codes of the input's type, or real "
    "numbers as the float model takes them (with a bundle: in the unit of its channels).",
)
@click.option(
    "--signals",
    "signals",
    metavar="FILE",
    help="Run the preprocessing of this declaration (JSON, or `bundle` for the model's own) on the device too; "
    "windows are then samples of the converter, and the model streams.",
)
@click.option("--recording", type=PATH, help="With --signals: windows from the digital samples of this EDF file.")
@click.option("--labels", type=PATH, help="Class of each window (.npy), to report accuracy.")
@click.option("--float", "float_model", type=PATH, help="Float .tflite or Keras model, to report agreement.")
@click.option("--layers", "every_layer", is_flag=True, help="Compare every layer of every window, not only outputs.")
@click.option("--sources", type=PATH, help="Prove the generated C in this folder instead of fresh C.")
@click.option("--port", help="Serial port of a real board, flashed with this model before (thumbnet flash).")
@click.option(
    "--oracle",
    "engine",
    type=click.Choice(["auto", "tflm", "numpy"]),
    default="auto",
    help="What to compare with: TensorFlow Lite Micro, or the NumPy reference.",
)
@click.option("--junit", type=PATH, help="Write the result as JUnit XML too.")
@click.option("--jobs", type=click.IntRange(min=1), help="Boards at a time.  [default: one per processor core]")
@schedule_option
@max_ram_option
@workdir_option
@json_option
def command(boards: tuple[str, ...], junit: Path | None, as_json: bool, **options: Any) -> int:
    """Compare every output byte of MODEL on a board with TensorFlow Lite Micro.

    Generates the C for the board's core, builds the firmware, runs the windows on the device and compares.
    On a mismatch, names the first layer that differs. Exits with 1 when anything differs.
    """  # fmt: skip
    from .. import jsonout
    from ..junit import write_junit

    with jsonout.quiet_stdout(as_json):
        names, results, payloads = _run(boards, **options)
    if junit is not None:
        write_junit(junit, results, names)
    if as_json:
        _emit(payloads)
    else:
        _print(results, payloads)
    return _exit_code(results)


command.epilog = "The seed and the number of a window alone decide its bytes, on every machine."


def _run(
    boards: tuple[str, ...],
    *,
    model: Path,
    count: int | None,
    seed: int,
    inputs: tuple[Path, ...],
    signals: str | None,
    recording: Path | None,
    labels: Path | None,
    float_model: Path | None,
    every_layer: bool,
    sources: Path | None,
    port: str | None,
    schedule: str,
    max_ram: int | None,
    engine: str,
    jobs: int | None,
    workdir: Path | None,
) -> tuple[list[str], list[ParityResult | HostToolsError], list[dict[str, Any]]]:
    from ..errors import HostToolsError
    from ..floatmodel import open_float_model
    from ..modelfile import read_model
    from ..oracle import open_oracle
    from ..parity import Expected
    from ..parity_run import ParityPlan, accuracy, agreement, float_classes, run_boards
    from ..progress import progress_bars
    from ..signals import schedule_behind
    from ..windows import load_labels

    if port is not None and len(_expand(boards)) > 1:
        raise HostToolsError("--port is one board's: give one --board with it")
    chosen = [choose_board(name) for name in _expand(boards)]
    given = read_model(model)
    if signals is None:
        front, windows = None, _windows(given, inputs, count, seed)
    else:
        front = _front(given, signals, schedule, inputs, recording, count, seed)
        windows, schedule = front.windows, schedule_behind(front.plan, schedule)
    classes = load_labels(labels, len(windows)) if labels else None
    named = float_classes(open_float_model(float_model), windows.real, len(windows)) if float_model else None
    oracle = open_oracle(given.tflite, engine)
    expected = Expected(front.behind(oracle) if front else oracle, windows)
    with working_folder(workdir) as folder, progress_bars() as new_task:
        before = front.plan if front else None
        plan = ParityPlan(given, expected, folder, sources, every_layer, port, schedule, before, max_ram)
        results = run_boards(plan, chosen, new_task, jobs)
    payloads = []
    for board, result in zip(chosen, results, strict=True):
        if isinstance(result, HostToolsError):
            payloads.append({"board": board.name, "error": str(result)})
            continue
        payload = result.to_dict()
        payload["seed"] = None if inputs else seed
        payload["accuracy"] = None if classes is None else accuracy(result, classes)
        payload["signals"] = None if front is None else front.to_dict()
        payload["float_agreement"] = None if named is None else agreement(result, named)
        payloads.append(payload)
    return [board.name for board in chosen], results, payloads


def _expand(boards: tuple[str, ...]) -> list[str]:
    from ..boards import boards as known

    if "all" in boards:
        return [name for name in known() if name != "host"]
    return list(dict.fromkeys(boards))


def _windows(model: ModelFile, inputs: tuple[Path, ...], count: int | None, seed: int) -> Windows:
    from thumbnet.codegen import compile_model

    from ..windows import RandomWindows, load_windows

    # Also the first, cheap judgement of the model: the wheel's own parser trusts its bytes.
    specs = compile_model(model.tflite, target="host").inputs
    if inputs:
        scaling = model.bundle.scale if model.bundle else None
        return load_windows(inputs, specs, count, scaling)
    return RandomWindows(specs, count or _DEFAULT_WINDOWS, seed)


def _front(
    model: ModelFile,
    source: str,
    schedule: str,
    inputs: tuple[Path, ...],
    recording: Path | None,
    count: int | None,
    seed: int,
) -> Front:
    from ..errors import HostToolsError
    from ..signals import open_front

    if inputs:
        raise HostToolsError("--inputs are prepared windows: with --signals give --recording, or neither")
    return open_front(model, source, schedule, recording, count, _DEFAULT_WINDOWS, seed)


def _emit(payloads: list[dict[str, Any]]) -> None:
    from .. import jsonout

    if len(payloads) == 1 and "error" not in payloads[0]:
        jsonout.emit("parity/1", payloads[0])
        return
    mismatches = sum(payload.get("mismatches", 0) for payload in payloads)
    passed = all(payload.get("passed", False) for payload in payloads)
    jsonout.emit("parity-boards/1", {"passed": passed, "mismatches": mismatches, "boards": payloads})


def _print(results: list[ParityResult | HostToolsError], payloads: list[dict[str, Any]]) -> None:
    from ..errors import HostToolsError
    from ..parity_text import print_results

    done = [(r, p) for r, p in zip(results, payloads, strict=True) if not isinstance(r, HostToolsError)]
    print_results([result for result, _ in done], [payload for _, payload in done])


def _exit_code(results: list[ParityResult | HostToolsError]) -> int:
    from ..errors import HostToolsError

    failed = [result for result in results if isinstance(result, HostToolsError)]
    for error in failed:
        print(f"thumbnet: error: {error}", file=sys.stderr)
    if failed:
        return 2
    return 0 if all(not isinstance(r, HostToolsError) and r.passed for r in results) else 1
