"""Build the device application around a generated model: PlatformIO for boards, the C compiler for the host.

A build is a function of its inputs: the hash of all sources, flags and the compiler's version names it in a
cache, and a second build of the same thing is a copy. Several builds may run at the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .boards import Board, firmware_dir, get_board
from .errors import BuildError, ToolchainMissing
from .hostbuild import build_host, host_compiler

COMPILER = "arm-none-eabi-gcc"
TIMEOUT_S = 900
"""Longest build; a first one with ``THUMBNET_TOOLS=registry`` may fetch the compiler."""
KEPT_DAYS = 30
"""Age at which a build leaves the cache."""

_COMPILER_REMEDY = (
    "install it with `apt install gcc-arm-none-eabi libnewlib-arm-none-eabi` (Debian, Ubuntu) or "
    "`brew install --cask gcc-arm-embedded` (macOS), or set THUMBNET_TOOLS=auto to let PlatformIO fetch it."
)
_ERROR_LINE = re.compile(r"(: (fatal )?[eE]rror: |undefined reference|multiple definition|overflowed by|^Error: )")
_OVERFLOW = re.compile(r"region `(FLASH|RAM)' overflowed by (\d+) bytes")
_SHOWN_ERRORS = 3


@dataclass(frozen=True)
class BuildResult:
    """A finished build.

    Attributes
    ----------
    elf : Path
        The image, or the program on the host.
    map : Path or None
        The linker's map beside it; None where the host's linker writes none.
    log : str
        What the build tools said.
    """

    elf: Path
    map: Path | None
    log: str


@dataclass(frozen=True)
class _Inputs:
    """All that decides the bytes of a build."""

    board: Board
    model: Path
    app: Path
    flags: tuple[str, ...]
    sanitize: bool
    compiler: str

    def key(self) -> str:
        digest = hashlib.sha256()
        facts = [self.board.name, *self.flags, f"sanitize={self.sanitize}", self.compiler]
        digest.update("\0".join(facts).encode())
        firmware = firmware_dir()
        for root in (
            self.model / "src",
            self.app,
            *(firmware / name for name in ("hal", "link", "platform")),
        ):
            digest.update(b"\0folder\0")
            for path in sorted(root.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                    digest.update(f"{path.relative_to(root).as_posix()}\0{content}\0".encode())
        digest.update((firmware / "platformio.ini").read_bytes())
        return digest.hexdigest()[:32]


def build_firmware(
    model_dir: Path | str,
    board: Board | str,
    *,
    observe: bool = False,
    workdir: Path | str | None = None,
    extra_flags: Sequence[str] = (),
    sanitize: bool = False,
    app_dir: Path | str | None = None,
) -> BuildResult:
    """Build the firmware of one board.

    Parameters
    ----------
    model_dir : path
        Generated model library (with ``app=True``): a folder with ``src/tn_app_model.h``.
    board : Board or str
        The board; ``host`` makes a program for this computer with ``$CC`` (default ``cc``).
    observe : bool
        Let the image report every layer's output (``TN_OBSERVE``).
    workdir : path, optional
        Where to put ``firmware.elf``, ``firmware.map`` and ``build.log``; default: a place in the cache.
    extra_flags : sequence of str
        More compiler flags, none with white space.
    sanitize : bool
        Host only: AddressSanitizer and UndefinedBehaviorSanitizer, every finding fatal.
    app_dir : path, optional
        Application to build in place of the device application.

    Returns
    -------
    BuildResult
        Image, map and log.

    Raises
    ------
    ToolchainMissing
        When compiler or PlatformIO are not installed.
    BuildError
        When the model folder is none, or the tools refuse the sources; with their first error lines.
    """
    board = get_board(board) if isinstance(board, str) else board
    model = Path(model_dir).resolve()
    if not (model / "src" / "tn_app_model.h").is_file():
        raise BuildError(f"model: {model} is not a generated model library: no src/tn_app_model.h there.")
    if sanitize and not board.is_host:
        raise BuildError(f"sanitize: only the board host can, not {board.name}.")
    app = Path(app_dir).resolve() if app_dir else firmware_dir() / "src"
    flags = (*(["-DTN_OBSERVE=1"] if observe else []), *extra_flags)
    inputs = _Inputs(board, model, app, flags, sanitize, _compiler_version(board))
    stored = cache_dir() / "builds" / inputs.key()
    if not (stored / "build.log").is_file():
        _build_into(stored, inputs)
    folder = stored if workdir is None else _copy(stored, Path(workdir))
    image_map = folder / "firmware.map"
    return BuildResult(
        elf=folder / "firmware.elf",
        map=image_map if image_map.is_file() else None,
        log=(folder / "build.log").read_text(encoding="utf-8"),
    )


def cache_dir() -> Path:
    """Folder for builds and PlatformIO's own files: ``$THUMBNET_CACHE``, or thumbnet in the user's cache."""
    chosen = os.environ.get("THUMBNET_CACHE")
    if chosen:
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "thumbnet"


def _build_into(stored: Path, inputs: _Inputs) -> None:
    """Build beside the final place, then move: a finished entry is whole, whoever else builds the same."""
    stored.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=stored.parent) as work:
        if inputs.board.is_host:
            made, log = build_host(Path(work), inputs.model, inputs.app, flags=inputs.flags, sanitize=inputs.sanitize)
        else:
            made, log = _build_with_platformio(Path(work), inputs)
        result = Path(work) / "result"
        result.mkdir()
        for path in made:
            shutil.copy2(path, result / path.name)
        (result / "build.log").write_text(log, encoding="utf-8")
        try:
            result.rename(stored)
        except OSError:
            if not (stored / "build.log").is_file():
                raise
    _forget_old(stored.parent)


def _forget_old(builds: Path) -> None:
    """Remove builds that were made long ago, so that the cache does not grow for ever."""
    oldest = time.time() - KEPT_DAYS * 86400
    for entry in builds.iterdir():
        with contextlib.suppress(OSError):
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry)


def _copy(stored: Path, workdir: Path) -> Path:
    workdir.mkdir(parents=True, exist_ok=True)
    for path in stored.iterdir():
        # A new file, not new content: a device may be running from the old one.
        fresh = workdir / f".{path.name}.new"
        shutil.copy2(path, fresh)
        fresh.replace(workdir / path.name)
    return workdir


def _build_with_platformio(work: Path, inputs: _Inputs) -> tuple[list[Path], str]:
    board = inputs.board.name
    command = [sys.executable, "-m", "platformio", "run", "-d", str(firmware_dir()), "-e", board, "-j", "2"]
    try:
        done = subprocess.run(
            command,
            env=_platformio_environment(work, inputs),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildError(f"PlatformIO did not finish {board} within {TIMEOUT_S} s.") from None
    if done.returncode != 0:
        raise BuildError(_failure(inputs.board, done.stdout))
    made = work / "build" / board
    return [made / "firmware.elf", made / "firmware.map"], done.stdout


def _platformio_environment(work: Path, inputs: _Inputs) -> dict[str, str]:
    """The caller's environment without PlatformIO settings of another project, and without network chatter."""
    kept = ("PLATFORMIO_CORE_DIR", "PLATFORMIO_PACKAGES_DIR")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith(("PLATFORMIO_", "THUMBNET_"))
    }
    # Two PlatformIO that set up one folder at once trip over each other. With the system's tools there is nothing in
    # it worth keeping; with the registry's there are downloads.
    private = _tools_side() == "system"
    environment.setdefault("PLATFORMIO_CORE_DIR", str(work / "core" if private else cache_dir() / "platformio"))
    return environment | {
        "PLATFORMIO_WORKSPACE_DIR": str(work),
        "PLATFORMIO_SRC_DIR": str(inputs.app),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
        "THUMBNET_MODEL_DIR": str(inputs.model),
        "THUMBNET_BUILD_FLAGS": shlex.join(inputs.flags),
        "THUMBNET_TOOLS": _tools_side(),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _tools_side() -> str:
    return os.environ.get("THUMBNET_TOOLS") or "system"


def _compiler_version(board: Board) -> str:
    """Version line of the compiler that will be used.

    Raises
    ------
    ToolchainMissing
        When there is none, and nothing allows PlatformIO to fetch one.
    """
    if board.is_host:
        return _version_line(host_compiler())
    if importlib.util.find_spec("platformio") is None:
        raise ToolchainMissing("PlatformIO is not installed; run `pip install platformio==6.2.0`.")
    compiler = shutil.which(COMPILER)
    if _tools_side() != "system":
        return f"{_tools_side()} {_version_line([compiler]) if compiler else ''}"
    if compiler is None:
        raise ToolchainMissing(f"{COMPILER} is not on the PATH; {_COMPILER_REMEDY}")
    libc = subprocess.run([compiler, "-print-file-name=libc_nano.a"], capture_output=True, text=True, check=False)
    if not Path(libc.stdout.strip()).is_absolute():
        raise ToolchainMissing(f"{compiler} comes without newlib-nano; {_COMPILER_REMEDY}")
    return _version_line([compiler])


def _version_line(compiler: list[str]) -> str:
    done = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False)
    return f"{' '.join(compiler)}: {done.stdout.partition(chr(10))[0]}"


def _failure(board: Board, log: str) -> str:
    """One sentence on why a build failed, from its log."""
    overflows = dict(_OVERFLOW.findall(log))
    if overflows:
        room = {"FLASH": board.flash_bytes, "RAM": board.ram_bytes}
        parts = [f"{name} by {over} bytes (of {room[name]})" for name, over in sorted(overflows.items())]
        return f"the firmware does not fit {board.name}: it overflows {' and '.join(parts)}."
    lines = [line.strip() for line in log.splitlines() if _ERROR_LINE.search(line)]
    shown = lines[:_SHOWN_ERRORS] or [line for line in log.splitlines() if line.strip()][-_SHOWN_ERRORS:]
    return f"the firmware for {board.name} does not build: {' | '.join(shown)}"
