"""How the processes of a run find each other without MPI: variables for each of them.

`TF_CONFIG` is TensorFlow's own form (`tf.distribute.cluster_resolver.TFConfigClusterResolver`), the names with RANK
those of `torch.distributed`'s environment initialisation; those that begin with `AZ_BATCHAI_` are what AmlCompute's
service gave. Addresses come from the runtime: logical nodes share this machine's, and their names need not resolve.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from localaml.domain.roles import PARAMETER_SERVER, RANK, WORKER, Role


def nodes_with_addresses(roles: Sequence[Role]) -> list[int]:
    """The numbers of the nodes on which a process needs an address of its own, in the order of `role_variables`."""
    if roles and roles[0].kind == RANK:
        return [roles[0].node]
    return [role.node for role in roles]


def role_variables(
    roles: Sequence[Role], environment: Mapping[str, str], addresses: Sequence[str], interface: str
) -> list[dict[str, str]]:
    """The variables of each process.

    Args:
        environment: what all of them have; a network interface that is chosen there counts.
        addresses: ``host:port`` for each of `nodes_with_addresses`.
        interface: the network interface over which processes reach each other.
    """
    if roles and roles[0].kind == RANK:
        return _ranks(roles, addresses[0], interface, environment)
    cluster: dict[str, list[str]] = {}
    for role, address in zip(roles, addresses, strict=True):
        cluster.setdefault(role.kind, []).append(address)
    return [_tensorflow(role, cluster) for role in roles]


def _tensorflow(role: Role, cluster: Mapping[str, Sequence[str]]) -> dict[str, str]:
    config = {"cluster": cluster, "task": {"type": role.kind, "index": role.index}, "environment": "cloud"}
    return {
        "TF_CONFIG": json.dumps(config),
        "AZ_BATCHAI_WORKER_HOSTS": ",".join(cluster.get(WORKER, ())),
        "AZ_BATCHAI_PS_HOSTS": ",".join(cluster.get(PARAMETER_SERVER, ())),
        "AZ_BATCHAI_TASK_INDEX": str(role.index),
    }


def _ranks(roles: Sequence[Role], address: str, interface: str, environment: Mapping[str, str]) -> list[dict[str, str]]:
    # A node's name may have no address: Gloo would look for it.
    chosen = {} if "GLOO_SOCKET_IFNAME" in environment else {"GLOO_SOCKET_IFNAME": interface}
    host, _, port = address.rpartition(":")
    variables = []
    for role in roles:
        neighbours = [other.index for other in roles if other.node == role.node]
        variables.append(
            {
                **chosen,
                "AZ_BATCHAI_PYTORCH_INIT_METHOD": f"tcp://{address}",
                "AZ_BATCHAI_TASK_INDEX": str(role.index),
                "MASTER_ADDR": host,
                "MASTER_PORT": port,
                "RANK": str(role.index),
                "WORLD_SIZE": str(len(roles)),
                "LOCAL_RANK": str(neighbours.index(role.index)),
                "LOCAL_WORLD_SIZE": str(len(neighbours)),
                "NODE_RANK": str(role.node),
            }
        )
    return variables
