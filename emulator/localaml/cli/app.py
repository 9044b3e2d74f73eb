"""The commands put together, and how their failures are told."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from localaml import __version__
from localaml.cli import doctor_command, emulator_commands, history_commands
from localaml.cli.failure import CliError
from localaml.cli.output import visible
from localaml.cli.terminal import protect_terminal
from localaml.errors import LocalAmlError

app = typer.Typer(
    name="localaml",
    help="Azure Machine Learning (SDK v1) on one machine, offline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
emulator_commands.register(app)
doctor_command.register(app)
history_commands.register(app)

_GROUPS = {
    "run": ("localaml.cli.run_commands", "Runs of experiments."),
    "compute": ("localaml.cli.compute_commands", "AmlCompute clusters."),
    "image": ("localaml.cli.image_commands", "Base images of nodes that are containers."),
    "fault": ("localaml.cli.fault_commands", "Making things go wrong on purpose."),
    "state": ("localaml.cli.state_commands", "All that the emulator knows, in one file."),
    "clock": ("localaml.cli.clock_commands", "The emulator's time."),
    "model": ("localaml.cli.model_commands", "Registered models."),
    "environment": ("localaml.cli.environment_commands", "Registered and curated environments."),
    "storage": ("localaml.cli.storage_commands", "Where data are kept: check, clean up, move."),
    "workspace": ("localaml.cli.workspace_commands", "Workspaces."),
}


def add_groups(words: Sequence[str]) -> None:
    """Adds the groups of commands. Only those named in `words` are loaded: `localaml start` needs no gRPC."""
    for name, (module, text) in _GROUPS.items():
        group: typer.Typer = importlib.import_module(module).app if name in words else typer.Typer()
        app.add_typer(group, name=name, help=text, no_args_is_help=True)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"localaml {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


@app.command("version")
def _version() -> None:
    """Show the version."""
    _show_version(True)


def run() -> None:
    """Runs the command line; exit code 0, 1 (failure) or 2 (wrong use)."""
    add_groups(sys.argv[1:])
    protect_terminal()
    try:
        app()
    except CliError as error:
        _tell(error.message)
        sys.exit(error.exit_code)
    except LocalAmlError as error:
        _tell(error.message)
        sys.exit(2 if error.grpc_code == "INVALID_ARGUMENT" else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _tell(message: str) -> None:
    # The end of a log is part of some messages: its lines stay lines.
    print("\n".join(visible(line) for line in f"localaml: {message}".split("\n")), file=sys.stderr)
