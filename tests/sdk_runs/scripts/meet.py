"""Ranks find each other by MASTER_ADDR and MASTER_PORT and add their numbers up: as torch.distributed begins."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
assert os.environ["AZ_BATCHAI_PYTORCH_INIT_METHOD"] == "tcp://{}:{}".format(*place)


def connect() -> socket.socket:
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(place, timeout=30)
        except OSError:
            if time.monotonic() > deadline:
                raise
            threading.Event().wait(0.02)


if rank == 0:
    with socket.create_server(place) as listening:
        others = [listening.accept()[0] for _ in range(world - 1)]
        total = sum(int(other.makefile().readline()) for other in others)
        for other in others:
            other.sendall(f"{total}\n".encode())
            other.close()
else:
    with connect() as master:
        master.sendall(f"{rank}\n".encode())
        total = int(master.makefile().readline())
own = [os.environ[name] for name in ("NODE_RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")]
print("rank", rank, "of", world, "total", total, "on", socket.gethostname(), *own, *sys.argv[1:])
