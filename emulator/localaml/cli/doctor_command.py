"""`localaml doctor`: what works on this machine, and why the rest does not."""

from __future__ import annotations

from typing import Annotated

import typer

from localaml.cli.options import StateDirOption
from localaml.cli.output import Format, OutputOption, print_json, visible

_MARKS = {"ok": "ok", "note": "note", "missing": "MISSING"}


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command()(doctor)


def doctor(
    state_dir: StateDirOption = None,
    port: Annotated[int | None, typer.Option(help="Also check that this gRPC port is free.")] = None,
    http_port: Annotated[int | None, typer.Option(help="Also check that this HTTP port is free.")] = None,
    compute: Annotated[
        str | None, typer.Option(help="Whether nodes are to be process or docker; what docker needs is missing then.")
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Check what works on this machine. Exit code 1 when something is missing that LocalAML cannot do without."""
    from localaml.cli.configuration import load_settings
    from localaml.cli.doctor import examine

    findings = examine(load_settings(state_dir=state_dir, port=port, http_port=http_port, compute=compute))
    if output is Format.JSON:
        print_json([{"check": one.check, "result": one.result.value, "text": one.text} for one in findings])
    else:
        width = max(len(one.check) for one in findings)
        for one in findings:
            print(f"{_MARKS[one.result.value]:<7}  {one.check:<{width}}  {visible(one.text)}")
    if any(one.result.value == "missing" for one in findings):
        raise typer.Exit(1)
