"""`DockerRuntime`: nodes that are containers of a Docker engine on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import resources
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaml.clock import Clock
from localaml.compute.docker import layout
from localaml.compute.docker.agents import AgentGone
from localaml.compute.docker.containers import (
    NODE_LABEL,
    STATE_DIR_LABEL,
    Limits,
    network_labels,
    network_name,
    node_limits,
    remove,
    shape_of,
)
from localaml.compute.docker.events import EngineEvents
from localaml.compute.docker.node import Node, run_on
from localaml.compute.docker.placement import TOKEN_FILE, Containers
from localaml.compute.docker.processes import ContainerProcesses
from localaml.compute.docker.relay import Relay
from localaml.compute.launch.job import LaunchedJob
from localaml.compute.launch.launching import no_such_program, prepare_launch
from localaml.compute.launch.marks import NODE_LOST, OUT_OF_MEMORY, mark
from localaml.compute.runtime import LaunchPlan, NodeSpec
from localaml.errors import (
    FailedPrecondition,
    Internal,
    InvalidArgument,
    LocalAmlError,
    NotFound,
    disk_full,
    is_disk_full,
)
from localaml.paths import StatePaths
from localaml.settings import DockerSettings

if TYPE_CHECKING:
    from docker import DockerClient

    from localaml.compute.docker.engine import Engine, EngineFacts
    from localaml.compute.docker.images import Images

_LOG = logging.getLogger(__name__)
# What the kernel, Docker's name service and Open MPI take for a host name.
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_ENGINE_SECONDS = 10.0
_ASK_SECONDS = 15.0
_GIB = 1024**3
_PORTS = 20000


class DockerRuntime:
    """Nodes as containers, on one network for each cluster; runs as processes in them.

    Args:
        paths: of the state dir; two runtimes with different ones do not see each other's containers.
        clock: machine time.
        images: what images of runs are; its default is that of nodes which wait for a run.
        relay_ports: ports of this machine's loopback address that processes in containers have to reach; asked when
            the first node is started.
    """

    name = "docker"

    def __init__(
        self,
        paths: StatePaths,
        clock: Clock,
        engine: Engine,
        images: Images,
        settings: DockerSettings,
        relay_ports: Callable[[], Sequence[int]],
    ) -> None:
        self._paths = paths
        self._clock = clock
        self._engine = engine
        self._images = images
        self._settings = settings
        self._relay_ports = relay_ports
        self._folder = paths.root / "docker-nodes"
        self._scripts = self._folder / "scripts"
        self._relay: Relay | None = None
        self._facts: EngineFacts | None = None
        self._events: EngineEvents | None = None
        self._nodes: dict[str, Node] = {}
        self._jobs: set[LaunchedJob] = set()
        self._plans: dict[str, LaunchPlan] = {}
        self._networks: dict[str, asyncio.Lock] = {}
        self._tell_lost: Callable[[str, str], None] = _nobody
        self._tell_recovered: Callable[[], None] = _nothing
        self._next_port = count()
        self._was_away = False
        self._errands: set[asyncio.Task[None]] = set()

    # -- life ---------------------------------------------------------------------------------------------------------

    def watch_nodes(self, lost: Callable[[str, str], None], recovered: Callable[[], None] | None = None) -> None:
        self._tell_lost = lost
        self._tell_recovered = recovered or _nothing

    async def start(self) -> None:
        """Raises Unavailable ``DOCKER_ENGINE_UNAVAILABLE``, FailedPrecondition ``DOCKER_PACKAGE_MISSING``."""
        self._facts = await self._engine.facts(_ENGINE_SECONDS)
        await asyncio.to_thread(_copy_scripts, self._scripts)
        relay = Relay(self._folder / "relay", self._relay_ports())
        await relay.start()
        self._relay = relay
        self._events = EngineEvents(self._engine, self._happened, self._connected)

    async def close(self) -> None:
        for job in self._jobs:
            job.detach()
        self._jobs.clear()
        for node in self._nodes.values():
            node.detach()
        for errand in self._errands:
            errand.cancel()
        if self._events is not None:
            await self._events.close()
        if self._relay is not None:
            await self._relay.close()
        self._engine.close()

    # -- nodes --------------------------------------------------------------------------------------------------------

    def runs_in_containers(self, node: NodeSpec) -> bool:
        return True

    def node_note(self, node: NodeSpec) -> str:
        return self._limits(node).note

    def free_addresses(self, nodes: Sequence[NodeSpec]) -> list[str]:
        """Every node has all ports for itself; two runs after each other do not get the same."""
        return [f"{node.host_name}:{layout.FIRST_JOB_PORT + next(self._next_port) % _PORTS}" for node in nodes]

    def network_interface(self, nodes: Sequence[NodeSpec]) -> str:
        return "eth0"

    async def start_node(self, node: NodeSpec) -> None:
        if not _HOST_NAME.match(node.host_name):
            raise InvalidArgument(
                "INVALID_HOST_NAME",
                f"{node.host_name!r} cannot be a node's host name: use 1 to 63 letters, digits and dashes.",
            )
        known = self._nodes.get(node.node_id)
        if known is not None and known.container_id and not known.is_gone:
            return
        plan = await self._images.default()
        shape = shape_of(plan, self._run_folders(node), self._settings)
        await self._ensure_network(node)
        made = self._nodes[node.node_id] = self._node(node)
        try:
            with _disk_errors():
                await made.start(shape)
        except BaseException:
            self._nodes.pop(node.node_id, None)
            raise

    async def stop_node(self, node: NodeSpec) -> None:
        known = self._nodes.pop(node.node_id, None) or self._node(node)
        await known.stop()
        if not any(_same_cluster(each.spec, node) for each in self._nodes.values()):
            await self._remove_network(node)

    # -- runs ---------------------------------------------------------------------------------------------------------

    async def launch(self, plan: LaunchPlan) -> LaunchedJob:
        if plan.container is None:
            raise Internal("LAUNCH_FAILED", "The run has no container to start in; this is a defect of LocalAML.")
        nodes = [await self._known(spec) for spec in plan.nodes]
        first = nodes[0]
        shape = shape_of(plan.container, self._run_folders(first.spec), self._settings)
        if plan.open_mpi_prefix is not None:
            self._check_visible(plan.open_mpi_prefix, shape.binds)
        with _disk_errors():
            await _all(node.make_ready(shape) for node in nodes)
            await _check_program(plan, first)
            network = await self._network_addresses(first.spec) if len(nodes) > 1 else ""
            placement = Containers(plan.container, first.spec, network)
            prepared = prepare_launch(plan, self._paths.root, placement)
            token = secrets.token_hex(32)
            _write_private(plan.run_dir / "work" / TOKEN_FILE, token)
        user = self._user()
        try:
            answers = await _all(
                node.agent.ask("expect", timeout_seconds=_ASK_SECONDS, token=token, user=user) for node in nodes
            )
            if user is not None:
                owned = [str(plan.run_dir), *(str(bind.path) for bind in plan.container.binds if bind.writable)]
                await first.agent.ask("own", paths=owned, user=user)
            for node in nodes:
                node.begin(plan.label)
            started = await first.agent.ask(
                "start",
                timeout_seconds=_ASK_SECONDS,
                words=prepared.words,
                environment=prepared.environment,
                directory=str(prepared.working_dir),
                output=str(prepared.messages),
            )
        except AgentGone as error:
            raise _gone_early(error) from error
        handle = {
            "pid": started["pid"],
            "start_time": started["start_time"],
            "containers": {node.spec.node_id: node.container_id for node in nodes},
            "killed_for_memory": [answer.get("killed_for_memory", 0) for answer in answers],
            "launched_at": self._clock.now().isoformat(),
        }
        return self._begin(plan, handle, nodes, launcher_lives=bool(started["start_time"]))

    async def adopt(self, plan: LaunchPlan, handle: Mapping[str, Any]) -> LaunchedJob:
        """As the protocol says. An empty handle is fine: the launcher has left its process id itself."""
        known: dict[str, Any] = {"pid": 0, "start_time": "", "launched_at": self._clock.now().isoformat(), **handle}
        nodes = [self._nodes.get(spec.node_id) or self._node(spec) for spec in plan.nodes]
        for node in nodes:
            self._nodes[node.spec.node_id] = node
            if not await node.take_over():
                self._gone(node, "its container ended while no emulator was there")
        first = nodes[0]
        lives = False
        with suppress(AgentGone):
            if not known["pid"]:
                known["pid"] = _launcher_of(plan)
                known["start_time"] = (
                    await first.agent.ask("start_time", timeout_seconds=_ASK_SECONDS, process_id=known["pid"])
                )["start_time"]
                lives = bool(known["start_time"])
            elif first.container_id == known.get("containers", {}).get(first.spec.node_id, first.container_id):
                answer = await first.agent.ask("start_time", timeout_seconds=_ASK_SECONDS, process_id=known["pid"])
                lives = answer["start_time"] == known["start_time"] != ""
        return self._begin(plan, known, nodes, launcher_lives=lives)

    async def end_leftovers(self, keep_labels: frozenset[str]) -> int:
        def leftovers(client: DockerClient) -> list[str]:
            found = client.api.containers(all=True, filters={"label": [f"{STATE_DIR_LABEL}={self._paths.root}"]})
            names = []
            for container in found:
                labels = container["Labels"]
                folder = self._paths.node(labels["localaml.workspace"], labels["localaml.cluster"], labels[NODE_LABEL])
                if labels[NODE_LABEL] not in mine and run_on(folder) not in keep_labels:
                    names.append(container["Id"])
            return names

        # Nodes that wait are started anew by whoever needs them.
        mine = frozenset(self._nodes) if keep_labels else frozenset()
        for node in () if keep_labels else list(self._nodes.values()):
            node.is_gone = node.was_stopped = True
            await node.settle()
        names = await self._engine.call(leftovers)
        await _all(self._engine.call(lambda client, name=name: remove(client, name)) for name in names)  # type: ignore[misc]
        if not keep_labels:
            self._nodes.clear()
        await self._engine.call(self._remove_empty_networks)
        return len(names)

    # -- inside: runs -------------------------------------------------------------------------------------------------

    def _begin(
        self, plan: LaunchPlan, handle: Mapping[str, Any], nodes: Sequence[Node], *, launcher_lives: bool
    ) -> LaunchedJob:
        async def look_around() -> None:
            await self._look_around(plan, handle, nodes)

        async def clear_up() -> None:
            del self._plans[plan.label]
            await self._hand_back(plan, nodes)
            for node in nodes:
                node.refresh()

        processes = ContainerProcesses([node.agent for node in nodes])
        job = LaunchedJob(plan, handle, self._paths.root, processes, self._clock, clear_up, look_around)
        self._plans[plan.label] = plan
        self._jobs.add(job)
        job.begin(launcher_lives, self._jobs.discard)
        return job

    async def _look_around(self, plan: LaunchPlan, handle: Mapping[str, Any], nodes: Sequence[Node]) -> None:
        """Marks what the nodes know about the end of a run's processes."""
        before = handle.get("killed_for_memory") or [0] * len(nodes)
        for node, killed in zip(nodes, before, strict=True):
            try:
                if node.is_gone:
                    raise AgentGone("the node has gone")
                answer = await node.agent.ask("hello", timeout_seconds=_ASK_SECONDS)
                if answer.get("killed_for_memory", 0) > killed:
                    self._mark_out_of_memory(plan, node.spec)
            except AgentGone:
                if node.was_stopped:
                    continue
                if await self._ran_out_of_memory(node):
                    self._mark_out_of_memory(plan, node.spec)
                mark(plan, NODE_LOST, node.spec.node_id)
                self._gone(node, "its container has ended")

    async def _ran_out_of_memory(self, node: Node) -> bool:
        with suppress(LocalAmlError):
            found = await self._engine.call(lambda client: client.api.inspect_container(node.container_id))
            return bool(found["State"].get("OOMKilled"))
        return False

    def _mark_out_of_memory(self, plan: LaunchPlan, node: NodeSpec) -> None:
        limit = self._limits(node).memory_bytes / _GIB
        mark(plan, OUT_OF_MEMORY, f"node {node.host_name} (limit {limit:.1f} GiB)")

    async def _hand_back(self, plan: LaunchPlan, nodes: Sequence[Node]) -> None:
        """Files that processes of other users wrote become the emulator's."""
        if os.getuid() == 0:
            return
        for node in nodes:
            with suppress(AgentGone, LocalAmlError):
                await node.agent.ask("own", paths=[str(plan.run_dir)], user=[os.getuid(), os.getgid()])
                return

    def _user(self) -> list[int] | None:
        """As whom a job's processes run; None for root."""
        text = self._settings.user or f"{os.getuid()}:{os.getgid()}"
        user, _, group = text.partition(":")
        numbers = [int(user), int(group or user)]
        return None if numbers == [0, 0] else numbers

    def _check_visible(self, prefix: Path, binds: Iterable[Any]) -> None:
        if not any(prefix == bind.path or bind.path in prefix.parents for bind in binds):
            raise Internal(
                "LAUNCH_FAILED", f"Open MPI in {prefix} is not mounted into the run's containers; a defect of LocalAML."
            )

    # -- inside: nodes ------------------------------------------------------------------------------------------------

    def _node(self, spec: NodeSpec) -> Node:
        if self._relay is None or self._facts is None:
            raise Internal("NOT_STARTED", "The runtime of containers was not started.")
        return Node(
            spec,
            folder=self._paths.node(spec.workspace_id, spec.cluster, spec.node_id),
            state_dir=self._paths.root,
            scripts=self._scripts,
            relay=self._relay,
            engine=self._engine,
            facts=self._facts,
            settings=self._settings,
            clock=self._clock,
        )

    async def _known(self, spec: NodeSpec) -> Node:
        node = self._nodes.get(spec.node_id)
        if node is None or node.is_gone:
            # A run may be launched on nodes that nobody has started.
            await self._ensure_network(spec)
            node = self._nodes[spec.node_id] = self._node(spec)
        return node

    def _limits(self, node: NodeSpec) -> Limits:
        if self._facts is None:
            return Limits(0, 0)
        return node_limits(node.vm_size, self._facts)

    def _run_folders(self, node: NodeSpec) -> Path:
        return self._paths.runs / node.workspace_id

    def _gone(self, node: Node, why: str) -> None:
        """A node went by itself: told once; what is left of it is removed."""
        if node.is_gone:
            return
        node.is_gone = True
        _LOG.warning("node %s has gone: %s", node.spec.node_id, why)
        self._spawn(self._remove_container(node))
        self._tell_lost(node.spec.node_id, why)

    async def _remove_container(self, node: Node) -> None:
        # Also a frozen one, or one without a network: nobody may wait for an answer of what is in it.
        with suppress(LocalAmlError):
            await node.remove_container()

    def _spawn(self, errand: Any) -> None:
        task = asyncio.get_running_loop().create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    # -- inside: networks ---------------------------------------------------------------------------------------------

    async def _ensure_network(self, node: NodeSpec) -> None:
        name = network_name(self._paths.root, node)
        labels = network_labels(self._paths.root, node)

        def ensure(client: DockerClient) -> None:
            from docker.errors import NotFound as Missing

            try:
                client.api.inspect_network(name)
            except Missing:
                client.api.create_network(name, driver="bridge", labels=labels)

        async with self._networks.setdefault(name, asyncio.Lock()):
            await self._engine.call(ensure)

    async def _remove_network(self, node: NodeSpec) -> None:
        name = network_name(self._paths.root, node)
        async with self._networks.setdefault(name, asyncio.Lock()):
            # It may be gone, or have another node by now.
            with suppress(NotFound, FailedPrecondition):
                await self._engine.call(lambda client: client.api.remove_network(name))

    def _remove_empty_networks(self, client: DockerClient) -> None:
        from docker.errors import APIError

        for network in client.api.networks(filters={"label": [f"{STATE_DIR_LABEL}={self._paths.root}"]}):
            with suppress(APIError):
                client.api.remove_network(network["Id"])

    async def _network_addresses(self, node: NodeSpec) -> str:
        """The addresses of the cluster's network."""
        found = await self._engine.call(lambda client: client.api.inspect_network(network_name(self._paths.root, node)))
        for configuration in found["IPAM"]["Config"] or ():
            if ":" not in configuration["Subnet"]:
                return str(configuration["Subnet"])
        return ""

    # -- inside: what the engine tells --------------------------------------------------------------------------------

    def _happened(self, event: Mapping[str, Any]) -> None:
        actor = event.get("Actor") or {}
        attributes = actor.get("Attributes") or {}
        is_network = event.get("Type") == "network"
        node = self._node_of(attributes.get("container", "") if is_network else actor.get("ID", ""))
        if node is None or node.is_gone:
            return
        match event.get("Action"):
            case "die" if not is_network:
                self._gone(node, f"its container ended with exit code {attributes.get('exitCode', '?')}")
            case "disconnect" if is_network:
                self._gone(node, "its container was cut off the cluster's network")
            case "pause" if not is_network and node.awaited_pauses:
                node.awaited_pauses -= 1
            case "pause" if not is_network:
                self._gone(node, "its container was paused from outside")
            case "oom" if not is_network:
                for plan in self._plans.values():
                    if any(spec.node_id == node.spec.node_id for spec in plan.nodes):
                        self._mark_out_of_memory(plan, node.spec)

    def _node_of(self, container_id: str) -> Node | None:
        return next((node for node in self._nodes.values() if container_id and node.container_id == container_id), None)

    def _connected(self) -> None:
        self._spawn(self._look_after_nodes())

    async def _look_after_nodes(self) -> None:
        """After a time without the engine's word: which containers are still there."""
        with suppress(LocalAmlError):
            found = await self._engine.call(
                lambda client: client.api.containers(filters={"label": [f"{STATE_DIR_LABEL}={self._paths.root}"]})
            )
            running = {container["Id"] for container in found}
            for node in list(self._nodes.values()):
                if node.container_id and node.container_id not in running:
                    self._gone(node, "its container ended with the Docker engine")
            if self._was_away:
                self._tell_recovered()
            self._was_away = True


def _same_cluster(one: NodeSpec, other: NodeSpec) -> bool:
    return (one.workspace_id, one.cluster) == (other.workspace_id, other.cluster)


def _launcher_of(plan: LaunchPlan) -> int:
    with suppress(OSError, ValueError):
        return int((plan.run_dir / "control" / "pid").read_text())
    return 0


async def _check_program(plan: LaunchPlan, node: Node) -> None:
    program = plan.argv[0] if plan.argv else ""
    if os.sep in program:
        try:
            answer = await node.agent.ask(
                "executable", timeout_seconds=_ASK_SECONDS, path=program, directory=str(plan.run_dir / "work")
            )
        except AgentGone as error:
            raise _gone_early(error) from error
        if not answer["executable"]:
            raise no_such_program(program)


def _gone_early(error: AgentGone) -> FailedPrecondition:
    return FailedPrecondition("NODE_LOST", f"A node of the run went before it could begin: {error}.")


def _copy_scripts(folder: Path) -> None:
    """What containers see must stay while they live, whatever becomes of the installation."""
    folder.mkdir(parents=True, exist_ok=True)
    launch = Path(str(resources.files("localaml.compute.launch")))
    agent = Path(str(resources.files("localaml.compute.docker"))) / "agent"
    scripts = (*sorted(agent.glob("*.py")), launch / "table.py", *sorted((launch / "scripts").iterdir()))
    for script in scripts:
        if script.is_file():
            shutil.copy(script, folder / script.name)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")


async def _all(work: Iterable[Any]) -> list[Any]:
    """All results; when one fails the others are waited for before that is told."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return list(done)


class _disk_errors:
    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            if is_disk_full(error):
                raise disk_full() from error
            raise FailedPrecondition(
                "LAUNCH_FAILED", f"The run's processes cannot be started: {error.strerror} ({error.filename})."
            ) from error


def _nobody(node_id: str, cause: str) -> None: ...


def _nothing() -> None: ...
