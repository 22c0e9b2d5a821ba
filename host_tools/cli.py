"""The `thumbnet` command: finds the verb's module, runs it, turns every error into one sentence.

A verb lives in `commands/<verb>.py` as a click command named `command`. Only the module of the verb that was
asked for is imported, so `thumbnet generate` never pays for (or needs) TensorFlow.

Exit codes: 0 done; 1 the check failed (a parity mismatch, an exceeded budget); 2 the user, the model or the
device is at fault, told in one sentence; 70 a bug of ours; 130 interrupted.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from .names import shorten_quoted

EXIT_USER = 2
EXIT_BUG = 70
EXIT_PIPE = 141
EXIT_INTERRUPT = 130

# Section -> verb -> one line for `thumbnet --help`, in the order a newcomer meets them.
SECTIONS: dict[str, dict[str, str]] = {
    "Start here": {
        "demo": "The whole road on embedded signals: train, quantize, generate, build, prove, report.",
        "doctor": "Say what this machine lacks and how to get it.",
        "run": "Run a recipe, skipping the stages that are up to date.",
        "data": "Fetch a public data set, or say what a folder of recordings holds.",
    },
    "Model": {
        "train": "Train the network of a recipe.",
        "folds": "Train and test a recipe's network in k folds, under its protocols.",
        "search": "Look for smaller networks that keep their accuracy within budgets.",
        "compress": "Quantize the network of a recipe to int8.",
        "evaluate": "Score a model on held-out windows.",
        "convert": "Turn a Keras model into an int8 .tflite.",
        "analyze": "List operators, MACs, unsupported layers and the boards a model fits.",
    },
    "Firmware": {
        "generate": "Turn an int8 model into C sources.",
        "build": "Build the firmware of a model for a board.",
        "flash": "Build the firmware and write it to a board.",
        "devices": "List boards and what is plugged in.",
    },
    "Proof": {
        "parity": "Compare every output byte of a board with TensorFlow Lite Micro.",
        "profile": "Count instructions, flash, RAM and stack on a board.",
        "bench": "Measure models against TensorFlow Lite Micro, and against recorded figures.",
        "predict": "Score a recording with a model, on the host or on a board.",
        "report": "Write one self-contained HTML page about a run.",
    },
}

# A user's mistake is an error of one of the rooms; each room keeps its own tree.
_ROOM_ERRORS = {
    "thumbnet.host_tools.errors": "HostToolsError",
    "thumbnet.codegen.errors": "CodegenError",
    "thumbnet.quantize.errors": "QuantizeError",
    "thumbnet.training.errors": "TrainingError",
}


def _module_of(verb: str) -> str:
    return f"thumbnet.host_tools.commands.{verb.replace('-', '_')}"


class VerbGroup(click.Group):
    """A click group that imports a verb's module when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Verbs whose module is installed, in the order of the sections."""
        verbs = [verb for section in SECTIONS.values() for verb in section]
        return [verb for verb in verbs if importlib.util.find_spec(_module_of(verb))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and hand out its `command`."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(_module_of(cmd_name)).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; an unknown one is answered with the nearest known ones."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            verbs = self.list_commands(ctx)
            near = difflib.get_close_matches(args[0], verbs, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(verbs)}"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the verbs by section without importing any of them."""
        installed = set(self.list_commands(ctx))
        for title, verbs in SECTIONS.items():
            rows = [(verb, text) for verb, text in verbs.items() if verb in installed]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"thumbnet {version('thumbnet')}")
    ctx.exit()


@click.group(
    cls=VerbGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 110,
        "token_normalize_func": lambda token: token.replace("_", "-"),
    },
    epilog="Set THUMBNET_DEBUG=1 to see where an error comes from.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
              show_default=False, help="Show the version and exit.")  # fmt: skip
def cli() -> None:
    """From a Keras biosignal model to a Cortex-M firmware, with proof that the board computes the same."""


def is_user_error(error: BaseException) -> bool:
    """Tell whether an exception is a refusal meant for the user (an error class of one of the rooms)."""
    for module, name in _ROOM_ERRORS.items():
        # A room that was never imported cannot have raised.
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, getattr(loaded, name)):
            return True
    return isinstance(error, OSError)


def _sentence(error: BaseException) -> str:
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return shorten_quoted(" ".join(text.split())) or type(error).__name__


def _fail(error: BaseException) -> int:
    if os.environ.get("THUMBNET_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    if isinstance(error, click.ClickException) or is_user_error(error):
        click.echo(f"thumbnet: error: {_sentence(error)}", err=True)
        return EXIT_USER
    click.echo(
        f"thumbnet: internal error: {type(error).__name__}: {_sentence(error)} "
        "(set THUMBNET_DEBUG=1 for the traceback)",
        err=True,
    )
    return EXIT_BUG


def run(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises and never prints a traceback.

    Parameters
    ----------
    args
        The words after `thumbnet`; default: those of this process.
    """
    try:
        code = cli.main(args=None if args is None else list(args), prog_name="thumbnet", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        click.echo("thumbnet: interrupted", err=True)
        return EXIT_INTERRUPT
    except BrokenPipeError:
        # The reader went away (`| head`); point stdout at nothing so that Python's exit does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_PIPE
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USER
    except Exception as error:
        return _fail(error)
    return code if isinstance(code, int) else 0


def main() -> None:
    """Entry point of the `thumbnet` script."""
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(run())


def _stop(number: int, frame: FrameType | None) -> None:
    """End like on Ctrl-C. A terminal tells the emulators too; whoever ends this process alone does not."""
    devices = sys.modules.get(f"{__package__}.devices.process")
    if devices is not None:
        devices.end_all()
    raise KeyboardInterrupt
