"""Many connections that want nothing: the owner is answered, runs go on, the log stays small, and they are closed."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulator_process import EmulatorProcess

from localaml.descriptors import connection_shares

# Starting and asking are processes that import a lot; deadlines of the emulator pass, too.
pytestmark = pytest.mark.timeout(400)
# What the emulator may have, in the soft and in the hard limit.
SOFT, HARD = 128, 320
COUNT = 400
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    wrapper = tmp_path / "python"
    limits = f"ulimit -S -n {SOFT} && ulimit -H -n {HARD} || exit 1"
    wrapper.write_text(f'#!/bin/sh\n{limits}\nexec "{sys.executable}" "$@"\n')
    wrapper.chmod(0o755)
    process = EmulatorProcess(
        tmp_path / "state",
        tmp_path / "cache",
        program=wrapper,
        request_head_seconds=5.0,
        request_stall_seconds=5.0,
        idle_connection_seconds=2.0,
    )
    with process:
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (HARD, HARD)
        yield process


@pytest.fixture
def crowd() -> Iterator[ExitStack]:
    with ExitStack() as sockets:
        yield sockets


def connect(crowd: ExitStack, address: str, data: bytes) -> socket.socket:
    host, _, port = address.rpartition("/")[2].partition(":")
    sock = crowd.enter_context(socket.create_connection((host, int(port)), timeout=30))
    with suppress(OSError):  # refused already
        sock.sendall(data)
    return sock


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side has ended a connection; waits for it."""
    try:
        while sock.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def call(emulator: EmulatorProcess, method: str, body: dict[str, Any]) -> dict[str, Any]:
    token = Path(emulator.endpoint["token_file"]).read_text().strip()
    request = urllib.request.Request(
        f"{emulator.endpoint['http_address']}/localaml.v1.{method}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


_SUBMIT = """
import sys
from azureml.core import Experiment, Workspace, ScriptRunConfig
workspace = Workspace.create("ws", subscription_id="s", resource_group="g", exist_ok=True)
config = ScriptRunConfig(source_directory=sys.argv[1], script="train.py")
config.run_config.environment.python.user_managed_dependencies = True
run = Experiment(workspace, "crowd").submit(config)
run.wait_for_completion(raise_on_error=True)
print(run.get_metrics())
"""
_TRAIN = """
import resource
from azureml.core import Run
Run.get_context().log("files", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def work_of_the_owner(emulator: EmulatorProcess, folder: Path) -> None:
    """A submit to its end by the SDK, and the command line."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "train.py").write_text(_TRAIN)
    environment = {**os.environ, **emulator.variables()}
    done = subprocess.run(
        [sys.executable, "-c", _SUBMIT, str(source)], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr + emulator.log()[-4000:]
    # Jobs have the limit with which the emulator was started.
    assert done.stdout.splitlines()[-1] == f"{{'files': {SOFT}}}"
    listed = subprocess.run(
        [sys.executable, "-m", "localaml.cli", "run", "list", "-w", "ws", "--state-dir", str(emulator.state_dir)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert listed.returncode == 0, listed.stderr
    assert "Completed" in listed.stdout


def test_half_sent_requests_and_idle_connections(emulator: EmulatorProcess, crowd: ExitStack, tmp_path: Path) -> None:
    http, grpc = emulator.endpoint["http_address"], emulator.endpoint["grpc_address"]
    shares = connection_shares(HARD)
    assert 4 * max(shares.http, shares.grpc) < COUNT
    halves = [connect(crowd, http, b"POST /localaml.v1.RunService/GetRun HTTP/1.1\r\nHost: x") for _ in range(COUNT)]
    bodies = [
        connect(
            crowd,
            http,
            b"POST /localaml.v1.RunService/GetRun HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\nAuthorization: Bearer lar1.none.none\r\n\r\n{",
        )
        for _ in range(COUNT)
    ]
    silent = [connect(crowd, grpc, data) for data in (b"", PREFACE) for _ in range(COUNT)]
    work_of_the_owner(emulator, tmp_path)
    assert all(map(is_closed, halves))
    assert all(map(is_closed, bodies))
    assert all(map(is_closed, silent))
    # If anything was refused: one line a minute.
    assert len(emulator.log()) < 10_000
    assert emulator.log().count("refused") < 10


def test_the_owner_gets_in_while_all_places_are_taken(emulator: EmulatorProcess, crowd: ExitStack) -> None:
    """No place is free, and none of a deadline has passed yet."""
    shares = connection_shares(HARD)
    half = b"POST /localaml.v1.RunService/GetRun HTTP/1.1\r\nHost: x"
    taken = [connect(crowd, emulator.endpoint["http_address"], half) for _ in range(shares.http)]
    assert call(emulator, "WorkspaceService/ListWorkspaces", {}) == {}
    assert is_closed(taken[0])  # the oldest one went for it
    for _ in range(2 * shares.grpc):
        connect(crowd, emulator.endpoint["grpc_address"], PREFACE)
    words = [sys.executable, "-m", "localaml.cli", "workspace", "list", "--state-dir", str(emulator.state_dir)]
    done = subprocess.run(
        words, env={**os.environ, **emulator.variables()}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "There are no workspaces" in done.stderr


def test_bodies_that_stand_still_are_given_up(emulator: EmulatorProcess, crowd: ExitStack) -> None:
    """The owner's own, with a good token: 64 bytes at once, then silence."""
    token = Path(emulator.endpoint["token_file"]).read_text().strip()
    head = (
        "POST /localaml.v1.WorkspaceService/ListWorkspaces HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: 65\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    still = [connect(crowd, emulator.endpoint["http_address"], head + b" " * 64) for _ in range(10)]
    assert call(emulator, "WorkspaceService/ListWorkspaces", {}) == {}
    assert all(map(is_closed, still))
