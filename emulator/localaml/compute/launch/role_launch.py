"""What the supervisor has to be told of processes that have parts of their own: `scripts/supervise.py`.

Open MPI starts and ends its ranks itself. Workers, parameter servers and ranks that meet at an address have nobody: the
supervisor does it. It belongs to no node, so that the loss of one leaves it to tell the end of the others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from localaml import job_files
from localaml.compute.launch.placement import Placement
from localaml.compute.launch.table import NODE
from localaml.compute.runtime import LaunchPlan
from localaml.domain.roles import PARAMETER_SERVER, WORKER, Role

_KINDS = {
    WORKER: "This is a TensorFlow job with parameter servers. Worker:",
    PARAMETER_SERVER: "This is a TensorFlow job with parameter servers. Parameter server:",
}


def supervisor_words(control: Path, placement: Placement) -> tuple[str, ...]:
    """The command that starts all processes."""
    return (placement.python, "-I", "-S", str(placement.scripts / "supervise.py"), str(control))


def write_processes(plan: LaunchPlan, before: Sequence[str], placement: Placement) -> None:
    """Writes what the supervisor reads, and begins the logs: whoever looks for the first one finds it before others.

    Variables go through a file that only we can read, as a command line can be read by everybody on the machine.

    Args:
        before: words in front of every command.
    """
    logs = plan.run_dir / "logs"
    for process in plan.processes:
        kind = _KINDS.get(process.role.kind, "This is a distributed job without MPI. Rank:")
        control_log = logs / f"60_control_log_{process.role.name}.txt"
        job_files.write(plan.base, control_log, f"{kind}{process.role.index}\n".encode())
        os.close(job_files.open_append(plan.base, logs / driver_log(process.role)))
    described = [
        {
            "name": process.role.name,
            "command": placement.on_node(plan.nodes[process.role.node], [*before, *(process.argv or plan.argv)]),
            "variables": {
                **({} if plan.environment.get("TMPDIR") else {"TMPDIR": placement.temporary_folder(process.role.node)}),
                **process.variables,
                NODE: plan.nodes[process.role.node].node_id,
            },
            "log": str(logs / driver_log(process.role)),
            "serves": process.role.serves,
        }
        for process in plan.processes
    ]
    file = plan.run_dir / "control" / "processes.json"
    job_files.write(plan.base, file, json.dumps(described).encode("ascii"), mode=0o600)


def driver_log(role: Role) -> str:
    """Name of the log with a process' output."""
    return f"80_driver_log_{role.name}.txt"
