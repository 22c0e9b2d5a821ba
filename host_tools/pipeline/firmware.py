"""Stages `generate`, `build`, `parity` and `profile`: from the int8 model to proof and cost on every board."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thumbnet.codegen import GENERATOR, CompiledModel, Limits, analyze_model, compile_model
from thumbnet.codegen.mixture import is_mixture
from thumbnet.codegen.signals import SignalPlan
from thumbnet.codegen.signals.application import compile_with_signals, signal_files

from ..elf import Footprint, Symbol, read_footprint
from ..limits import limits_for
from ..oracle import open_oracle
from ..parity import Expected
from ..parity_run import ParityPlan, run_board
from ..profile import profile_model
from ..signals import schedule_behind
from ..windows import load_windows
from ..workbench import Workbench
from .context import Run
from .hashing import versions
from .samples import SAMPLES, Behind, open_samples

if TYPE_CHECKING:
    from ..boards import Board

PARITY_WINDOWS = "parity_windows.npy"
_BUILD_CODE = ("codegen", "firmware", "host_tools/build.py", "host_tools/hostbuild.py", "host_tools/elf.py",
               "host_tools/workbench.py")  # fmt: skip
_DEVICE_CODE = (*_BUILD_CODE, "host_tools/link", "host_tools/devices", "host_tools/tensors.py")
_PARITY_CODE = (*_DEVICE_CODE, "host_tools/parity.py", "host_tools/parity_run.py", "host_tools/oracle.py",
                "host_tools/windows.py", "host_tools/signals.py", "host_tools/pipeline/samples.py")  # fmt: skip
_PROFILE_CODE = (*_DEVICE_CODE, "host_tools/profile.py", "host_tools/signals.py")


def generate(run: Run) -> None:
    """Write the C of the model once for each core among the boards."""
    prefix = run.recipe.codegen.prefix
    signals, schedule = _product(run)
    for board in {board.target: board for board in reversed(run.boards)}.values():
        target = board.target

        def work(folder: Path, board: Board = board, target: str = target) -> dict[str, Any]:
            def alone(limits: Limits) -> CompiledModel:
                return compile_model(run.model.tflite, target=target, prefix=prefix, schedule=schedule, limits=limits)

            limits = limits_for(schedule, board, run.recipe.codegen.max_ram)
            if signals is None:
                compiled = alone(limits)
            else:
                compiled, _ = compile_with_signals(alone, limits, signals, GENERATOR)
                beside = signal_files(compiled, signals, GENERATOR)
                compiled = replace(compiled, files={**compiled.files, **beside})
            compiled.write(folder / "generated" / target)
            # Preprocessing is a layer of the firmware, behind the model's, and of no operator.
            nodes = [layer.node for layer in compiled.layers] + ([] if signals is None else [-1])
            notes = list(compiled.explanation.notes) if is_mixture(run.model.tflite) else []
            return {"macs": compiled.macs, "state_bytes": compiled.state_bytes, "nodes": nodes, "notes": notes}

        depends = {"model": run.model.sha256, "target": target, "prefix": prefix, "schedule": schedule,
                   "signals": None if signals is None else signals.to_dict(), **_limit(run),
                   **({"board": board.name} if schedule == "auto" else {})}  # fmt: skip
        run.stage(f"generate:{target}", depends, ("codegen", "firmware/kernels"), work)


def boards(run: Run) -> None:
    """Build, prove and profile on all boards at once.

    Raises
    ------
    HostToolsError
        The first board's failure, after the others have finished.
    """
    expected, behind = _expected(run)
    with tempfile.TemporaryDirectory(prefix="thumbnet-", ignore_cleanup_errors=True) as scratch:
        workers = max(1, min(len(run.boards), os.cpu_count() or 1))
        with ThreadPoolExecutor(workers, thread_name_prefix="board") as pool:
            jobs = [pool.submit(_one_board, run, board, expected, behind, Path(scratch)) for board in run.boards]
        for job in jobs:
            job.result()


def _expected(run: Run) -> tuple[Expected, Behind | None]:
    """Open the oracle with the held-out windows, prepared and as samples; it computes only what a board asks for."""
    inputs = analyze_model(run.model.tflite).inputs
    windows = load_windows([run.folder.output(PARITY_WINDOWS)], inputs, None)
    # An oracle each: they are locked apart.
    return Expected(open_oracle(run.model.tflite), windows), open_samples(run, open_oracle(run.model.tflite))


def _one_board(run: Run, board: Board, expected: Expected, behind: Behind | None, scratch: Path) -> None:
    _build(run, board, scratch)
    _parity(run, board, expected, behind, scratch)
    _profile(run, board, scratch)


def _build(run: Run, board: Board, scratch: Path) -> None:
    def work(folder: Path) -> dict[str, Any]:
        signals, schedule = _product(run)
        limit = run.recipe.codegen.max_ram
        bench = Workbench(run.model, board, scratch / board.name, schedule=schedule, signals=signals, max_ram=limit)
        built = bench.elf()
        (folder / "firmware").mkdir()
        elf = folder / "firmware" / f"{board.name}.elf"
        shutil.copyfile(built, elf)
        elf.chmod(0o755)
        footprint = read_footprint(built)
        return {"flash_bytes": footprint.flash_bytes, "ram_bytes": footprint.ram_bytes,
                "memory": _memory(footprint) if not board.is_host else {"flash": [], "ram": []}}  # fmt: skip

    signals, schedule = _product(run)
    depends = {
        "model": run.model.sha256,
        "board": board.name,
        "schedule": schedule,
        "signals": None if signals is None else signals.to_dict(),
        "compiler": _compiler_version(board),
        **_limit(run),
    }
    run.stage(f"build:{board.name}", depends, _BUILD_CODE, work)


def _product(run: Run) -> tuple[SignalPlan | None, str]:
    """Preprocessing that the bundle declares, and the schedule of the model behind it: what a product would carry."""
    bundle, schedule = run.model.bundle, run.recipe.codegen.schedule
    if bundle is None or bundle.signals is None:
        return None, schedule
    plan = SignalPlan.from_dict(bundle.signals)
    return plan, schedule_behind(plan, schedule)


def _limit(run: Run) -> dict[str, int]:
    """What a stage depends on besides, where the recipe limits the state; other runs stay up to date."""
    limit = run.recipe.codegen.max_ram
    return {} if limit is None else {"max_ram": limit}


def _compiler_version(board: Board) -> str:
    from ..doctor import program_version

    return program_version("cc" if board.is_host else "arm-none-eabi-gcc")[1]


def _parity(run: Run, board: Board, expected: Expected, behind: Behind | None, scratch: Path) -> None:
    def work(folder: Path) -> dict[str, Any]:
        limit = run.recipe.codegen.max_ram
        plan = ParityPlan(run.model, expected, scratch / "windows", schedule=_product(run)[1], max_ram=limit)
        facts = run_board(plan, board, run.new_task).to_dict()
        if behind is not None:
            facts["signals"] = behind.run(board, scratch / "behind", run.new_task)
        return _note(folder, "parity", board, facts)

    depends = {
        "elf": run.output_hash(f"build:{board.name}", f"firmware/{board.name}.elf"),
        "windows": run.output_hash("compress", PARITY_WINDOWS),
        "oracle": expected.oracle_name,
        "signals": None if behind is None else [behind.front.plan.to_dict(), run.output_hash("compress", SAMPLES)],
    }
    run.stage(f"parity:{board.name}", depends, _PARITY_CODE, work)


def _profile(run: Run, board: Board, scratch: Path) -> None:
    def work(folder: Path) -> dict[str, Any]:
        signals, schedule = _product(run)
        limit = run.recipe.codegen.max_ram
        profile = profile_model(
            run.model, board, scratch / board.name, schedule=schedule, signals=signals, max_ram=limit
        )
        return _note(folder, "profile", board, profile.to_dict())

    depends = {
        "elf": run.output_hash(f"build:{board.name}", f"firmware/{board.name}.elf"),
        "versions": versions(["tflite-micro"]),
    }
    run.stage(f"profile:{board.name}", depends, _PROFILE_CODE, work)


def _note(folder: Path, kind: str, board: Board, facts: dict[str, Any]) -> dict[str, Any]:
    """Keep the whole result as a file too."""
    (folder / kind).mkdir()
    text = json.dumps({"schema": f"thumbnet.{kind}/1", **facts}, indent=1, allow_nan=False)
    (folder / kind / f"{board.name}.json").write_text(text + "\n", encoding="utf-8")
    return facts


def _memory(footprint: Footprint) -> dict[str, list[dict[str, Any]]]:
    """Symbols in flash and in RAM with what they belong to; what no symbol claims is `padding and tables`."""
    places = {section.name: section.place for section in footprint.sections}
    flash: list[dict[str, Any]] = []
    ram: list[dict[str, Any]] = []
    for symbol in footprint.symbols:
        row = {"name": symbol.name, "kind": _kind(symbol), "bytes": symbol.size}
        place = places.get(symbol.section, "")
        if place in ("flash", "both"):
            flash.append(row)
        if place in ("ram", "both"):
            ram.append({**row, "kind": "state" if symbol.size * 2 > footprint.ram_bytes else row["kind"]})
    for rows, total in ((flash, footprint.flash_bytes), (ram, footprint.ram_bytes)):
        rest = total - sum(int(row["bytes"]) for row in rows)
        if rest > 0:
            rows.append({"name": "without a symbol", "kind": "other", "bytes": rest})
    return {"flash": flash, "ram": ram}


# Where an object file lies says whose it is; the first folder that fits decides.
_KINDS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda name: name.startswith("model/tn_") and not name.startswith("model/tn_app"), "kernels"),
    (lambda name: name.startswith("model/"), "model"),
    (lambda name: name.startswith("link/"), "link"),
    (lambda name: name.startswith(("src/", "app/")), "application"),
    (lambda name: name.startswith(("hal/", "support/", "board/")), "board"),
    (lambda name: ":" in name, "library"),
)


def _kind(symbol: Symbol) -> str:
    for fits, kind in _KINDS:
        if fits(symbol.object):
            return "weights" if kind == "model" and symbol.kind == "object" else kind
    return "other"
