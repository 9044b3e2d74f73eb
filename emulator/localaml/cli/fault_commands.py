"""`localaml fault add | list | clear`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from localaml.cli.client import connect
from localaml.cli.clock_commands import parse_duration
from localaml.cli.fault_rules import rule
from localaml.cli.options import StateDirOption
from localaml.cli.output import Format, OutputOption, plain, print_found, print_json
from localaml.domain.faults import CRASH_POINTS, FaultKind
from localaml_proto.admin.v1 import fault_pb2

app = typer.Typer()

_KINDS = ", ".join(kind.value for kind in FaultKind)


@app.command()
def add(
    kind: Annotated[str, typer.Argument(help=f"One of: {_KINDS}.")],
    method: Annotated[
        str | None, typer.Option(help="Calls: RunService/SubmitRun, bytes/PUT/artifact; with * for any part.")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Name of the cluster (a pattern, as all targets are).")] = None,
    node: Annotated[str | None, typer.Option(help="Id or host name of the node.")] = None,
    run: Annotated[str | None, typer.Option(help="Id of the run.")] = None,
    store: Annotated[str | None, typer.Option(help="Datastore or container; contents; artifacts.")] = None,
    vm_size: Annotated[str | None, typer.Option(help="VM size of the cluster.")] = None,
    count: Annotated[int | None, typer.Option(help="At most so often; 0 for no limit.")] = None,
    skip: Annotated[int | None, typer.Option(help="The first so many go well.")] = None,
    every: Annotated[int | None, typer.Option(help="Only each n-th one.")] = None,
    probability: Annotated[float | None, typer.Option(help="Only with this probability.")] = None,
    seed: Annotated[int | None, typer.Option(help="What decides about the probability.")] = None,
    start: Annotated[str | None, typer.Option(help="Only from so long from now (90, 31m, 2h).")] = None,
    end: Annotated[str | None, typer.Option(help="Only until so long from now.")] = None,
    code: Annotated[str | None, typer.Option(help="error: a gRPC code, such as UNAVAILABLE, INTERNAL.")] = None,
    reason: Annotated[str | None, typer.Option(help="error: the reason in it.")] = None,
    message: Annotated[str | None, typer.Option(help="error, throttle: what it says.")] = None,
    delay: Annotated[str | None, typer.Option(help="delay: how long.")] = None,
    retry_after: Annotated[str | None, typer.Option(help="throttle: what Retry-After says.")] = None,
    after: Annotated[int | None, typer.Option(help="drop: messages or bytes that get through.")] = None,
    notice: Annotated[str | None, typer.Option(help="node-evicted: SIGTERM so long before the end.")] = None,
    point: Annotated[str | None, typer.Option(help=f"crash: one of {', '.join(CRASH_POINTS)}.")] = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Make something go wrong."""
    durations = {
        "start_seconds": start,
        "end_seconds": end,
        "delay_seconds": delay,
        "retry_after_seconds": retry_after,
        "notice_seconds": notice,
    }
    details = {
        "method": method,
        "cluster": cluster,
        "node": node,
        "run": run,
        "store": store,
        "vm_size": vm_size,
        "count": count,
        "skip": skip,
        "every": every,
        "probability": probability,
        "seed": seed,
        "code": code,
        "reason": reason,
        "message": message,
        "after": after,
        "point": point,
        **{name: None if text is None else parse_duration(text) for name, text in durations.items()},
    }
    with connect(state_dir) as client:
        request = fault_pb2.AddFaultRequest(fault=rule(kind, details))
        fault = client.call(client.faults.AddFault, request)
    if output is Format.JSON:
        print_json(plain(fault))
        return
    struck = f" It has struck {fault.struck_count} time(s)." if fault.struck_count else ""
    print(f"Added the fault {fault.fault_id} ({fault.kind}).{struck}")


_COLUMNS: Mapping[str, Callable[[fault_pb2.Fault], str]] = {
    "FAULT": lambda fault: fault.fault_id,
    "KIND": lambda fault: fault.kind,
    "TARGET": lambda fault: (
        ", ".join(f"{field.name}={value}" for field, value in fault.target.ListFields()) or "anything"
    ),
    "STRUCK": lambda fault: f"{fault.struck_count}" + (f" of {fault.when.count}" if fault.when.count else ""),
    "SEEN": lambda fault: str(fault.seen_count),
    "STATE": lambda fault: "used up" if fault.used_up else "waits",
}


@app.command("list")
def list_(state_dir: StateDirOption = None, output: OutputOption = Format.TABLE) -> None:
    """List the faults that were added."""
    with connect(state_dir) as client:
        faults = client.call(client.faults.ListFaults, fault_pb2.ListFaultsRequest()).faults
    print_found(faults, output, _COLUMNS, empty="There are no faults.")


@app.command()
def clear(
    faults: Annotated[list[str] | None, typer.Argument(metavar="[FAULT]...", help="Ids; none: all.")] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Remove faults."""
    with connect(state_dir) as client:
        answer = client.call(client.faults.ClearFaults, fault_pb2.ClearFaultsRequest(fault_ids=faults or []))
    print(f"Removed {answer.cleared_count} fault(s).")
