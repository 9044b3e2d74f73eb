"""`localaml state save | load`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from localaml.cli.client import connect
from localaml.cli.options import StateDirOption
from localaml_proto.admin.v1 import state_pb2

app = typer.Typer()

# All of the data may have to be copied or removed.
_LONG_SECONDS = 3600.0


@app.command()
def save(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    state_dir: StateDirOption = None,
) -> None:
    """Save all that the emulator knows to a file, without credentials. No run may be active.

    Left out: secrets of key vaults; account keys, SAS tokens and passwords of datastores and image registries; values
    of environment variables; names, passwords and signatures in addresses. What is in arguments, tags, source files,
    outputs and logs is saved as it is.
    """
    request = state_pb2.SaveStateRequest(path=str(file.expanduser().absolute()), overwrite=overwrite)
    with connect(state_dir) as client:
        saved = client.call(client.state.SaveState, request, timeout=_LONG_SECONDS)
    print(f"Saved the state with {saved.object_count} object(s) to {file} ({saved.archive_bytes} bytes).")
    print("Credentials were left out: see 'localaml state save --help'.")


@app.command()
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive that 'localaml state save' wrote.")],
    state_dir: StateDirOption = None,
) -> None:
    """Replace all that the emulator knows by what a file holds. No run may be active.

    A saved state has no credentials: register datastores again with theirs, and set secrets again.
    """
    request = state_pb2.LoadStateRequest(path=str(file.expanduser().absolute()))
    with connect(state_dir) as client:
        loaded = client.call(client.state.LoadState, request, timeout=_LONG_SECONDS)
    print(f"Loaded the state with {loaded.object_count} object(s) from {file}.")
    print("It has no credentials: register datastores again with theirs, and set secrets again.")
