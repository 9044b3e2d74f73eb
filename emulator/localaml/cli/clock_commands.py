"""`localaml clock show | advance`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from localaml.cli.client import connect
from localaml.cli.failure import CliError
from localaml.cli.options import StateDirOption
from localaml.cli.output import Format, OutputOption, plain, print_facts, print_json, show_duration, show_time
from localaml_proto.admin.v1 import admin_pb2

app = typer.Typer()

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
# What is due may take real work: nodes stop, environments are built.
_ADVANCE_SECONDS = 600.0


def parse_duration(text: str) -> float:
    """Seconds of ``90``, ``31m``, ``1h30m``, ``2d``. Raises CliError (exit code 2) for anything else."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    seconds, position = 0.0, 0
    while part := _PART.match(text, position):
        seconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    if not position or position < len(text):
        raise CliError(f"{text!r} is no duration: write 90 (seconds), 31m, 1h30m or 2d.", exit_code=2)
    return seconds


@app.command()
def show(state_dir: StateDirOption = None, output: OutputOption = Format.TABLE) -> None:
    """Show what time it is for runs, nodes and URLs."""
    with connect(state_dir) as client:
        clock = client.call(client.admin.GetClock, admin_pb2.GetClockRequest())
    if output is Format.JSON:
        print_json(plain(clock))
        return
    print_facts(
        [
            ("Clock", clock.kind + (f", {clock.scale:g} times as fast" if clock.kind == "scaled" else "")),
            ("Time", show_time(clock.time)),
            ("Next due", _due(clock)),
        ]
    )


def _due(clock: Any) -> str:
    if not clock.timer_count:
        return ""
    after = clock.next_due.seconds - clock.time.seconds + (clock.next_due.nanos - clock.time.nanos) / 1e9
    return f"in {show_duration(after)} ({clock.timer_count} waiting)"


@app.command()
def advance(
    duration: Annotated[str, typer.Argument(help="90 (seconds), 31m, 1h30m or 2d.")],
    state_dir: StateDirOption = None,
) -> None:
    """Let time pass on a virtual clock; returns when all that was due has been done."""
    request = admin_pb2.AdvanceClockRequest(seconds=parse_duration(duration))
    with connect(state_dir) as client:
        answer = client.call(client.admin.AdvanceClock, request, timeout=_ADVANCE_SECONDS)
    print(f"It is {show_time(answer.clock.time)} now; {answer.due_count} timer(s) were due.")
