"""Set-up by make, on a machine made of stand-ins: what it installs, what it says, and that it does it once.

Nothing is downloaded here; apt-get, Python and the tools are small scripts that note how they were called.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAIN_TOOLS = tuple("bash sh env grep sed column mkdir touch cp chmod cat ln rm find uname dirname".split())

PYTHON = """#!/bin/bash
echo "python $*" >> "$LOG"
case "$*" in
    "--version") echo "Python 3.11.2" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"-e ."*)
        printf '#!/bin/bash\\necho "thumbnet $*" >> "$LOG"\\n' > "$(dirname "$0")/thumbnet"
        chmod +x "$(dirname "$0")/thumbnet" ;;
esac
"""
APT = '#!/bin/bash\necho "apt-get $*" >> "$LOG"\n'
GCC = "#!/bin/bash\necho /usr/lib/libc_nano.a\n"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


class Machine:
    """A folder with a copy of the Makefile and a PATH of its own."""

    def __init__(self, folder: Path):
        self.project, self.bin, self.log = folder / "thumbnet", folder / "bin", folder / "log"
        self.project.mkdir()
        self.bin.mkdir()
        self.log.touch()
        for name in ("Makefile", "requirements.lock", "pyproject.toml", "setup.py"):
            shutil.copyfile(ROOT / name, self.project / name)
        for name in PLAIN_TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        self.user(root=True)

    def script(self, name, text="#!/bin/bash\n"):
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def user(self, root):
        self.script("id", f"#!/bin/bash\necho {0 if root else 1000}\n")

    def with_tools(self):
        for name in ("cc", "qemu-system-arm", "cppcheck", "clang", "cmake"):
            self.script(name)
        self.script("arm-none-eabi-gcc", GCC)
        self.script("python3.11", PYTHON)

    def make(self, *words):
        environment = {"PATH": str(self.bin), "LOG": str(self.log), "HOME": str(self.project)}
        command = [shutil.which("make"), "-C", str(self.project), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        calls = self.log.read_text().splitlines()
        self.log.write_text("")
        return done, calls


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_help_names_the_targets(machine):
    done, _ = machine.make("help")
    assert done.returncode == 0
    for target in ("demo", "test", "test-all", "lint", "typecheck", "clean"):
        assert f"make {target} " in done.stdout


def test_demo_on_a_ready_machine_installs_from_the_lock_and_runs(machine):
    machine.with_tools()
    done, calls = machine.make("demo")
    assert done.returncode == 0, done.stderr
    assert "python -m pip install -q --require-hashes -r requirements.lock" in calls
    assert "python -m pip install -qq --no-build-isolation --no-deps -e ." in calls
    assert calls[-1].split() == ["thumbnet", "demo"]
    assert "==> locked Python dependencies" in done.stdout


def test_a_second_time_installs_nothing(machine):
    machine.with_tools()
    machine.make("demo")
    done, calls = machine.make("demo", "BOARD=host", "ARGS=--json")
    assert done.returncode == 0
    assert [call.split() for call in calls if "python -c" not in call] == [
        ["thumbnet", "demo", "--board", "host", "--json"]
    ]


def test_a_changed_lock_installs_again(machine):
    machine.with_tools()
    machine.make("demo")
    later = (machine.project / ".venv" / ".thumbnet-installed").stat().st_mtime + 10
    os.utime(machine.project / "requirements.lock", (later, later))
    _, calls = machine.make("demo")
    assert any("--require-hashes" in call for call in calls)


def test_missing_packages_are_installed_by_root(machine):
    machine.with_tools()
    for name in ("qemu-system-arm", "arm-none-eabi-gcc"):
        (machine.bin / name).unlink()
    machine.script("apt-get", APT)
    done, calls = machine.make("demo")
    installed = next(call for call in calls if "install" in call and call.startswith("apt-get"))
    assert installed.endswith("gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm")
    assert "==> apt-get install gcc-arm-none-eabi" in done.stdout


def test_a_compiler_without_newlib_nano_gets_it(machine):
    machine.with_tools()
    machine.script("arm-none-eabi-gcc", "#!/bin/bash\necho libc_nano.a\n")
    machine.script("apt-get", APT)
    _, calls = machine.make("demo")
    assert any(call.endswith("install -y -qq --no-install-recommends libnewlib-arm-none-eabi") for call in calls)


def test_without_root_one_sentence_names_the_packages(machine):
    machine.with_tools()
    machine.user(root=False)
    (machine.bin / "qemu-system-arm").unlink()
    machine.script("apt-get", APT)
    machine.script("sudo", "#!/bin/bash\nexit 1\n")
    done, calls = machine.make("demo")
    assert done.returncode != 0
    assert "these packages are missing and need root: sudo apt-get install qemu-system-arm\n" in done.stderr
    assert not any(call.startswith("apt-get") for call in calls)


def test_the_host_demo_needs_neither_cross_compiler_nor_emulator(machine):
    machine.with_tools()
    machine.user(root=False)
    for name in ("qemu-system-arm", "arm-none-eabi-gcc"):
        (machine.bin / name).unlink()
    done, calls = machine.make("demo", "BOARD=host")
    assert done.returncode == 0, done.stderr
    assert calls[-1].split() == ["thumbnet", "demo", "--board", "host"]


def test_no_python_at_all_on_a_machine_without_apt(machine):
    machine.with_tools()
    (machine.bin / "python3.11").unlink()
    done, _ = machine.make("demo", "BOARD=host")
    assert done.returncode != 0
    assert "python3 python3-venv" in done.stderr


def test_a_named_python_that_does_not_exist(machine):
    machine.with_tools()
    done, _ = machine.make("install", "PYTHON=python9.9")
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13, found none under the name python9.9" in done.stderr


def test_a_test_run_wants_the_checkers_too(machine):
    machine.with_tools()
    for name in ("cppcheck", "clang", "cmake"):
        (machine.bin / name).unlink()
    machine.script("apt-get", APT)
    _, calls = machine.make("system-checks")
    assert any(call.endswith("cppcheck clang cmake") for call in calls)
