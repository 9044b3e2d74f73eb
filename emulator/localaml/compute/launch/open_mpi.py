"""What mpirun has to be told for logical nodes that share one machine.

mpirun runs on the first node, starts that node's ranks itself and reaches the others through our agent: a script in
place of ssh that enters the node's UTS namespace. Choices that are not obvious (each was measured):

* ``--noprefix``: else mpirun changes PATH and LD_LIBRARY_PATH of the job. The agent knows where orted is.
* The agent is ``/bin/sh ../control/agent``: mpirun splits the setting at spaces, so that the path of a state dir may
  hold some only when it does not appear. Every node looks the agent up; the shell exists on all.
* The command is in a script of its own: mpirun would take an argument ``:`` for the start of a second program.
* ``pml=ob1`` and the list of transports: without, every rank spends a second looking for network cards.
* ``yield_when_idle``, no binding: every node believes that it has the cores for itself.
* ``odls_base_sigkill_timeout=0``: when one rank fails the others are ended at once. Each second given here costs three:
  mpirun sleeps on each of its three ways to the end. A run that is cancelled gives its ranks their grace all the same
  (see `job`). A job that needs time when a rank fails can set ``OMPI_MCA_odls_base_sigkill_timeout`` itself.
* Shared memory and session folders of each node are its own: ranks of two nodes must not find each other there.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from localaml.compute.launch.placement import Placement
from localaml.compute.launch.table import NODE
from localaml.compute.runtime import LaunchPlan, NodeSpec

# Every process of a rank has this variable, and none of Open MPI's own.
RANK = "OMPI_COMM_WORLD_RANK"
# mpirun's exit code when it lost contact with a node.
LOST_CONTACT = 205

# What follows `orted`. Where the user's login shell is sh, mpirun wraps it: `( test ! -r ./.profile || …;  orted … )`.
# Only the shell's own parameters are used: a job's environment may hold any name.
_ARGUMENTS = 'set -- "$*"; set -- "${1#* orted }"; set -- "${1% )}"; eval "set -- $1"'


def mpi_environment(prefix: Path) -> dict[str, str]:
    """Variables for mpirun and the ranks. What the job sets itself wins over them."""
    return {
        # mpi4py in an environment without an MPI of its own finds ours.
        "LD_LIBRARY_PATH": str(prefix / "lib"),
        "OPAL_PREFIX": str(prefix),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_pml": "ob1",
        "OMPI_MCA_btl": "self,vader,tcp",
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "OMPI_MCA_odls_base_sigkill_timeout": "0",
        "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
    }


def mpirun_words(plan: LaunchPlan, prefix: Path) -> list[str]:
    """The command that starts all ranks."""
    hosts = ",".join(f"{node.host_name}:{plan.processes_per_node}" for node in plan.nodes)
    return [
        str(prefix / "bin" / "mpirun"),
        "--noprefix",
        "--bind-to",
        "none",
        "--map-by",
        "slot",
        "--host",
        hosts,
        "--mca",
        "plm_rsh_agent",
        "/bin/sh ../control/agent",
        "-n",
        str(plan.process_count),
        "/bin/sh",
        "../control/rank",
    ]


def agent_script(plan: LaunchPlan, prefix: Path, placement: Placement) -> str:
    """The script that mpirun calls as ``agent HOST orted ARGUMENTS``, the arguments quoted for a shell."""
    arms = [_agent_arm(number, node, prefix, placement) for number, node in enumerate(plan.nodes)]
    unknown = '*) echo "LocalAML: there is no node $1 in this run" >&2; exit 1 ;;'
    return "\n".join(["case $1 in", *arms, unknown, "esac", ""])


def _agent_arm(number: int, node: NodeSpec, prefix: Path, placement: Placement) -> str:
    variables: Mapping[str, str] = {
        NODE: node.node_id,
        "TMPDIR": placement.temporary_folder(number),
        **placement.node_variables(node),
    }
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    start = placement.on_node(node, [str(prefix / "bin" / "orted")])
    name = shlex.quote(node.host_name)
    return f'{name}) export {exports}; shift; {_ARGUMENTS}; exec {shlex.join(start)} "$@" ;;'
