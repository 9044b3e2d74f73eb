"""What a node's container is like: its name, labels, limits and mounts; and how it is made."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaml.compute.docker import layout
from localaml.compute.docker.engine import EngineFacts
from localaml.compute.runtime import Bind, ContainerPlan, NodeSpec
from localaml.domain.docker_arguments import DockerArguments, parse_docker_arguments
from localaml.domain.vm_sizes import find_vm_size
from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.settings import DockerSettings

if TYPE_CHECKING:
    from docker import DockerClient

STATE_DIR_LABEL = "localaml.state-dir"
WORKSPACE_LABEL = "localaml.workspace"
CLUSTER_LABEL = "localaml.cluster"
NODE_LABEL = "localaml.node"
_GIB = 1024**3
# What an engine says when it cannot hand GPUs on: that no driver of devices does it, or what NVIDIA's tools say.
_ABOUT_GPUS = re.compile(r"could not select device driver|nvidia|\bgpu", re.IGNORECASE)
_REASON_CHARACTERS = 400
_REMOVALS = 3
_REMOVAL_SECONDS = 30
# What root may do in its container: have files and processes of several users. Neither raw sockets nor devices.
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a node may use: processors, and memory in bytes. `note` says what its VM size has beyond that."""

    cpus: float
    memory_bytes: int
    note: str = ""


def node_limits(vm_size: str, facts: EngineFacts) -> Limits:
    """The limits of a node of this size on this engine."""
    try:
        size = find_vm_size(vm_size)
    except InvalidArgument:
        # The `local` target's nodes have no size.
        return Limits(float(facts.cpus), facts.memory_bytes)
    memory = int(size.memory_gb * _GIB)
    cpus, available = min(size.cores, facts.cpus), min(memory, facts.memory_bytes)
    note = ""
    if cpus < size.cores or available < memory:
        note = (
            f"{size.name} has {size.cores} cores and {size.memory_gb:g} GiB; a node here has {cpus} and "
            f"{available / _GIB:.1f} GiB, which is what this machine has."
        )
    return Limits(float(cpus), available, note)


def memory_limit(limits: Limits, arguments: DockerArguments) -> int:
    """What a run's container may use, in bytes."""
    return min(arguments.memory_bytes or limits.memory_bytes, limits.memory_bytes)


def digest(*words: str) -> str:
    """A short name for words that may hold anything."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]


def container_name(state_dir: Path, node: NodeSpec, suffix: str) -> str:
    """A name that no other container has: one that is going may still be there when the next comes."""
    return f"localaml-{digest(str(state_dir))}-{digest(node.workspace_id, node.cluster, node.node_id)}-{suffix}"


def network_name(state_dir: Path, node: NodeSpec) -> str:
    return f"localaml-{digest(str(state_dir))}-{digest(node.workspace_id, node.cluster)}"


def node_labels(state_dir: Path, node: NodeSpec) -> dict[str, str]:
    return {**network_labels(state_dir, node), NODE_LABEL: node.node_id}


def network_labels(state_dir: Path, node: NodeSpec) -> dict[str, str]:
    return {STATE_DIR_LABEL: str(state_dir), WORKSPACE_LABEL: node.workspace_id, CLUSTER_LABEL: node.cluster}


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides whether a container that is there can take a run: all that cannot be changed later."""

    image: str
    python: str
    binds: frozenset[Bind]
    shm_size_bytes: int
    gpu: bool
    arguments: tuple[str, ...]

    def suits(self, wanted: Shape) -> bool:
        """Whether a container of this shape can take a run that wants another; it may see more than that."""
        same = (self.image, self.python, self.shm_size_bytes, self.gpu, self.arguments) == (
            wanted.image,
            wanted.python,
            wanted.shm_size_bytes,
            wanted.gpu,
            wanted.arguments,
        )
        return same and all(bind in self.binds or Bind(bind.path, True) in self.binds for bind in wanted.binds)


def shape_of(plan: ContainerPlan, run_folders: Path, settings: DockerSettings) -> Shape:
    """The shape that a plan asks for.

    Args:
        run_folders: the folder of all runs of the workspace.
    """
    arguments = parse_docker_arguments(plan.arguments)
    shm_size = plan.shm_size_bytes or arguments.shm_size_bytes or settings.shm_size_bytes
    binds = frozenset((*plan.binds, Bind(run_folders, writable=True)))
    return Shape(plan.image, plan.python, binds, shm_size, plan.gpu, plan.arguments)


@dataclass(frozen=True, slots=True)
class NodeContainer:
    """Everything that `create` needs to know."""

    node: NodeSpec
    shape: Shape
    state_dir: Path
    node_folder: Path
    scripts: Path
    relay: Path
    suffix: str


def create(client: DockerClient, wanted: NodeContainer, settings: DockerSettings, facts: EngineFacts) -> str:
    """Makes and starts the container; its id."""
    from docker.errors import APIError, NotFound
    from docker.types import DeviceRequest, EndpointConfig, LogConfig, Mount, Ulimit

    shape, node = wanted.shape, wanted.node
    arguments = parse_docker_arguments(shape.arguments)
    limits = node_limits(node.vm_size, facts)
    memory = memory_limit(limits, arguments)
    cpus = min(arguments.cpus or limits.cpus, limits.cpus)
    api = client.api
    mounts = [
        Mount(str(layout.SCRIPTS), str(wanted.scripts), type="bind", read_only=True),
        Mount(str(layout.NODE), str(wanted.node_folder), type="bind"),
        Mount(str(layout.RELAY), str(wanted.relay), type="bind", read_only=True),
        *(Mount(str(bind.path), str(bind.path), type="bind", read_only=not bind.writable) for bind in _ordered(shape)),
    ]
    gpus = [DeviceRequest(count=-1, capabilities=[["gpu"]])] if shape.gpu and facts.has_nvidia_runtime else None
    host_config = api.create_host_config(
        mounts=mounts,
        nano_cpus=int(cpus * 1e9),
        mem_limit=memory,
        memswap_limit=memory,
        pids_limit=settings.pids_limit,
        shm_size=shape.shm_size_bytes,
        cap_drop=["ALL"],
        cap_add=list(_CAPABILITIES),
        security_opt=["no-new-privileges"],
        ulimits=[Ulimit(name=each.name, soft=each.soft, hard=each.hard) for each in arguments.ulimits],
        device_requests=gpus,
        restart_policy={"Name": "no"},
        # What the agent prints is kept by the engine on this machine's disk.
        log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m", "max-file": "1"}),
    )
    network = network_name(wanted.state_dir, node)
    networking: Any = {"EndpointsConfig": {network: EndpointConfig(api.api_version, aliases=[node.host_name])}}
    made = api.create_container(
        shape.image,
        # All of it is the entry point: the image's own one and its command are not wanted.
        entrypoint=[shape.python, "-I", "-S", "-X", "utf8", str(layout.SCRIPTS / "agent.py")],
        command=[str(layout.NODE / "config.json")],
        name=container_name(wanted.state_dir, node, wanted.suffix),
        hostname=node.host_name,
        user="0:0",
        working_dir="/",
        labels=node_labels(wanted.state_dir, node),
        host_config=host_config,
        networking_config=networking,
        use_config_proxy=False,
        stop_signal="SIGKILL",
    )
    identity = str(made["Id"])
    try:
        api.start(identity)
    except BaseException as error:
        with suppress(NotFound):
            api.remove_container(identity, force=True, v=True)
        if gpus and isinstance(error, APIError) and _ABOUT_GPUS.search(str(error)):
            raise _no_gpus(error) from error
        raise
    return identity


def _no_gpus(error: Exception) -> FailedPrecondition:
    return FailedPrecondition(
        "GPU_NOT_AVAILABLE",
        "GPUs were asked for (use_gpu), but the Docker engine, which has an NVIDIA runtime, cannot hand any on. Does "
        "`docker run --rm --gpus all` work with any image? Submit without use_gpu to run on CPUs. "
        f"The engine says: {' '.join(str(error).split())[-_REASON_CHARACTERS:]}",
    )


def remove_all_of(client: DockerClient, state_dir: Path, node: NodeSpec) -> None:
    """Ends and removes every container of a node."""
    labels = [f"{name}={value}" for name, value in node_labels(state_dir, node).items()]
    for container in client.api.containers(all=True, quiet=True, filters={"label": labels}):
        remove(client, container["Id"])


def remove(client: DockerClient, identity: str) -> None:
    """Ends and removes a container; a missing one is fine."""
    from docker.errors import APIError, NotFound

    for attempt in range(_REMOVALS):
        # What is frozen does not hear that it is to end (cgroup v1), not even when it is killed.
        with suppress(APIError):
            client.api.unpause(identity)
        try:
            client.api.remove_container(identity, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            # Somebody else is at it.
            if "is already in progress" in str(error):
                with suppress(NotFound):
                    client.api.wait(identity, timeout=_REMOVAL_SECONDS, condition="removed")
                return
            # It was frozen in between.
            if "did not receive an exit event" not in str(error) or attempt == _REMOVALS - 1:
                raise
        else:
            return


def _ordered(shape: Shape) -> list[Bind]:
    """Folders before what lies in them: a mount hides what was mounted below it before."""
    return sorted(shape.binds, key=lambda bind: (len(bind.path.parts), str(bind.path)))
