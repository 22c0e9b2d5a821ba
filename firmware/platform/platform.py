"""The thumbnet platform: decides where SCons, compiler and flashing tools come from."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import semantic_version
from platformio.dependencies import get_core_dependencies
from platformio.exception import UserSideException
from platformio.package.manager.core import get_core_package_dir
from platformio.platform.base import PlatformBase

TOOLCHAIN = "toolchain-gccarmnoneeabi"
COMPILER = "arm-none-eabi-gcc"
SIDES = ("auto", "system", "registry")


class ThumbnetPlatform(PlatformBase):
    """Takes each tool from PlatformIO's packages, else from this computer, else from the registry.

    ``THUMBNET_TOOLS=system`` never asks the registry and fails at once; ``registry`` ignores this computer.
    """

    def is_embedded(self):
        """Boards that exist in QEMU only have no upload stage."""
        return self._upload_protocol() not in (None, "qemu")

    def configure_project_packages(self, env, targets=None):
        """Remember the environment: Core tells it here when it installs, and elsewhere when it builds."""
        self.project_env = env
        super().configure_project_packages(env, targets)

    def configure_default_packages(self, options, targets):
        """Settle all tools; Core calls this before it looks for SCons or installs anything."""
        side = os.environ.get("THUMBNET_TOOLS") or "auto"
        if side not in SIDES:
            raise UserSideException(f"THUMBNET_TOOLS: must be one of {', '.join(SIDES)}, not {side!r}.")
        super().configure_default_packages(options, targets)
        if side != "registry":
            self._settle_scons(side)
            self._settle_compiler(side)
        self._settle_uploader(side)

    def _upload_protocol(self):
        if not self.project_env:
            return None
        section = f"env:{self.project_env}"
        chosen = self.config.get(section, "upload_protocol", None)
        board = self.config.get(section, "board", None)
        return chosen or (self.board_config(board).get("upload.protocol", None) if board else None)

    def _settle_scons(self, side):
        if get_core_package_dir("tool-scons", auto_install=False):
            return
        wanted = get_core_dependencies()["tool-scons"]
        version = _scons_as_package_version()
        if version and semantic_version.Version(version) in semantic_version.SimpleSpec(wanted):
            _write_scons_package(Path(self.pm.package_dir), version)
        elif side == "system":
            raise UserSideException(
                f"THUMBNET_TOOLS=system: PlatformIO's Python has no SCons that fits tool-scons {wanted}; "
                "run `pip install scons==4.11.1` there."
            )

    def _settle_compiler(self, side):
        custom = " ".join(self._custom_packages or [])
        if side == "auto" and (TOOLCHAIN in custom or self.get_package(TOOLCHAIN)):
            return
        if _has_system_compiler():
            self.packages.pop(TOOLCHAIN)
        elif side == "system":
            raise UserSideException(
                f"THUMBNET_TOOLS=system: no {COMPILER} with newlib-nano on the PATH; install it with "
                "`apt install gcc-arm-none-eabi libnewlib-arm-none-eabi` (Debian, Ubuntu) or "
                "`brew install --cask gcc-arm-embedded` (macOS)."
            )

    def _settle_uploader(self, side):
        """PlatformIO's openocd is fetched only for an upload that uses it and finds no other."""
        here = side != "registry" and shutil.which("openocd")
        if here or side == "system" or self._upload_protocol() != "openocd":
            self.packages.pop("tool-openocd", None)


def _has_system_compiler():
    compiler = shutil.which(COMPILER)
    if not compiler:
        return False
    answer = subprocess.run([compiler, "-print-file-name=libc_nano.a"], capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip()).is_absolute()


def _scons_as_package_version():
    """SCons X.Y.Z is tool-scons 4.XYYZZ.0."""
    try:
        major, minor, patch = (int(part) for part in importlib.metadata.version("scons").split(".")[:3])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    return f"4.{major}{minor:02d}{patch:02d}.0"


def _write_scons_package(packages, version):
    """Make the installed SCons look like PlatformIO's package; several builds may do so at once."""
    files = {
        "package.json": json.dumps({"name": "tool-scons", "version": version, "description": "Installed SCons"}),
        ".piopm": json.dumps(
            {
                "type": "tool",
                "name": "tool-scons",
                "version": version,
                "spec": {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None},
            }
        ),
        "scons.py": "import SCons.Script\n\nSCons.Script.main()\n",
    }
    packages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=packages, prefix=".tool-scons-") as folder:
        made = Path(folder) / "tool-scons"
        made.mkdir()
        for name, text in files.items():
            (made / name).write_text(text, encoding="utf-8")
        target = packages / "tool-scons"
        try:
            made.rename(target)
        except OSError:
            if not (target / "scons.py").is_file():
                raise
