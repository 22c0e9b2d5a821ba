"""What a machine needs for each purpose, what of it is there, and how to get the rest.

A check is data: which purposes want it, how to look, and one remedy per system. Nothing is installed here and
nothing is imported that costs time: Python packages are looked up by metadata, programs by version line.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PURPOSES: dict[str, str] = {
    "host": "generate C and prove it on this machine (`--board host`)",
    "boards": "build firmware with PlatformIO and run it on emulated boards",
    "train": "train, quantize, `run`, `demo` and `predict`",
    "flash": "write firmware to a real board",
    "develop": "run the project's own tests and checks",
}
DEFAULT_PURPOSES = ("host", "boards", "train")

QEMU_MACHINES = ("mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547", "netduinoplus2",
                 "stm32vldiscovery", "microbit")  # fmt: skip
SYSTEMS = ("debian", "macos", "windows")


@dataclass(frozen=True)
class Check:
    """One thing a machine may need.

    Attributes
    ----------
    name : str
        What it is called in the table and in `--json`.
    purposes : tuple of str
        Keys of `PURPOSES` that want it.
    look : callable
        Returns (found, what was found or why not); never raises.
    remedies : mapping
        Command or sentence by system (`debian`, `macos`, `windows`).
    required : bool
        False: it makes things better or is one of several ways, and is never a reason to fail.
    """

    name: str
    purposes: tuple[str, ...]
    look: Callable[[], tuple[bool, str]]
    remedies: Mapping[str, str]
    required: bool = True


@dataclass(frozen=True)
class Finding:
    """The result of one check on this machine."""

    name: str
    found: bool
    detail: str
    required: bool
    purposes: tuple[str, ...]
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {
            "name": self.name,
            "found": self.found,
            "detail": self.detail,
            "required": self.required,
            "purposes": list(self.purposes),
            "remedy": "" if self.found else self.remedy,
        }


def this_system() -> str:
    """Name the system whose remedies apply: `debian` stands for every Linux."""
    return {"Darwin": "macos", "Windows": "windows"}.get(platform.system(), "debian")


def examine(purposes: tuple[str, ...], system: str | None = None) -> list[Finding]:
    """Look for everything that the purposes want.

    Parameters
    ----------
    purposes : tuple of str
        Keys of `PURPOSES`.
    system : str, optional
        Whose remedies to name; default: this machine's.

    Returns
    -------
    list of Finding
        In the order of the checks; `required` already says whether the lack of it is a failure.
    """
    chosen = system or this_system()
    findings = []
    for check in checks():
        if not set(check.purposes) & set(purposes):
            continue
        found, detail = check.look()
        findings.append(
            Finding(check.name, found, detail, check.required, check.purposes, check.remedies.get(chosen, ""))
        )
    return findings


def missing(findings: list[Finding]) -> list[Finding]:
    """Return the findings that keep the purposes from working."""
    return [finding for finding in findings if finding.required and not finding.found]


def program_version(command: str, *arguments: str) -> tuple[bool, str]:
    """Find a program on PATH or beside this Python, and its first version number."""
    path = which(command)
    if path is None:
        return False, f"no {command} on PATH"
    try:
        done = subprocess.run(
            [path, *(arguments or ("--version",))],
            capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"{path} does not start: {error}"
    lines = (done.stdout + done.stderr).strip().splitlines()
    number = re.search(r"\d+(\.\d+)+", " ".join(lines[:3]))
    return done.returncode == 0, f"{number.group(0) if number else 'found'} ({path})"


def which(command: str) -> str | None:
    """Find a program on PATH or among the scripts of this Python environment."""
    return shutil.which(command) or shutil.which(command, path=str(Path(sys.executable).parent))


def _packages(*names: str) -> Callable[[], tuple[bool, str]]:
    def look() -> tuple[bool, str]:
        versions, absent = [], []
        for name in names:
            try:
                versions.append(f"{name} {importlib.metadata.version(name)}")
            except importlib.metadata.PackageNotFoundError:
                absent.append(name)
        if absent:
            return False, f"not installed: {', '.join(absent)}"
        return True, ", ".join(versions)

    return look


def _python() -> tuple[bool, str]:
    version = platform.python_version()
    return (3, 11) <= sys.version_info[:2] <= (3, 13), f"{version} ({sys.executable})"


def _compiler() -> tuple[bool, str]:
    for command in ("cc", "gcc", "clang"):
        found, detail = program_version(command)
        if found:
            return True, detail
    return False, "no cc, gcc or clang on PATH"


def _arm_gcc() -> tuple[bool, str]:
    found, detail = program_version("arm-none-eabi-gcc")
    if not found:
        return False, detail
    path = which("arm-none-eabi-gcc") or "arm-none-eabi-gcc"
    done = subprocess.run(
        [path, "-print-file-name=libc_nano.a"], capture_output=True, text=True, timeout=30, check=False
    )
    if not Path(done.stdout.strip()).is_absolute():
        return False, f"{detail} is there, newlib-nano (libc_nano.a) is not"
    return True, f"{detail}, with newlib-nano"


def _qemu() -> tuple[bool, str]:
    found, detail = program_version("qemu-system-arm")
    if not found:
        return False, detail
    path = which("qemu-system-arm") or "qemu-system-arm"
    done = subprocess.run([path, "-machine", "help"], capture_output=True, text=True, timeout=30, check=False)
    offered = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    lacking = [machine for machine in QEMU_MACHINES if machine not in offered]
    if lacking:
        return False, f"{detail} lacks the machines {', '.join(lacking)}; 7.2 or newer has them"
    return True, f"{detail}, all {len(QEMU_MACHINES)} machines"


def _tflm() -> tuple[bool, str]:
    found, detail = _packages("tflite-micro")()
    return found, detail if found else f"{detail}; the NumPy reference stands in as the oracle"


def _probe() -> tuple[bool, str]:
    tools = [tool for tool in ("openocd", "pyocd") if which(tool)]
    try:
        from serial.tools import list_ports

        ports = [f"{port.device} ({port.description})" for port in list_ports.comports() if port.vid]
    except (ImportError, OSError):
        ports = []
    if tools and ports:
        return True, f"{', '.join(tools)}; {', '.join(ports)}"
    lacks = [
        *(() if tools else ("no openocd or pyocd",)),
        *(() if ports else ("no USB probe or serial port",)),
    ]
    return False, "; ".join(lacks)


def _same(text: str) -> dict[str, str]:
    return dict.fromkeys(SYSTEMS, text)


_LOCKED = _same("pip install --require-hashes -r requirements.lock (or: pip install 'thumbnet[train]')")


def checks() -> tuple[Check, ...]:
    """List everything that is looked for."""
    return (
        Check("python", ("host", "boards", "train", "develop"), _python, {
            "debian": "sudo apt-get install python3 python3-venv (3.11 to 3.13)",
            "macos": "brew install python@3.12",
            "windows": "winget install Python.Python.3.12",
        }),
        Check("python packages", ("host", "boards", "train"), _packages(
            "click", "cobs", "jinja2", "numpy", "pydantic", "pyelftools", "pyserial", "rich"), _LOCKED),
        Check("C compiler", ("host", "develop"), _compiler, {
            "debian": "sudo apt-get install build-essential",
            "macos": "xcode-select --install",
            "windows": "winget install LLVM.LLVM, or use WSL: wsl --install -d Debian",
        }),
        Check("tflite-micro (oracle)", ("host", "boards"), _tflm, {
            "debian": "pip install tflite-micro (x86-64 only)",
            "macos": "no wheel exists; the NumPy reference is used",
            "windows": "no wheel exists; use WSL, or the NumPy reference",
        }, required=False),
        Check("arm-none-eabi-gcc", ("boards", "flash"), _arm_gcc, {
            "debian": "sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
            "macos": "brew install --cask gcc-arm-embedded (or THUMBNET_TOOLS=registry)",
            "windows": "let PlatformIO fetch it: set THUMBNET_TOOLS=registry",
        }),
        Check("qemu-system-arm", ("boards",), _qemu, {
            "debian": "sudo apt-get install qemu-system-arm",
            "macos": "brew install qemu",
            "windows": "winget install SoftwareFreedomConservancy.QEMU, then add its folder to PATH",
        }),
        Check("PlatformIO", ("boards", "flash"), _packages("platformio"),
              _same("pip install platformio==6.2.0")),
        Check("SCons", ("boards", "flash"), _packages("scons"), _same("pip install scons==4.11.1")),
        Check("TensorFlow and signal packages", ("train",), _packages(
            "tensorflow", "tf-keras", "tensorflow-model-optimization", "mne", "edfio", "scikit-learn",
            "scipy", "matplotlib"), _LOCKED),
        Check("debug probe", ("flash",), _probe, {
            "debian": "sudo apt-get install openocd (or pip install pyocd), and plug the board in",
            "macos": "brew install openocd (or pip install pyocd), and plug the board in",
            "windows": "pip install pyocd, install the probe's driver, and plug the board in",
        }),
        Check("test packages", ("develop",), _packages(
            "pytest", "pytest-xdist", "hypothesis", "ruff", "mypy"), _LOCKED),
        Check("cppcheck", ("develop",), lambda: program_version("cppcheck"), {
            "debian": "sudo apt-get install cppcheck",
            "macos": "brew install cppcheck",
            "windows": "winget install Cppcheck.Cppcheck",
        }),
        Check("clang", ("develop",), lambda: program_version("clang"), {
            "debian": "sudo apt-get install clang",
            "macos": "xcode-select --install",
            "windows": "winget install LLVM.LLVM",
        }),
        Check("cmake", ("develop",), lambda: program_version("cmake"), {
            "debian": "sudo apt-get install cmake",
            "macos": "brew install cmake",
            "windows": "winget install Kitware.CMake",
        }, required=False),
    )  # fmt: skip
