"""Where a launch takes place: what differs between logical hosts of one machine and containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from localaml.compute.runtime import LaunchPlan, NodeSpec


@dataclass(frozen=True, slots=True)
class Entrance:
    """How the launcher of a run gets onto the first node.

    Attributes:
        enter: words in front of the launcher's shell.
        set_host_name: ``proc`` (write to /proc/sys/kernel/hostname), the path of hostname(1), or empty for no name.
        leave_privileges: words in front of the job's command that drop what `enter` had to grant.
    """

    enter: tuple[str, ...] = ()
    set_host_name: str = ""
    leave_privileges: tuple[str, ...] = ()


class Placement(Protocol):
    """The nodes of one launch, as its scripts see them."""

    @property
    def python(self) -> str:
        """Interpreter for LocalAML's own scripts, on the first node."""
        ...

    @property
    def scripts(self) -> Path:
        """Folder of these scripts, as the nodes see it."""
        ...

    @property
    def entrance(self) -> Entrance: ...

    def open_mpi_settings(self) -> Mapping[str, str]:
        """``OMPI_MCA_…`` variables that say which network Open MPI is to use."""
        ...

    def node_variables(self, node: NodeSpec) -> Mapping[str, str]:
        """What a node's processes need to know of it, beside its id."""
        ...

    def on_node(self, node: NodeSpec, words: Sequence[str]) -> list[str]:
        """The command that, given on the first node (or by the supervisor), starts `words` on a node."""
        ...

    def temporary_folder(self, number: int) -> str:
        """What TMPDIR says on a node, by its place in the plan, unless the run says something else: a folder that is
        there, that no other run uses, with a path that leaves room for unix sockets."""
        ...

    def make_scratch(self, plan: LaunchPlan) -> Path | None:
        """Makes the folder in which ranks share memory, with one folder for each node in it.

        None where every node has a place of its own for that.
        """
        ...

    def has_program(self, plan: LaunchPlan, program: str) -> bool:
        """False only when it is certain that a program given by its path cannot be executed."""
        ...
