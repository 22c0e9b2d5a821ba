"""doctor: what it finds, what it says is missing, and that it says how to get it on three systems."""

import json
import shutil
import subprocess

import pytest
from click.testing import CliRunner
from thumbnet.host_tools import doctor
from thumbnet.host_tools.boards import boards
from thumbnet.host_tools.commands.doctor import command


def bare_machine(monkeypatch):
    """A machine with Python and nothing else."""
    monkeypatch.setattr(doctor, "which", lambda _command: None)


def test_every_check_has_a_remedy_for_every_system():
    for check in doctor.checks():
        assert set(check.remedies) == set(doctor.SYSTEMS), check.name
        assert all(check.remedies.values()), check.name


def test_every_check_serves_a_known_purpose():
    for check in doctor.checks():
        assert check.purposes and set(check.purposes) <= set(doctor.PURPOSES), check.name


def test_the_machines_of_all_boards_are_looked_for():
    assert set(doctor.QEMU_MACHINES) == {board.machine for board in boards().values() if board.machine}


def test_missing_toolchain_fails_and_names_the_packages(monkeypatch):
    bare_machine(monkeypatch)
    result = CliRunner().invoke(command, ["--for", "boards", "--system", "debian"])
    assert result.exit_code == 1
    assert "sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi" in result.output
    assert "sudo apt-get install qemu-system-arm" in result.output


def test_json_is_one_object_with_the_verdict(monkeypatch):
    bare_machine(monkeypatch)
    result = CliRunner().invoke(command, ["--for", "boards", "--system", "macos", "--json"])
    content = json.loads(result.output)
    assert result.exit_code == 1
    assert content["schema"] == "thumbnet.doctor/1"
    assert not content["ok"]
    lacking = {check["name"]: check["remedy"] for check in content["checks"] if not check["found"]}
    assert lacking["qemu-system-arm"] == "brew install qemu"


def test_what_is_not_required_never_fails(monkeypatch):
    monkeypatch.setattr(doctor, "_packages", lambda *names: lambda: (False, f"not installed: {names}"))
    findings = doctor.examine(("host",), "debian")
    oracle = next(finding for finding in findings if finding.name.startswith("tflite-micro"))
    assert not oracle.found
    assert oracle not in doctor.missing(findings)


def test_qemu_without_a_machine_is_too_old(monkeypatch):
    monkeypatch.setattr(doctor, "which", lambda command: f"/usr/bin/{command}")

    def answer(arguments, **_options):
        text = "QEMU emulator version 5.2.0" if "--version" in arguments else "mps2-an385 ...\nmicrobit ..."
        return subprocess.CompletedProcess(arguments, 0, stdout=text, stderr="")

    monkeypatch.setattr(doctor.subprocess, "run", answer)
    found, detail = doctor._qemu()
    assert not found
    assert "netduinoplus2" in detail and "7.2 or newer" in detail


def test_compiler_without_newlib_nano_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "which", lambda command: f"/usr/bin/{command}")

    def answer(arguments, **_options):
        # GCC echoes the bare name of a file that it does not have.
        text = "12.2.1" if "--version" in arguments else "libc_nano.a\n"
        return subprocess.CompletedProcess(arguments, 0, stdout=text, stderr="")

    monkeypatch.setattr(doctor.subprocess, "run", answer)
    found, detail = doctor._arm_gcc()
    assert not found
    assert "newlib-nano" in detail


def test_a_program_that_does_not_start_is_missing(tmp_path, monkeypatch):
    broken = tmp_path / "cppcheck"
    broken.write_text("not a program")
    broken.chmod(0o755)
    monkeypatch.setattr(doctor, "which", lambda _command: str(broken))
    found, detail = doctor.program_version("cppcheck")
    assert not found
    assert "does not start" in detail


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is not installed")
def test_this_machine_has_what_the_qemu_tests_use():
    assert doctor._qemu()[0] and doctor._arm_gcc()[0]
