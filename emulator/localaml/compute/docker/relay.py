"""Leads what containers send to the emulator's own addresses to the emulator.

The emulator listens on this machine's loopback address only, which means nothing in a container. Each node's agent
listens on the same ports of the container's loopback address and hands connections on to unix sockets in a folder that
the node sees; what arrives there goes to the emulator's ports. So addresses and signed URLs are the same on both sides,
and no port of the emulator is open on any network.

Every node has sockets of its own, so that the connections of each are counted: a job that opens as many as it can takes
none from the others.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from localaml.compute.docker.agents import listen

_CHUNK = 256 * 1024
_HOST = "127.0.0.1"
MOST_OF_NODE = 256
"""Connections of one node at a time."""
_MOST_OF_ALL = 1024
# Each costs the emulator two descriptors, which its other callers need, too; see `is_admitted` for the other half.
_PART_OF_DESCRIPTORS = 6
# What every node can have, however many they are.
LEAST_OF_NODE = 8


def is_admitted(of_node: int, of_all: int, nodes: int, most_of_all: int) -> bool:
    """Whether a node may have one more connection.

    Up to `most_of_all` they go to whoever comes first. After that, those have some left who have less than their equal
    share; so there are never more than twice as many.

    Args:
        of_node: how many it has.
        of_all: how many there are.
        nodes: how many nodes there are.
    """
    share = max(LEAST_OF_NODE, most_of_all // max(1, nodes))
    return of_node < MOST_OF_NODE and (of_all < most_of_all or of_node < share)


def most_of_all() -> int:
    """What this process can afford."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return _MOST_OF_ALL
    return min(_MOST_OF_ALL, descriptors // _PART_OF_DESCRIPTORS)


@dataclass(slots=True)
class _Node:
    servers: list[asyncio.Server] = field(default_factory=list)
    connections: set[asyncio.Task[None]] = field(default_factory=set)


class Relay:
    """The emulator's end of it.

    Args:
        ports: of the emulator. In a node's folder there is a socket for each, named by its place in `ports`: after a
            restart a port may have another number, and containers that live on find it all the same.
        most: connections at a time, of all nodes (see `is_admitted`).
    """

    def __init__(self, ports: Sequence[int], most: int | None = None) -> None:
        self._ports = tuple(ports)
        self._most = most if most is not None else most_of_all()
        self._nodes: dict[Path, _Node] = {}

    def sockets(self, folder: str) -> dict[str, str]:
        """Port -> path of its socket, for a node that sees its sockets in `folder`."""
        return {str(port): f"{folder}/{_name(place)}" for place, port in enumerate(self._ports)}

    async def open(self, folder: Path) -> None:
        """Begins to listen for a node, in a folder that it alone sees; does nothing when it listens already."""
        if folder in self._nodes:
            return
        node = self._nodes[folder] = _Node()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place, port in enumerate(self._ports):
            listening = listen(folder, _name(place))
            node.servers.append(await asyncio.start_unix_server(self._to(port, node), sock=listening))

    async def shut(self, folder: Path) -> None:
        """Ends all connections of a node; a missing one is fine."""
        node = self._nodes.pop(folder, None)
        if node is None:
            return
        for server in node.servers:
            server.close()
        for connection in node.connections:
            connection.cancel()
        if node.connections:
            await asyncio.wait(set(node.connections))

    async def close(self) -> None:
        """Ends all connections."""
        for folder in list(self._nodes):
            await self.shut(folder)

    def _to(self, port: int, node: _Node):  # type: ignore[no-untyped-def]  # the callback's type has no name
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            of_all = sum(len(each.connections) for each in self._nodes.values())
            if not is_admitted(len(node.connections), of_all, len(self._nodes), self._most):
                writer.close()
                return
            node.connections.add(task)
            try:
                await _lead(port, reader, writer)
            finally:
                node.connections.discard(task)
                writer.close()

        return serve


def _name(place: int) -> str:
    return f"{place}.sock"


async def _lead(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.CancelledError):
        there_reader, there_writer = await asyncio.open_connection(_HOST, port)
        try:
            await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        finally:
            there_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
