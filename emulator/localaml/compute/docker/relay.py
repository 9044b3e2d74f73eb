"""Leads what containers send to the emulator's own addresses to the emulator.

The emulator listens on this machine's loopback address only, which means nothing in a container. Each node's agent
listens on the same ports of the container's loopback address and hands connections on to unix sockets in a folder that
all nodes see; what arrives there goes to the emulator's ports. So addresses and signed URLs are the same on both sides,
and no port of the emulator is open on any network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from localaml.compute.docker.agents import listen

_CHUNK = 256 * 1024
_HOST = "127.0.0.1"
# At once, of all containers: each costs the emulator two descriptors, which its other callers need, too.
MOST_CONNECTIONS = 256


class Relay:
    """The emulator's end of it.

    Args:
        folder: where the sockets are, one for each port, named by their place in `ports`: after a restart a port may
            have another number, and containers that live on find it all the same.
    """

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.folder = folder
        self._ports = tuple(ports)
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    def sockets(self, folder: str) -> dict[str, str]:
        """Port -> path of its socket, for nodes that see the sockets in `folder`."""
        return {str(port): f"{folder}/{_name(place)}" for place, port in enumerate(self._ports)}

    async def start(self) -> None:
        """Begins to listen."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for place, port in enumerate(self._ports):
            listening = listen(self.folder, _name(place))
            self._servers.append(await asyncio.start_unix_server(self._to(port), sock=listening))

    async def close(self) -> None:
        """Ends all connections."""
        for server in self._servers:
            server.close()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(set(self._connections))
        self._servers.clear()

    def _to(self, port: int):  # type: ignore[no-untyped-def]  # the callback's type has no name
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            if len(self._connections) >= MOST_CONNECTIONS:
                writer.close()
                return
            self._connections.add(task)
            try:
                await _lead(port, reader, writer)
            finally:
                self._connections.discard(task)
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
