"""Nodes as containers of a Docker engine on this machine.

engine        the engine's API, in threads, with our errors
runtime       `DockerRuntime`: starting nodes, launching, adopting
nodes, node   the nodes that there are, and one node's container from its start to its removal
containers    what a node's container is like: mounts, limits, labels
networks      one for each cluster
agents        the emulator's side of the node agents
processes     a run's processes in containers, for `compute.launch.job`
placement     how launch scripts reach the other containers
run_ends      what nodes know about the end of a run: that one was lost, or ran out of memory
relay         lets processes in containers reach the emulator at the address that it has here
ownerless     removes what is left of state dirs that exist no more
events        what the engine tells of containers that end, run out of memory, are paused or cut off
agent/        process 1 of each container, and the launch agent

images        which image a run means, and how it is had; with image_names, image_transfer (pull, build), image_facts
              (its Python), registry_secrets, dockerfiles, helpers (containers for a moment), shared_work, interruption
"""
