"""Build the device application as a program of this computer: the board ``host``."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .boards import firmware_dir
from .errors import BuildError, ToolchainMissing

WARNINGS = ("-Wall", "-Wextra", "-Wconversion")
_PLAIN = ("-O2",)
_SANITIZED = (
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
_SHOWN_ERRORS = 3


def host_compiler() -> list[str]:
    """Command of the host's C compiler: ``$CC``, else ``cc``.

    Raises
    ------
    ToolchainMissing
        When it cannot be found.
    """
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(command[0]) is None:
        raise ToolchainMissing(
            f"the C compiler {command[0]} is not on the PATH; install one with `apt install build-essential` "
            "(Debian, Ubuntu) or `xcode-select --install` (macOS), or name another in the variable CC."
        )
    return command


def build_host(work: Path, model: Path, app: Path, *, flags: Sequence[str], sanitize: bool) -> tuple[list[Path], str]:
    """Compile and link all sources below `work`.

    Returns
    -------
    list of Path, str
        The program ``firmware.elf`` and, with GNU ld, its ``firmware.map``; the compiler's warnings.

    Raises
    ------
    ToolchainMissing, BuildError
        No compiler; the compiler's first error lines.
    """
    compiler = host_compiler()
    firmware = firmware_dir()
    folders = {"hal": firmware / "hal", "link": firmware / "link", "model": model / "src", "src": app}
    options = [
        *("-std=c11", *WARNINGS, *(_SANITIZED if sanitize else _PLAIN)),
        *("-ffunction-sections", "-fdata-sections"),
        *(f"-ffile-prefix-map={path}={name}" for name, path in folders.items()),
        *(f"-I{path}" for path in folders.values()),
        '-DTHUMBNET_BOARD="host"',
        *flags,
    ]
    sources = [(name, path) for name, folder in folders.items() for path in _sources(name, folder)]

    def compile_one(source: tuple[str, Path]) -> str:
        name, path = source
        target = work / name / f"{path.stem}.o"
        target.parent.mkdir(exist_ok=True)
        return _run([*compiler, *options, "-c", str(path), "-o", str(target)])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        log = "".join(pool.map(compile_one, sources))
    program, image_map = work / "firmware.elf", work / "firmware.map"
    objects = [str(work / name / f"{path.stem}.o") for name, path in sources]
    gnu = [f"-Wl,--gc-sections,-Map={image_map}"] if sys.platform == "linux" else []
    mode = [option for option in _SANITIZED if option.startswith("-fsan")] if sanitize else []
    log += _run([*compiler, *mode, *objects, *gnu, "-o", str(program)])
    return [path for path in (program, image_map) if path.is_file()], log


def _sources(name: str, folder: Path) -> list[Path]:
    return [folder / "hal_posix.c"] if name == "hal" else sorted(folder.glob("*.c"))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    log = done.stdout + done.stderr
    if done.returncode != 0:
        lines = [line.strip() for line in log.splitlines() if "error" in line or "undefined" in line]
        shown = lines[:_SHOWN_ERRORS] or log.splitlines()[-_SHOWN_ERRORS:]
        raise BuildError(f"the firmware for host does not build: {' | '.join(shown)}")
    return log
