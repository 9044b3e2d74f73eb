"""The placement of a launch in containers: one for each node, reached through the node agents."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path

from localaml.compute.docker.layout import AGENT_PORT, SCRIPTS
from localaml.compute.launch.placement import Entrance
from localaml.compute.runtime import ContainerPlan, LaunchPlan, NodeSpec

# Of the job, in its control folder; all its processes are started in the work folder beside it.
TOKEN = "token"  # noqa: S105 (a file)
_TOKEN_FILE = f"../control/{TOKEN}"


class Containers:
    """See `localaml.compute.launch.placement.Placement`.

    Args:
        container: what the run's containers are like.
        first: the node that the launcher is on.
        network: the addresses of the cluster's network (``172.18.0.0/16``).
    """

    scripts = SCRIPTS
    entrance = Entrance()

    def __init__(self, container: ContainerPlan, first: NodeSpec, network: str) -> None:
        self.python = container.python
        self._first = first
        self._network = str(ipaddress.ip_network(network)) if network else "eth0"

    def open_mpi_settings(self) -> Mapping[str, str]:
        """The cluster's network, by its addresses: names of interfaces are the engine's affair.

        A node that vanishes from the network is missed after some ten seconds (`oob_tcp_keepalive_*`).
        """
        return {
            "OMPI_MCA_btl_tcp_if_include": self._network,
            "OMPI_MCA_oob_tcp_if_include": self._network,
            "OMPI_MCA_oob_tcp_keepalive_time": "5",
            "OMPI_MCA_oob_tcp_keepalive_intvl": "2",
            "OMPI_MCA_oob_tcp_keepalive_probes": "3",
        }

    def node_variables(self, node: NodeSpec) -> Mapping[str, str]:
        return {}

    def on_node(self, node: NodeSpec, words: Sequence[str]) -> list[str]:
        if node.node_id == self._first.node_id:
            # By way of a shell, as elsewhere: it sets PWD.
            return ["/bin/sh", "-c", 'exec "$@"', "sh", *words]
        # The variable is there for whoever looks at the caller's processes; it is not handed on.
        mark = ["/bin/sh", "-c", 'LOCALAML_AGENT_CALL=1 exec "$@"', "sh"]
        agent = [self.python, "-I", "-S", "-X", "utf8", str(SCRIPTS / "call.py")]
        return [*mark, *agent, node.host_name, str(AGENT_PORT), _TOKEN_FILE, *words]

    def temporary_folder(self, number: int) -> str:
        """Every container has a /tmp of its own, which its agent empties after each run."""
        return "/tmp"  # noqa: S108

    def make_scratch(self, plan: LaunchPlan) -> Path | None:
        """Every container has a /dev/shm of its own."""
        return None

    def has_program(self, plan: LaunchPlan, program: str) -> bool:
        """What is in an image is not known here: the shell will tell."""
        return True
