"""Trains a softmax classifier by a parameter server: the server holds the weights and applies what the workers send.

Data-parallel and asynchronous, as TensorFlow's ParameterServerStrategy: each worker has a part of the data, fetches the
weights, computes a gradient and sends it. The cluster is read from TF_CONFIG, as TensorFlow reads it.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import socketserver
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from azureml.core import Run

CLASSES, FEATURES, STEPS, RATE = 3, 4, 150, 0.2
config = json.loads(os.environ["TF_CONFIG"])
cluster, task = config["cluster"], config["task"]


def receive(connection: socket.socket) -> Any:
    (size,) = struct.unpack("!I", read(connection, 4))
    return pickle.loads(read(connection, size))


def read(connection: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return parts


def send(connection: socket.socket, value: Any) -> None:
    data = pickle.dumps(value)
    connection.sendall(struct.pack("!I", len(data)) + data)


def address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return host, int(port)


def serve() -> None:
    weights, lock = np.zeros((FEATURES + 1, CLASSES)), threading.Lock()
    updates = {"count": 0}

    class Requests(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                while True:
                    gradient = receive(self.request)
                    with lock:
                        if gradient is not None:
                            np.subtract(weights, RATE * gradient, out=weights)
                            updates["count"] += 1
                        answer = (weights.copy(), updates["count"])
                    send(self.request, answer)
            except EOFError:
                pass

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(address(cluster["ps"][task["index"]]), Requests) as server:
        print("serving on", socket.gethostname(), flush=True)
        server.serve_forever()


def part_of_data(index: int, count: int) -> tuple[Any, Any]:
    """The worker's rows of the same made-up clusters of points."""
    random = np.random.default_rng(7)
    centres = random.normal(size=(CLASSES, FEATURES)) * 3
    labels = random.integers(CLASSES, size=600)
    points = centres[labels] + random.normal(size=(600, FEATURES))
    points = np.hstack([points, np.ones((600, 1))])
    return points[index::count], labels[index::count]


def connect() -> socket.socket:
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(address(cluster["ps"][0]), timeout=30)
        except OSError:
            if time.monotonic() > deadline:
                raise
            threading.Event().wait(0.02)


def train() -> None:
    run = Run.get_context()
    points, labels = part_of_data(task["index"], len(cluster["worker"]))
    wanted = np.eye(CLASSES)[labels]
    with connect() as server:
        send(server, None)
        weights, _ = receive(server)
        for step in range(STEPS):
            scores = points @ weights
            likely = np.exp(scores - scores.max(axis=1, keepdims=True))
            likely /= likely.sum(axis=1, keepdims=True)
            if step % 30 == 0 and task["index"] == 0:
                run.log("loss", float(-np.log(likely[np.arange(len(labels)), labels] + 1e-9).mean()))
            send(server, points.T @ (likely - wanted) / len(labels))
            weights, updates = receive(server)
    everything, truth = part_of_data(0, 1)
    accuracy = float(((everything @ weights).argmax(axis=1) == truth).mean())
    print("trained on", socket.gethostname(), "accuracy", accuracy, "updates", updates, flush=True)
    # One folder for all nodes: the chief finds what the others have written.
    Path("outputs").mkdir(exist_ok=True)
    Path(f"outputs/worker_{task['index']}.txt").write_text(f"{socket.gethostname()} {accuracy}\n")
    if task["index"] == 0:
        run.log("accuracy", accuracy)
        np.save("outputs/weights.npy", weights)


if task["type"] == "ps":
    serve()
elif "--fail" in sys.argv and task["index"] == 1:
    sys.exit("this worker gives up")
else:
    train()
