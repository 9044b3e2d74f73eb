"""`ProcessRuntime`: the node runtime that needs nothing but the machine."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from localaml import job_files
from localaml.clock import Clock
from localaml.compute.launch.exits import wait_for_exits
from localaml.compute.launch.job import LaunchedJob, remove_folder
from localaml.compute.launch.launching import (
    SHARED_MEMORY,
    PreparedLaunch,
    launcher_id,
    prepare_launch,
    scratch_folder,
    scratch_name,
    scratch_prefix,
)
from localaml.compute.launch.processes import LocalProcesses
from localaml.compute.launch.table import NODE, RUN_LABEL, STATE_DIR, ProcessTable
from localaml.compute.process.isolation import Isolation, probe_isolation
from localaml.compute.process.keeper import Keeper, is_available, is_guard
from localaml.compute.process.logical_hosts import LogicalHosts
from localaml.compute.process.ports import HOST, free_ports, loopback_interface
from localaml.compute.process.read_only import with_read_only
from localaml.compute.process.temporary_folders import TemporaryFolders
from localaml.compute.runtime import LaunchPlan, NodeSpec
from localaml.errors import FailedPrecondition, InvalidArgument, disk_full, is_disk_full
from localaml.paths import StatePaths

# What the kernel and Open MPI take for a host name (no dots: Open MPI cuts names at the first).
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
# After so long, a guard that was told that a run is over should have ended.
_GUARD_SECONDS = 30.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ProcessRuntime:
    """Nodes as host names with a folder, runs as processes in sessions of their own.

    Args:
        paths: of the state dir; two runtimes with different ones do not see each other's processes.
        clock: for grace periods and time-outs.
        isolation: how processes get their node's host name; probed at the first launch when not given.
        open_files: the soft limit of open files that jobs get; None for this process's one.
    """

    name = "process"

    def __init__(
        self, paths: StatePaths, clock: Clock, *, isolation: Isolation | None = None, open_files: int | None = None
    ) -> None:
        self._paths = paths
        self._clock = clock
        self._isolation = isolation
        self._open_files = open_files
        self._table = ProcessTable()
        self._processes = LocalProcesses(self._table, clock)
        self._temporary = TemporaryFolders(paths.temporary)
        self._keeper = Keeper() if is_available() else None
        self._jobs: set[LaunchedJob] = set()

    async def start(self) -> None:
        """Nothing to make ready: the machine's abilities are probed at the first launch."""

    async def close(self) -> None:
        for job in self._jobs:
            job.detach()
        self._jobs.clear()
        if self._keeper is not None:
            self._keeper.close()

    def runs_in_containers(self, node: NodeSpec) -> bool:
        return False

    def free_addresses(self, nodes: Sequence[NodeSpec]) -> list[str]:
        """Addresses of this machine: the names of logical nodes need not resolve."""
        return [f"{HOST}:{port}" for port in free_ports(len(nodes))]

    def network_interface(self, nodes: Sequence[NodeSpec]) -> str:
        return loopback_interface()

    def watch_nodes(self, lost: Callable[[str, str], None], recovered: Callable[[], None] | None = None) -> None:
        """Nothing to watch: such a node cannot go by itself."""

    def node_note(self, node: NodeSpec) -> str:
        return ""

    def lacks_gpus(self, node: NodeSpec) -> str:
        """A job sees what the machine has."""
        return ""

    async def start_node(self, node: NodeSpec) -> None:
        if not _HOST_NAME.match(node.host_name):
            raise InvalidArgument(
                "INVALID_HOST_NAME",
                f"{node.host_name!r} cannot be a node's host name: use 1 to 63 letters, digits and dashes.",
            )
        if self._keeper is not None:
            self._keeper.warm_up()
        try:
            self._folder(node).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if is_disk_full(error):
                raise disk_full() from error
            raise FailedPrecondition(
                "NODE_START_FAILED", f"The folder of node {node.node_id} cannot be made: {error.strerror}."
            ) from error

    async def stop_node(self, node: NodeSpec) -> None:
        await self._end({NODE: node.node_id})
        shutil.rmtree(self._folder(node), ignore_errors=True)

    async def cut_off(self, node: NodeSpec) -> None:
        raise FailedPrecondition(
            "NODES_SHARE_NETWORK", f"Node {node.host_name} shares this machine's loopback interface with all others."
        )

    async def launch(self, plan: LaunchPlan) -> LaunchedJob:
        if self._isolation is None:
            self._isolation = probe_isolation()
        try:
            temporary = self._temporary.make(plan.label, len(plan.nodes))
            hosts = LogicalHosts(self._isolation, self._paths.root, temporary)
            prepared = prepare_launch(plan, self._paths.root, hosts)
            entrance = await asyncio.to_thread(with_read_only, plan.read_only)
            prepared = replace(prepared, words=(*entrance, *prepared.words))
            with os.fdopen(job_files.open_append(plan.base, prepared.messages), "ab") as messages:
                started = await self._start(prepared, messages.fileno())
        except BaseException as error:
            self._temporary.remove(plan.label)
            if not isinstance(error, OSError):
                raise
            if is_disk_full(error):
                raise disk_full() from error
            raise FailedPrecondition(
                "LAUNCH_FAILED", f"The run's processes cannot be started: {error.strerror} ({error.filename})."
            ) from error
        handle = {**started, "boot": _boot(), "launched_at": self._clock.now().isoformat()}
        return self._begin(plan, handle)

    async def _start(self, prepared: PreparedLaunch, messages: int) -> dict[str, Any]:
        """Starts a launcher; what the handle says of it. Raises OSError."""
        words = (*self._with_limit(), *prepared.words)
        if self._keeper is not None:
            kept = await self._keeper.start(words, prepared.environment, prepared.working_dir, messages)
            return {
                "pid": kept.launcher,
                "start_time": kept.launcher_start_time,
                "guard": kept.guard,
                "guard_start_time": kept.guard_start_time,
            }
        process = subprocess.Popen(
            words,
            env=prepared.environment,
            cwd=prepared.working_dir,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            start_new_session=True,
        )
        # From here on it is waited for by its id, as an adopted one is; a dropped Popen would warn, and reap it unseen.
        process.returncode = 0
        return {"pid": process.pid, "start_time": self._table.start_time(process.pid)}

    def _with_limit(self) -> tuple[str, ...]:
        """Words in front of a command: a job has the limit that the emulator was started with, not our raised one."""
        if self._open_files is None:
            return ()
        limit = "unlimited" if self._open_files == resource.RLIM_INFINITY else str(self._open_files)
        return ("/bin/sh", "-c", 'ulimit -S -n "$0"; exec "$@"', limit)

    async def adopt(self, plan: LaunchPlan, handle: Mapping[str, Any]) -> LaunchedJob:
        """As the protocol says. An empty handle is fine: the emulator was killed between the start of the processes and
        the note of it; the launcher has left its process id itself."""
        known = {"pid": 0, "start_time": "", "boot": "", "launched_at": self._clock.now().isoformat(), **handle}
        if not known["pid"]:
            known.update(self._find_launcher(plan))
        return self._begin(plan, known)

    async def end_leftovers(self, keep_labels: frozenset[str]) -> int:
        ended = await self._end({}, keep_labels)
        keep = {scratch_name(label, self._paths.root) for label in keep_labels}
        for folder in SHARED_MEMORY.glob(f"{scratch_prefix(self._paths.root)}*"):
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        await asyncio.to_thread(self._temporary.remove_all_but, keep_labels)
        return ended

    def _begin(self, plan: LaunchPlan, handle: Mapping[str, Any]) -> LaunchedJob:
        scratch = scratch_folder(plan, self._paths.root)

        async def clear_up() -> None:
            await remove_folder(scratch)
            await asyncio.to_thread(self._temporary.remove, plan.label)

        job = LaunchedJob(plan, handle, self._paths.root, self._processes, self._clock, clear_up)
        self._jobs.add(job)
        lives, is_guarded = (
            handle["boot"] == _boot() and self._table.start_time(handle.get(name, 0)) == handle.get(time, "") != ""
            for name, time in (("pid", "start_time"), ("guard", "guard_start_time"))
        )
        job.begin(lives, self._jobs.discard, guard_lives=is_guarded)
        return job

    def _folder(self, node: NodeSpec) -> Path:
        return self._paths.node(node.workspace_id, node.cluster, node.node_id)

    async def _end(self, variables: Mapping[str, str], keep_labels: frozenset[str] = frozenset()) -> int:
        """Ends processes of runs of this state dir that have the variables, except labels to keep; returns how many."""
        ended: set[int] = set()
        sessions: set[int] = set()
        guards: set[int] = set()
        while True:
            found = self._of_runs(variables, keep_labels)
            if not variables:
                found = self._with_sessions(found, sessions)
            if not found:
                await self._wait_for_guards(guards)
                return len(ended)
            ended.update(found)
            if not variables:
                guards.update(parent for parent in map(self._table.parent, found) if is_guard(parent))
            self._table.send(found, signal.SIGKILL)
            await wait_for_exits(found, self._table, self._clock)

    async def _wait_for_guards(self, guards: set[int]) -> None:
        """Returns when those who end what was left of runs have done it."""
        for signal_number in (signal.SIGCONT, signal.SIGQUIT):
            self._table.send(sorted(guards), signal_number)
        with suppress(TimeoutError):
            await asyncio.wait_for(wait_for_exits(guards, self._table, self._clock), _GUARD_SECONDS)

    def _of_runs(self, variables: Mapping[str, str], keep_labels: frozenset[str]) -> list[int]:
        # The variable of the state dir alone proves nothing: people export it in their shells.
        candidates = self._table.find({STATE_DIR: str(self._paths.root), **variables})
        labels = {process_id: self._table.environment(process_id).get(RUN_LABEL) for process_id in candidates}
        ours = self._table.ancestors(os.getpid())
        return [
            process_id
            for process_id, label in labels.items()
            if label is not None and label not in keep_labels and process_id not in ours
        ]

    def _with_sessions(self, found: list[int], sessions: set[int]) -> list[int]:
        """Also those of the same sessions: one that is in the midst of an exec has no environment to be known by.

        Args:
            sessions: those that are known; gets those of `found`.
        """
        for process_id in found:
            with suppress(ProcessLookupError):
                sessions.add(os.getsid(process_id))
        # A session that is also ours is not one that a launcher began.
        sessions.difference_update(_session_of(process_id) for process_id in self._table.ancestors(os.getpid()))
        return sorted({*found, *(other for session in sessions for other in self._table.find({}, session=session))})

    def _find_launcher(self, plan: LaunchPlan) -> Mapping[str, Any]:
        process_id = launcher_id(plan)
        start_time = self._table.start_time(process_id)
        environment = self._table.environment(process_id)
        if environment.get(RUN_LABEL) != plan.label or environment.get(STATE_DIR) != str(self._paths.root):
            return {}
        found = {"pid": process_id, "start_time": start_time, "boot": _boot()}
        guard = self._table.parent(process_id)
        if is_guard(guard):
            found.update(guard=guard, guard_start_time=self._table.start_time(guard))
        return found


def _session_of(process_id: int) -> int:
    try:
        return os.getsid(process_id)
    except OSError:
        return 0


def _boot() -> str:
    """An id of the machine's current boot; empty where there is none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
