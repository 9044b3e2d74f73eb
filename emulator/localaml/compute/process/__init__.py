"""Nodes as logical hosts on this machine, runs as plain processes: no root, no Docker.

runtime      `ProcessRuntime`: nodes, launching, adopting, clearing up
job          `ProcessJob`: one run's processes: waiting, ending, losing a node
launching    a plan turned into a command, an environment and scripts in the run's control folder
open_mpi     what mpirun has to be told for logical nodes on one machine
role_launch  what the supervisor is told of workers, parameter servers, and ranks without MPI
isolation    how a process gets its node's host name (UTS namespaces), and what the kernel allows
table        the machine's processes: which belong to a run
exits        waiting for the end of processes, children or not
results      exit records turned into a `LaunchResult`
scripts/     the shell that stays with the processes and leaves the records
"""

from localaml.compute.process.runtime import ProcessRuntime

__all__ = ["ProcessRuntime"]
