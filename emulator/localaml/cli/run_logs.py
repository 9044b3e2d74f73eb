"""Printing a run's log while it is written."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import closing

from localaml.cli.client import Client
from localaml.cli.failure import CliError
from localaml.cli.output import show_enum, visible
from localaml.cli.terminal import log_writer
from localaml_proto.v1 import run_pb2

_FOLDER = "azureml-logs/"
_NUMBERED = re.compile(r"azureml-logs/(\d\d)_.+\.txt")
_NUMBER = re.compile(r"(\d+)")
# From here on the processes of the run have their logs, if it ever gets any.
_BEGUN = {
    run_pb2.RUN_STATE_RUNNING,
    run_pb2.RUN_STATE_FINALIZING,
    run_pb2.RUN_STATE_COMPLETED,
    run_pb2.RUN_STATE_FAILED,
    run_pb2.RUN_STATE_CANCELED,
}
_ENDED = _BEGUN - {run_pb2.RUN_STATE_RUNNING, run_pb2.RUN_STATE_FINALIZING}


def main_log(names: Sequence[str]) -> str | None:
    """The log that people want to see: the highest two-digit prefix, of the first rank or worker. None when there is
    none."""
    numbered = [(match.group(1), name) for name in names if (match := _NUMBERED.fullmatch(name))]
    if not numbered:
        return None
    highest = max(prefix for prefix, _ in numbered)
    # A parameter server has little to say.
    return min(
        (name for prefix, name in numbered if prefix == highest), key=lambda name: ("_ps_" in name, _natural(name))
    )


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _NUMBER.split(name)]


def print_log(client: Client, run_name: str, log: str | None, *, follow: bool, raw: bool = False) -> None:
    """Writes a log's bytes to stdout; with `follow` waits for the log, and goes on until the run has ended.

    Args:
        raw: also to a terminal as they are, see `terminal`.

    Raises:
        CliError: the run or the log does not exist.
    """
    found = _await_log(client, run_name, log) if follow else _find_log(client, run_name, log)
    request = run_pb2.ReadRunLogRequest(name=run_name, log_name=found, follow=follow)
    with closing(client.stream(client.runs.ReadRunLog, request)) as chunks, log_writer(raw=raw) as write:
        for chunk in chunks:
            write(chunk.data)
    if follow:
        _tell_end(client, run_name)


def _find_log(client: Client, run_name: str, log: str | None) -> str:
    names = _names(client, run_name)
    found = _choose(names, log)
    if found is None:
        raise CliError(_missing(log, names))
    return found


def _await_log(client: Client, run_name: str, log: str | None) -> str:
    """The name of the log once it exists."""
    names: list[str] = []
    with closing(client.stream(client.runs.WatchRun, run_pb2.WatchRunRequest(name=run_name))) as changes:
        for run in changes:
            if log is not None or run.state in _BEGUN:
                names = _names(client, run_name)
                found = _choose(names, log)
                if found is not None:
                    return found
            if run.state not in _ENDED:
                _say(f"{run.run_id}: {show_enum(run_pb2.RunState, run.state, 'RUN_STATE_')} ...")
    raise CliError(_missing(log, names))


def _tell_end(client: Client, run_name: str) -> None:
    run = client.call(client.runs.GetRun, run_pb2.GetRunRequest(name=run_name))
    # Only the first line: the rest quotes the end of the log, which has just been printed.
    error = f": {visible(run.error.message.splitlines()[0])}" if run.error.message else ""
    _say(f"{run.run_id}: {show_enum(run_pb2.RunState, run.state, 'RUN_STATE_')}{error}")


def _names(client: Client, run_name: str) -> list[str]:
    answer = client.call(client.runs.ListRunLogs, run_pb2.ListRunLogsRequest(name=run_name))
    return [log.path for log in answer.logs]


def _choose(names: Sequence[str], log: str | None) -> str | None:
    if log is None:
        return main_log(names)
    return next((name for name in (log, _FOLDER + log) if name in names), None)


def _missing(log: str | None, names: Sequence[str]) -> str:
    what = "The run has no log" if log is None else f"The run has no log {log}"
    return f"{what}{' yet' if log is None else ''}; there are: {', '.join(sorted(names)) or 'none'}."


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
