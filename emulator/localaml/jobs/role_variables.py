"""How the processes of a run find each other without MPI: variables for each of them.

`TF_CONFIG` is TensorFlow's own form (`tf.distribute.cluster_resolver.TFConfigClusterResolver`), the names with RANK
those of `torch.distributed`'s environment initialisation; those that begin with `AZ_BATCHAI_` are what AmlCompute's
service gave. Host names stand in none of them: logical nodes share this machine, so an address is 127.0.0.1 and a port
that nobody else has.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from localaml.domain.roles import PARAMETER_SERVER, RANK, WORKER, Role
from localaml.errors import ResourceExhausted

_HOST = "127.0.0.1"
# The kernel gives ports from its range to whoever asks for any. Below it a port stays free until the process that it
# was chosen for has started, which takes TensorFlow seconds.
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_PORT, _LAST_PORT = 12000, 32000
_ATTEMPTS = 1000


def role_variables(roles: Sequence[Role], environment: Mapping[str, str]) -> list[dict[str, str]]:
    """The variables of each process, with free ports for those that need one.

    Args:
        environment: what all of them have; a network interface that is chosen there counts.
    """
    if roles and roles[0].kind == RANK:
        return _ranks(roles, free_ports(1)[0], environment)
    addresses = [f"{_HOST}:{port}" for port in free_ports(len(roles))]
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
    interface = {} if "GLOO_SOCKET_IFNAME" in environment else {"GLOO_SOCKET_IFNAME": _loopback()}
    variables = []
    for role in roles:
        neighbours = [other.index for other in roles if other.node == role.node]
        variables.append(
            {
                **interface,
                "AZ_BATCHAI_PYTORCH_INIT_METHOD": f"tcp://{_HOST}:{port}",
                "AZ_BATCHAI_TASK_INDEX": str(role.index),
                "MASTER_ADDR": _HOST,
                "MASTER_PORT": str(port),
                "RANK": str(role.index),
                "WORLD_SIZE": str(len(roles)),
                "LOCAL_RANK": str(neighbours.index(role.index)),
                "LOCAL_WORLD_SIZE": str(len(neighbours)),
                "NODE_RANK": str(role.node),
            }
        )
    return variables


def _loopback() -> str:
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name in ("lo", "lo0")), names[0] if names else "lo")


def free_ports(count: int) -> list[int]:
    """Different TCP ports of this machine's loopback address that are free now, and that nobody gets by chance.

    Raises ResourceExhausted ``NO_FREE_PORTS``.
    """
    last = _LAST_PORT
    with contextlib.suppress(OSError, ValueError, IndexError):
        last = min(last, int(_EPHEMERAL_RANGE.read_text().split()[0]) - 1)
    found: list[int] = []
    for _ in range(_ATTEMPTS if last > _FIRST_PORT else 0):
        if len(found) == count:
            break
        # Not a secret: two runs that begin at the same time are to choose different ones.
        port = random.randint(_FIRST_PORT, last)  # noqa: S311
        if port not in found and _is_free(port):
            found.append(port)
    if len(found) < count:
        raise ResourceExhausted("NO_FREE_PORTS", f"The run needs {count} free TCP ports, and this machine has too few.")
    return found


def _is_free(port: int) -> bool:
    try:
        with socket.create_server((_HOST, port)):
            return True
    except OSError:
        return False
