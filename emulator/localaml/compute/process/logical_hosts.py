"""The placement of a launch on logical hosts: namespaces with a host name, or nothing, on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from localaml.compute.launch.launching import node_scratch, scratch_folder
from localaml.compute.launch.placement import Entrance
from localaml.compute.process.isolation import Isolation, host_name_command
from localaml.compute.runtime import LaunchPlan, NodeSpec


class LogicalHosts:
    """See `localaml.compute.launch.placement.Placement`.

    Args:
        isolation: how processes get their node's host name.
        state_dir: of the emulator.
        temporary: a folder of the run for temporary files, with one folder for each node in it.
    """

    def __init__(self, isolation: Isolation, state_dir: Path, temporary: Path) -> None:
        self._isolation = isolation
        self._state_dir = state_dir
        self._temporary = temporary
        self.python = sys.executable
        self.scripts = Path(str(resources.files("localaml.compute.launch"))) / "scripts"
        self.entrance = Entrance(isolation.enter, isolation.set_host_name, isolation.leave_privileges)

    def open_mpi_settings(self) -> Mapping[str, str]:
        """All nodes share the machine's loopback interface."""
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        return {"OMPI_MCA_btl_tcp_if_include": loopback, "OMPI_MCA_oob_tcp_if_include": loopback}

    def node_variables(self, node: NodeSpec) -> Mapping[str, str]:
        # Tells Open MPI's daemon the name where it cannot be the machine's.
        return {} if self._isolation.names_hosts else {"PMIX_HOSTNAME": node.host_name}

    def on_node(self, node: NodeSpec, words: Sequence[str]) -> list[str]:
        isolation = self._isolation
        inner = f'{host_name_command(isolation)}; shift 2; exec "$@"'
        start = [*isolation.enter, "/bin/sh", "-c", inner, "sh", isolation.set_host_name, node.host_name]
        return [*(start if isolation.names_hosts else ()), *isolation.leave_privileges, *words]

    def temporary_folder(self, number: int) -> str:
        return str(self._temporary / str(number))

    def make_scratch(self, plan: LaunchPlan) -> Path:
        folder = scratch_folder(plan, self._state_dir)
        # Everybody may make folders there: one that exists and cannot be removed is not ours, and is not used.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        for node in plan.nodes:
            node_scratch(folder, node).mkdir()
        return folder

    def has_program(self, plan: LaunchPlan, program: str) -> bool:
        return os.access(plan.run_dir / "work" / program, os.X_OK)
