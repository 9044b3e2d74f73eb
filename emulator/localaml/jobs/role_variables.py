"""How the processes of a run find each other without MPI: variables for each of them.

`TF_CONFIG` is TensorFlow's own form (`tf.distribute.cluster_resolver.TFConfigClusterResolver`), the names with RANK
those of `torch.distributed`'s environment initialisation; those that begin with `AZ_BATCHAI_` are what AmlCompute's
service gave. Host names stand in none of them: logical nodes share this machine, so an address is 127.0.0.1 and a port
that nobody else has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from localaml.compute.process.ports import HOST, free_ports, loopback_interface
from localaml.domain.roles import PARAMETER_SERVER, RANK, WORKER, Role


def role_variables(roles: Sequence[Role], environment: Mapping[str, str]) -> list[dict[str, str]]:
    """The variables of each process, with free ports for those that need one.

    Args:
        environment: what all of them have; a network interface that is chosen there counts.
    """
    if roles and roles[0].kind == RANK:
        return _ranks(roles, free_ports(1)[0], environment)
    addresses = [f"{HOST}:{port}" for port in free_ports(len(roles))]
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


def _ranks(roles: Sequence[Role], port: int, environment: Mapping[str, str]) -> list[dict[str, str]]:
    # The node's name has no address: Gloo would look for it.
    interface = {} if "GLOO_SOCKET_IFNAME" in environment else {"GLOO_SOCKET_IFNAME": loopback_interface()}
    variables = []
    for role in roles:
        neighbours = [other.index for other in roles if other.node == role.node]
        variables.append(
            {
                **interface,
                "AZ_BATCHAI_PYTORCH_INIT_METHOD": f"tcp://{HOST}:{port}",
                "AZ_BATCHAI_TASK_INDEX": str(role.index),
                "MASTER_ADDR": HOST,
                "MASTER_PORT": str(port),
                "RANK": str(role.index),
                "WORLD_SIZE": str(len(roles)),
                "LOCAL_RANK": str(neighbours.index(role.index)),
                "LOCAL_WORLD_SIZE": str(len(neighbours)),
                "NODE_RANK": str(role.node),
            }
        )
    return variables
