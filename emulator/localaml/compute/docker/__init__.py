"""Nodes as containers of a Docker engine on this machine.

engine       the engine's API, in threads, with our errors
runtime      `DockerRuntime`: nodes, launching, adopting, clearing up
containers   what a node's container is like: mounts, limits, labels, network
agents       the emulator's side of the node agents
processes    a run's processes in containers, for `compute.launch.job`
placement    how launch scripts reach the other containers
relay        lets processes in containers reach the emulator at the address that it has here
events       what the engine tells of containers that end, run out of memory, are paused or cut off
agent/       process 1 of each container
"""
