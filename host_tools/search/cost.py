"""What a network costs, from the compiler: state exactly, code and weights as linked, instructions as estimated.

State is ``sizeof`` of the generated state struct. Code and weights are those of the model's own objects after the
linker has dropped what nobody calls, built with the flags of the firmware, which is what ``thumbnet profile`` reports
as ``code_bytes`` + ``weight_bytes``; without arm-none-eabi-gcc the compiler's estimate stands in and is labelled so.
Instructions are the compiler's estimate: running every candidate in an emulator would take longer than training it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thumbnet.codegen import CompiledModel, Limits, compile_model
from thumbnet.codegen.errors import OptionError

from ..boards import firmware_dir
from ..build import COMPILER
from ..elf import MODEL_FOLDER, read_footprint
from ..errors import BuildError

LINKED, ESTIMATED = "linked", "estimated"
_FLAGS = ("-std=c11", "-O2", "-ffunction-sections", "-fdata-sections", "-fno-common",
          "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")  # fmt: skip
_LINK = ("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", "-Wl,-e,start")
# Calls what the device application calls, so that the linker keeps the same.
_START = """#include "tn_app_model.h"
static int8_t room[4];
void start(void);
void start(void)
{
    tn_model_state *const state = (tn_model_state *)(void *)room;
    tn_model_reset(state);
#ifdef TN_MODEL_SLICES
    tn_model_push(state, room, 1);
    tn_model_finish(state, room);
#else
    tn_model_run(state, room, room);
#endif
}
"""


@dataclass(frozen=True)
class Cost:
    """What a network takes.

    Attributes
    ----------
    state_bytes : int
        Exact.
    flash_bytes : int
        Code and weights of the model.
    instructions : int
        Of one inference, estimated.
    schedule : str
        How the C walks the network: ``whole``, ``stream-h`` or ``stream-w``.
    flash_source : str
        "linked" or "estimated".
    """

    state_bytes: int
    flash_bytes: int
    instructions: int
    schedule: str
    flash_source: str

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    def excess(self, budgets: Mapping[str, int]) -> dict[str, float]:
        """Share by which each budget is exceeded; 0 and less where it is kept."""
        return {key: getattr(self, key) / limit - 1 for key, limit in budgets.items()}

    def over(self, budgets: Mapping[str, int]) -> str:
        """Words about the budgets that are exceeded; empty where all are kept."""
        broken = [key for key, share in self.excess(budgets).items() if share > 0]
        return ", ".join(f"{key} {getattr(self, key):,} of {budgets[key]:,}" for key in broken)


def measure(tflite: bytes, target: str, schedule: str, budgets: Mapping[str, int]) -> Cost:
    """Compile a model and read what it takes.

    Parameters
    ----------
    tflite : bytes
        An int8 model.
    target : str
        Core.
    schedule : str
        As :func:`thumbnet.codegen.compile_model` takes it; ``auto`` keeps to the budgets where it can, and takes the
        least state where it cannot.
    budgets : mapping
        `state_bytes`, `flash_bytes`, `instructions`; those that count.

    Raises
    ------
    CodegenError, BuildError
        When the model does not compile.
    """
    compiled = _compile(tflite, target, schedule, budgets)
    flash = linked_bytes(compiled)
    return Cost(
        compiled.state_bytes,
        compiled.schedule.flash_bytes if flash is None else flash,
        compiled.schedule.instructions,
        compiled.schedule.name,
        ESTIMATED if flash is None else LINKED,
    )


def _compile(tflite: bytes, target: str, schedule: str, budgets: Mapping[str, int]) -> CompiledModel:
    if schedule != "auto":
        return compile_model(tflite, target=target, schedule=schedule, app=True)
    try:
        # The estimate of flash is too coarse to refuse a schedule by it.
        return compile_model(
            tflite, target=target, schedule="auto", limits=Limits(budgets.get("state_bytes")), app=True
        )
    except OptionError:
        return compile_model(tflite, target=target, schedule="min-ram", app=True)


def linked_bytes(compiled: CompiledModel) -> int | None:
    """Code and weights of a model compiled with ``app=True``, as linked; None where there is no cross compiler.

    Raises
    ------
    BuildError
        When the cross compiler refuses the C.
    """
    core = json.loads((firmware_dir() / "platform" / "cores.json").read_text(encoding="utf-8")).get(compiled.target)
    compiler = shutil.which(COMPILER)
    if core is None or compiler is None:
        return None
    with tempfile.TemporaryDirectory(prefix="thumbnet-") as scratch:
        folder = Path(scratch)
        compiled.write(folder / "generated")
        sources = folder / "generated" / "src"
        start = folder / "start.c"
        start.write_text(_START)
        command = [compiler, *core, *_FLAGS, f"-I{sources}", "-c"]
        (folder / MODEL_FOLDER).mkdir()
        for source in (*sorted(sources.glob("*.c")), start):
            place = folder if source == start else folder / MODEL_FOLDER
            _call([*command, str(source), "-o", str(place / f"{source.stem}.o")])
        objects = [str(path) for path in (*sorted((folder / MODEL_FOLDER).glob("*.o")), folder / "start.o")]
        image = folder / "firmware.elf"
        _call([compiler, *core, *_LINK, f"-Wl,-Map={image.with_suffix('.map')}", *objects, "-o", str(image)])
        found = read_footprint(image)
    return (found.code_bytes or 0) + (found.weight_bytes or 0)


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise BuildError(f"the model's C does not build: {' | '.join(lines[:2])}")
