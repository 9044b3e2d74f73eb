"""Where things are in a node's container, beside what is at the same path as on this machine."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/localaml")
# LocalAML's own scripts, read-only.
SCRIPTS = _ROOT / "scripts"
# The node's folder: the agent's settings and socket.
NODE = _ROOT / "node"
# The node's sockets that lead to the emulator.
RELAY = _ROOT / "relay"
# The agents' port on the cluster's network: far from those that frameworks use.
AGENT_PORT = 47817
# From here on, ports of processes that meet each other.
FIRST_JOB_PORT = 12000
