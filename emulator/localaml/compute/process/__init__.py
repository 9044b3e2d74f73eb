"""Nodes as logical hosts on this machine, runs as plain processes: no root, no Docker.

runtime      `ProcessRuntime`: nodes, launching, adopting, clearing up
isolation    how a process gets its node's host name (UTS namespaces), and what the kernel allows
ports        addresses at which processes meet, where all nodes share the machine's
"""

from localaml.compute.process.runtime import ProcessRuntime

__all__ = ["ProcessRuntime"]
