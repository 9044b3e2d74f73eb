"""The HTTP port: a listening socket, the connections, and their orderly end."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from localaml.gateway.http_connection import HttpConnection
from localaml.gateway.messages import Handler

# Large transfers that may run at the same time; further ones wait.
_TRANSFER_THREADS = 32


class HttpServer:
    """Serves HTTP/1.1 on a socket that is bound already."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[HttpConnection] = set()
        self._executor = ThreadPoolExecutor(_TRANSFER_THREADS, thread_name_prefix="localaml-bytes")
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Listens on `sock`, which the server owns from now on."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(self._handler, self._executor, self._connections), sock=sock, backlog=1024
        )

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Takes no more connections, gives running requests `grace_seconds` to end, then ends them."""
        if self._server is not None:
            self._server.close()
        tasks = {task for connection in list(self._connections) if (task := connection.finish()) is not None}
        if tasks and grace_seconds > 0:
            _, tasks = await asyncio.wait(tasks, timeout=grace_seconds)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for connection in list(self._connections):
            connection.abort()
        # All threads have ended with their tasks; nothing is left to wait for.
        self._executor.shutdown(wait=False, cancel_futures=True)
