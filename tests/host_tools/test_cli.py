"""The command line's manners: help, spelling, exit codes, and one sentence in place of a traceback."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.command import thumbnet
from thumbnet.host_tools import cli
from thumbnet.host_tools import commands as verbs
from thumbnet.host_tools.errors import HostToolsError

INSTALLED = [name for _, name, _ in pkgutil.iter_modules(verbs.__path__)]


@pytest.fixture
def run_verb(monkeypatch, capsys):
    """Run a stand-in verb through the whole command line."""

    def run(function, *arguments):
        command = click.command("generate")(function)
        monkeypatch.setattr(cli.VerbGroup, "get_command", lambda self, ctx, name: command)
        code = cli.run(["generate", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_every_module_of_commands_is_in_the_help_table():
    listed = {verb.replace("-", "_") for section in cli.SECTIONS.values() for verb in section}
    assert set(INSTALLED) == listed


@pytest.mark.parametrize("verb", INSTALLED)
def test_every_verb_has_help_with_a_summary(verb):
    command = importlib.import_module(f"thumbnet.host_tools.commands.{verb}").command
    assert isinstance(command, click.Command)
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{verb} {option.opts}"


def test_help_lists_verbs_by_section_and_imports_none():
    code = (
        "import sys; from thumbnet.host_tools import cli; cli.run(['--help']);"
        "print([m for m in sys.modules if m.startswith('thumbnet.host_tools.commands.')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Proof:" in done.stdout
    assert "parity" in done.stdout
    assert done.stderr.strip() == "[]"


def test_help_shows_defaults():
    assert "[default: 1;" in thumbnet("parity", "--help").out.replace("\n", " ").replace("  ", " ")


def test_version():
    outcome = thumbnet("--version")
    assert outcome.code == 0
    assert outcome.out.startswith("thumbnet 0.")


def test_without_arguments_the_help_is_shown():
    outcome = thumbnet()
    assert outcome.code == 2
    assert "Usage: thumbnet" in outcome.err


def test_an_unknown_verb_names_the_nearest():
    outcome = thumbnet("generat")
    assert outcome.code == 2
    assert outcome.sentence == "there is no command 'generat'; did you mean 'generate'?"


def test_an_unknown_option_names_the_nearest():
    outcome = thumbnet("generate", "--ouput", "x")
    assert outcome.code == 2
    assert "--ouput" in outcome.sentence
    assert "--output" in outcome.sentence


def test_underscores_are_hyphens(run_verb):
    @click.option("--ppg-file")
    def verb(ppg_file):
        click.echo(ppg_file)

    assert run_verb(verb, "--ppg_file", "a_b.csv") == (0, "a_b.csv\n", "")


def test_an_error_of_a_room_is_one_sentence(run_verb):
    def verb():
        raise HostToolsError("the board\n  is on fire")

    assert run_verb(verb) == (2, "", "thumbnet: error: the board is on fire\n")


def test_an_error_of_the_system_is_one_sentence(run_verb):
    def verb():
        Path("/nonexistent/file").read_bytes()

    code, out, err = run_verb(verb)
    assert (code, out) == (2, "")
    assert err.startswith("thumbnet: error: [Errno 2]")


def test_a_bug_is_told_apart_and_the_traceback_is_on_request(run_verb, monkeypatch):
    def verb():
        raise ZeroDivisionError("division by zero")

    code, _, err = run_verb(verb)
    assert code == 70
    assert err.count("\n") == 1
    assert "internal error: ZeroDivisionError" in err
    monkeypatch.setenv("THUMBNET_DEBUG", "1")
    assert "Traceback" in run_verb(verb)[2]


def test_interrupting_ends_with_130(run_verb):
    def verb():
        raise KeyboardInterrupt

    assert run_verb(verb)[0] == 130


def test_a_verb_may_return_its_exit_code(run_verb):
    assert run_verb(lambda: 1)[0] == 1


def test_a_closed_pipe_is_quiet():
    command = f"{sys.executable} -m thumbnet.host_tools --help | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_long_fused_names_are_shortened():
    from thumbnet.host_tools.names import short_name, shorten_quoted

    fused = "net/block1_relu/Relu;net/block1_norm/FusedBatchNormV3;net/block1/Conv2D1"
    assert short_name(fused) == "block1_relu/Relu"
    assert shorten_quoted(f"layer 0 '{fused}': 'x' is float32") == "layer 0 'block1_relu/Relu': 'x' is float32"
    assert len(short_name("a/" + "b" * 100)) == 44
