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

from localaml import job_files
from localaml.clock import Clock
from localaml.compute.docker import layout
from localaml.compute.docker.agents import AgentGone, number_in, text_in
from localaml.compute.docker.containers import (
    shape_of,
)
from localaml.compute.docker.events import EngineEvents
from localaml.compute.docker.images import with_binds
from localaml.compute.docker.networks import ClusterNetworks
from localaml.compute.docker.node import Node
from localaml.compute.docker.nodes import Nodes
from localaml.compute.docker.outcomes import all_of, disk_errors
from localaml.compute.docker.placement import TOKEN, Containers
from localaml.compute.docker.processes import ContainerProcesses
from localaml.compute.docker.relay import Relay
from localaml.compute.docker.run_ends import OWN_SECONDS, RunEnds
from localaml.compute.launch.job import LaunchedJob
from localaml.compute.launch.launching import launcher_id, no_such_program, prepare_launch
from localaml.compute.launch.table import RUN_LABEL, STATE_DIR
from localaml.compute.runtime import Bind, LaunchPlan, NodeSpec
from localaml.errors import (
    FailedPrecondition,
    Internal,
    InvalidArgument,
    LocalAmlError,
)
from localaml.paths import StatePaths
from localaml.settings import DockerSettings

if TYPE_CHECKING:
    from localaml.compute.docker.engine import Engine
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
        shown: folders of this machine that all runs see. Nodes get to see them from the start: else the first run on
            each would need another container than the one that waits for it.
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
        shown: Sequence[Path] = (),
    ) -> None:
        self._paths = paths
        self._clock = clock
        self._engine = engine
        self._images = images
        self._settings = settings
        self._relay_ports = relay_ports
        self._shown = tuple(shown)
        self._folder = paths.root / "docker-nodes"
        self._scripts = self._folder / "scripts"
        self._relay: Relay | None = None
        self._events: EngineEvents | None = None
        self._jobs: set[LaunchedJob] = set()
        self._networks = ClusterNetworks(engine, paths.root)
        self._nodes = Nodes(engine, paths, self._scripts, settings, clock)
        self._ends = RunEnds(engine, self._nodes)
        self._next_port = count()

    # -- life ---------------------------------------------------------------------------------------------------------

    def watch_nodes(self, lost: Callable[[str, str], None], recovered: Callable[[], None] | None = None) -> None:
        self._nodes.watch(lost, recovered)

    async def start(self) -> None:
        """Raises Unavailable ``DOCKER_ENGINE_UNAVAILABLE``, FailedPrecondition ``DOCKER_PACKAGE_MISSING``."""
        facts = await self._engine.facts(_ENGINE_SECONDS)
        await asyncio.to_thread(_copy_scripts, self._scripts)
        self._relay = relay = Relay(self._relay_ports())
        self._nodes.begin(facts, relay, self._ends.noticed_out_of_memory)
        self._events = EngineEvents(self._engine, self._nodes.happened, self._nodes.connected)

    async def close(self) -> None:
        """Jobs go on, and so do their nodes. Those that wait for a run go: nobody would look after them."""
        for job in self._jobs:
            job.detach()
        self._jobs.clear()
        with suppress(LocalAmlError):
            await self._nodes.close()
            await self._networks.remove_empty()
        if self._events is not None:
            await self._events.close()
        if self._relay is not None:
            await self._relay.close()
        self._engine.close()

    # -- nodes --------------------------------------------------------------------------------------------------------

    def runs_in_containers(self, node: NodeSpec) -> bool:
        return True

    def node_note(self, node: NodeSpec) -> str:
        return self._nodes.limits(node).note

    def lacks_gpus(self, node: NodeSpec) -> str:
        return self._nodes.lacks_gpus()

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
        plan = with_binds(await self._images.default(), map(Bind, self._shown))
        shape = shape_of(plan, self._run_folders(node), self._settings)
        await self._networks.ensure(node)
        made = self._nodes.add(node)
        try:
            with disk_errors():
                await made.start(shape)
        except BaseException:
            self._nodes.drop(node)
            raise

    async def stop_node(self, node: NodeSpec) -> None:
        known = self._nodes.get(node.node_id) or self._nodes.add(node)
        self._nodes.drop(node)
        await known.stop()
        if not self._nodes.of_cluster(node):
            await self._networks.remove(node)

    async def cut_off(self, node: NodeSpec) -> None:
        """The engine tells of it, and the node is lost."""
        known = self._nodes.get(node.node_id)
        if known is not None and known.container_id and not known.is_gone:
            await self._networks.disconnect(node, known.container_id)

    # -- runs ---------------------------------------------------------------------------------------------------------

    async def launch(self, plan: LaunchPlan) -> LaunchedJob:
        if plan.container is None:
            raise Internal("LAUNCH_FAILED", "The run has no container to start in; this is a defect of LocalAML.")
        nodes = [await self._started(spec) for spec in plan.nodes]
        first = nodes[0]
        shape = shape_of(plan.container, self._run_folders(first.spec), self._settings)
        if plan.open_mpi_prefix is not None:
            self._check_visible(plan.open_mpi_prefix, shape.binds)
        user = self._user()
        owned = [str(plan.run_dir), *(str(bind.path) for bind in plan.container.binds if bind.writable)]
        try:
            with disk_errors():
                await all_of(node.make_ready(shape) for node in nodes)
                await _check_program(plan, first)
                network = await self._networks.addresses(first.spec) if len(nodes) > 1 else ""
                prepared = prepare_launch(plan, self._paths.root, Containers(plan.container, first.spec, network))
                token = secrets.token_hex(32)
                job_files.write(plan.base, plan.run_dir / "control" / TOKEN, token.encode("ascii"), mode=0o600)
            for node in nodes:
                node.begin(plan.label)
            answers = await all_of(
                node.agent.ask("expect", timeout_seconds=_ASK_SECONDS, token=token, user=user) for node in nodes
            )
            if user is not None:
                await first.agent.ask("own", timeout_seconds=OWN_SECONDS, paths=owned, user=user)
            started = await first.agent.ask(
                "start",
                timeout_seconds=_ASK_SECONDS,
                words=prepared.words,
                environment=prepared.environment,
                directory=str(prepared.working_dir),
                output=str(prepared.messages),
            )
        except BaseException as error:
            # Whatever has become of it: those that have been woken up go to rest again.
            for node in nodes:
                node.refresh()
            if isinstance(error, AgentGone):
                raise _gone_early(error) from error
            raise
        handle = {
            "pid": number_in(started, "pid"),
            "start_time": text_in(started, "start_time"),
            "containers": {node.spec.node_id: node.container_id for node in nodes},
            "killed_for_memory": [number_in(answer, "killed_for_memory") for answer in answers],
            "owned": owned,
            "launched_at": self._clock.now().isoformat(),
        }
        return self._begin(plan, handle, nodes, launcher_lives=bool(handle["start_time"]))

    async def adopt(self, plan: LaunchPlan, handle: Mapping[str, Any]) -> LaunchedJob:
        """As the protocol says. An empty handle is fine: the launcher has left its process id itself."""
        known: dict[str, Any] = {"pid": 0, "start_time": "", "launched_at": self._clock.now().isoformat(), **handle}
        nodes = [self._nodes.get(spec.node_id) or self._nodes.add(spec) for spec in plan.nodes]
        for node in nodes:
            if not await node.take_over():
                self._nodes.lose(node, "its container ended while no emulator was there")
        first = nodes[0]
        lives = False
        with suppress(AgentGone):
            if not known["pid"]:
                known.update(await self._find_launcher(plan, first))
                lives = bool(known["start_time"])
            elif first.container_id == known.get("containers", {}).get(first.spec.node_id, first.container_id):
                answer = await first.agent.ask("start_time", timeout_seconds=_ASK_SECONDS, process_id=known["pid"])
                lives = text_in(answer, "start_time") == known["start_time"] != ""
        return self._begin(plan, known, nodes, launcher_lives=lives)

    async def end_leftovers(self, keep_labels: frozenset[str]) -> int:
        count = await self._nodes.end_leftovers(keep_labels)
        await self._networks.remove_empty()
        return count

    async def _started(self, spec: NodeSpec) -> Node:
        node = self._nodes.get(spec.node_id)
        if node is None or node.is_gone:
            # A run may be launched on nodes that nobody has started.
            await self._networks.ensure(spec)
            node = self._nodes.add(spec)
        return node

    async def _find_launcher(self, plan: LaunchPlan, first: Node) -> Mapping[str, Any]:
        """The launcher, by the process id that it has left, if that is a process of the run."""
        number = launcher_id(plan)
        variables = {RUN_LABEL: plan.label, STATE_DIR: str(self._paths.root)}
        if number not in await ContainerProcesses([first.agent]).find(variables):
            return {}
        answer = await first.agent.ask("start_time", timeout_seconds=_ASK_SECONDS, process_id=number)
        return {"pid": number, "start_time": text_in(answer, "start_time")}

    def _run_folders(self, node: NodeSpec) -> Path:
        return self._paths.runs / node.workspace_id

    # -- inside: runs -------------------------------------------------------------------------------------------------

    def _begin(
        self, plan: LaunchPlan, handle: Mapping[str, Any], nodes: Sequence[Node], *, launcher_lives: bool
    ) -> LaunchedJob:
        async def look_around() -> None:
            await self._ends.look_around(plan, handle, nodes)

        async def clear_up() -> None:
            await self._ends.hand_back(plan, handle.get("owned") or [str(plan.run_dir)], nodes)
            for node in nodes:
                node.refresh()

        processes = ContainerProcesses([node.agent for node in nodes])
        job = LaunchedJob(plan, handle, self._paths.root, processes, self._clock, clear_up, look_around)
        self._ends.going_on(plan)
        self._jobs.add(job)
        job.begin(launcher_lives, self._jobs.discard)
        return job

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


async def _check_program(plan: LaunchPlan, node: Node) -> None:
    program = plan.argv[0] if plan.argv else ""
    if os.sep in program:
        try:
            answer = await node.agent.ask(
                "executable", timeout_seconds=_ASK_SECONDS, path=program, directory=str(plan.run_dir / "work")
            )
        except AgentGone as error:
            raise _gone_early(error) from error
        if not answer.get("executable"):
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
