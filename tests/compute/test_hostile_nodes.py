"""What a job that is root in its container finds there, and what it can do to its node, its agent and the emulator."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.compute.machine import FOREVER, PYTHON, DockerMachine, Machine, ended, printed

from localaml.clock import RealClock
from localaml.compute.docker import processes, relay
from localaml.compute.docker.agents import Agent, AgentGone
from localaml.compute.docker.layout import AGENT_PORT
from localaml.compute.docker.processes import ContainerProcesses
from localaml.compute.docker.relay import Relay
from localaml.errors import FailedPrecondition

MULTIPLIES = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        while True:
            if os.fork():
                os._exit(0)
print('ready')
time.sleep(600)
"""


async def test_processes_that_start_others_as_fast_as_they_are_killed(machine: Machine) -> None:
    plan = machine.plan("multiplies", PYTHON, "-uc", MULTIPLIES)
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    await asyncio.wait_for(job.terminate(0), 25)
    assert not machine.processes(plan)


# -- answers that an agent in the hands of a job may give ------------------------------------------------------------


@asynccontextmanager
async def _agent(folder: Path, answer: bytes) -> AsyncIterator[Agent]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    folder.mkdir()
    server = await asyncio.start_unix_server(serve, str(folder / "agent.sock"))
    async with server:
        yield Agent(folder, RealClock())


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]\n", b"1\n", b"{\n", b"\xff\n", b"[" * 100_000 + b"\n", b"{" + b" " * (17 << 20) + b"}\n", b"{}"],
)
async def test_nonsense_is_no_answer(tmp_path: Path, answer: bytes) -> None:
    async with _agent(tmp_path / "node", answer) as agent:
        with pytest.raises(AgentGone):
            await agent.ask("hello", timeout_seconds=20)
        assert await ContainerProcesses([agent]).find({"A": "b"}) == []


@pytest.mark.parametrize("found", [5, None, ["x"], [None], [-1], [1 << 40], [1e400], [[1]], {"1": 2}, [True]])
async def test_what_is_no_process_is_none(tmp_path: Path, found: object) -> None:
    answer = {"found": found, "mortal": found, "environments": found, "killed_for_memory": "much"}
    async with _agent(tmp_path / "node", json.dumps(answer).encode() + b"\n") as agent:
        known = ContainerProcesses([agent])
        assert await known.find({"A": "b"}) == []
        assert await known.mortal([7], signal.SIGTERM) == []
        assert await known.environments([7]) == {7: {}}


async def test_a_reason_is_short(tmp_path: Path) -> None:
    answer: Mapping[str, Any] = {"error": ["x" * 10_000], "file": {"y": "z" * 10_000}}
    async with _agent(tmp_path / "node", json.dumps(answer).encode() + b"\n") as agent:
        with pytest.raises(FailedPrecondition) as caught:
            await agent.ask("start", timeout_seconds=20)
        assert len(str(caught.value)) < 1000


async def test_another_socket_in_the_place_of_the_agents(tmp_path: Path) -> None:
    async with _agent(tmp_path / "node", b"{}\n") as agent:
        agent.identity = agent.found()
        assert await agent.ask("hello", timeout_seconds=20) == {}
        path = tmp_path / "node" / "agent.sock"
        path.rename(tmp_path / "node" / "aside")
        for put in (lambda: path.symlink_to("aside"), lambda: os.mkfifo(path), lambda: _bind(path)):
            put()  # type: ignore[no-untyped-call]
            with pytest.raises(AgentGone):
                await agent.ask("hello", timeout_seconds=20)
            path.unlink()


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


async def test_a_node_that_takes_all_connections_takes_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "LEAST_OF_NODE", 1)
    answers = {}
    async with _relay(tmp_path, most=4) as connect:
        for node in ("greedy", "greedy", "greedy", "greedy", "greedy", "other", "other", "third", "greedy"):
            answers.setdefault(node, []).append(await connect(node))
    # Of four, each of three has a share of one.
    assert answers == {"greedy": [b"hello"] * 4 + [b""] * 2, "other": [b"hello", b""], "third": [b"hello"]}


async def test_a_node_has_no_more_connections_than_one_can_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "MOST_OF_NODE", 2)
    async with _relay(tmp_path, most=100) as connect:
        assert [await connect("greedy") for _ in range(3)] == [b"hello", b"hello", b""]


async def test_a_connection_that_has_ended_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "MOST_OF_NODE", 1)
    async with _relay(tmp_path, most=100, stays=False) as connect:
        for _ in range(3):
            # The other end's is told a moment later.
            while await connect("other") != b"hello":
                await asyncio.sleep(0)


@pytest.mark.parametrize("nodes", [1, 2, 7, 100])
@pytest.mark.parametrize("most", [8, 170, 1024])
def test_how_many_connections_there_can_be(nodes: int, most: int) -> None:
    """Whoever comes first takes what there is: all others still get their share, and all together are limited."""
    counts = [0] * nodes
    for number in range(nodes):
        while relay.is_admitted(counts[number], sum(counts), nodes, most):
            counts[number] += 1
    assert min(counts) >= min(relay.LEAST_OF_NODE, most)
    assert max(counts) <= relay.MOST_OF_NODE
    assert sum(counts) <= most + max(most, nodes * relay.LEAST_OF_NODE)


@asynccontextmanager
async def _relay(folder: Path, *, most: int, stays: bool = True) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
    """Opens a connection of a node, which stays open, and has it answered: empty when it is refused."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    led = Relay([server.sockets[0].getsockname()[1]], most)
    opened = []
    for name in ("greedy", "other", "third"):
        await led.open(folder / name)
        await led.open(folder / name)

    async def connect(name: str) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(folder / name / "0.sock"))
        opened.append(writer)
        try:
            writer.write(b"hello")
            return await asyncio.wait_for(reader.read(5), 10)
        except ConnectionError:
            return b""
        finally:
            if not stays:
                writer.close()

    yield connect
    for writer in opened:
        writer.close()
    await led.close()
    server.close()


# -- containers -------------------------------------------------------------------------------------------------------

INSPECT = """
import glob, json, os, socket
status = dict(line.rstrip().split(':\\t', 1) for line in open('/proc/self/status') if ':\\t' in line)
mounts = [line.split(' - ')[0].split()[4:6] for line in open('/proc/self/mountinfo')]
def tried(what):
    try:
        return what() or True
    except OSError as error:
        return error.strerror
def connect(host, port):
    with socket.create_connection((host, port), 2):
        return 'connected'
def first(path):
    for name in ('memory/memory.limit_in_bytes', 'memory.max') if path == 'memory' else ('pids/pids.max', 'pids.max'):
        if os.path.exists('/sys/fs/cgroup/' + name):
            return open('/sys/fs/cgroup/' + name).read().strip()
gateway = socket.gethostbyname(socket.gethostname()).rsplit('.', 1)[0] + '.1'
print(json.dumps({
    'capabilities': status['CapEff'].strip(), 'bounding': status['CapBnd'].strip(),
    'no_new_privileges': status['NoNewPrivs'].strip(), 'seccomp': status['Seccomp'].strip(),
    'memory': first('memory'), 'pids': first('pids'),
    'writable': sorted(place for place, options in mounts
                       if 'rw' in options.split(',') and not place.startswith(('/proc', '/dev'))),
    'engine': [path for path in ('/var/run/docker.sock', '/run/docker.sock') if os.path.exists(path)],
    'state': sorted(os.listdir(STATE)), 'workspaces': os.listdir(STATE + '/runs'),
    'device': tried(lambda: os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0))),
    'agent_memory': tried(lambda: open('/proc/1/mem', 'rb').close()),
    'agent_files': tried(lambda: open('/proc/1/fd/1', 'w').close()),
    'agent_killed': tried(lambda: os.kill(1, 9)),
    'host': tried(lambda: connect('127.0.0.1', PORT)), 'gateway': tried(lambda: connect(gateway, PORT)),
    'scripts': tried(lambda: open('/localaml/scripts/agent.py', 'a').close()),
    'raw': tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()),
}))
"""


@pytest.fixture
async def docker(tmp_path: Path, host_filesystem_image: str) -> AsyncIterator[DockerMachine]:
    """Without folders of the test in the containers."""
    machine = DockerMachine(tmp_path / "state")
    await machine.start()
    yield machine
    await machine.runtime.end_leftovers(frozenset())
    await machine.runtime.close()
    assert not machine.left_on_the_engine()


@pytest.mark.docker
async def test_what_a_job_finds_in_its_container(docker: DockerMachine) -> None:
    state = docker.paths.root
    for secret in ("token", "signing.key", "metadata.sqlite3"):
        (state / secret).write_text("secret")
    (state / "runs" / "other-workspace" / "run").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        values = f"STATE = {str(state)!r}; PORT = {listening.getsockname()[1]}\n"
        plan = docker.plan("inspect", PYTHON, "-c", values + INSPECT)
        result = await ended(await docker.runtime.launch(plan))
    assert result.succeeded, docker.log(plan)
    found = json.loads(docker.log(plan))
    # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE.
    assert found["capabilities"] == found["bounding"] == f"{0b10011111011:016x}"
    assert (found["no_new_privileges"], found["seccomp"]) == ("1", "2")
    assert int(found["memory"]) <= 7 << 30 and found["pids"] == "4096"
    assert found["engine"] == []
    assert (found["state"], found["workspaces"]) == (["runs"], ["w1"])
    # The folder of cgroup v1, whose controllers are read-only.
    system = ("/", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/sys/fs/cgroup")
    writable = [place for place in found["writable"] if place not in system]
    assert writable == ["/localaml/node", str(state / "runs" / "w1")]
    assert found["device"] == found["raw"] == "Operation not permitted"
    assert found["agent_memory"] == found["agent_files"] == "Permission denied"
    assert found["scripts"] == "Read-only file system"
    # Killed it is not: the run has come to its end.
    assert found["agent_killed"] is True
    assert "connected" not in (found["host"], found["gateway"])


@pytest.mark.docker
async def test_nothing_of_a_job_is_there_for_the_next(docker: DockerMachine) -> None:
    """Not even what has left its session and forgotten its environment."""
    leave = "os.setsid(); os.execve('/bin/sleep', ['sleep', '4711'], {})"
    script = f"import os, time\nif os.fork() == 0: {leave}\ntime.sleep(0.3)"
    assert (await ended(await docker.runtime.launch(docker.plan("leaves", PYTHON, "-c", script)))).succeeded
    look = "import glob; every = [open(name, 'rb').read() for name in glob.glob('/proc/[0-9]*/cmdline')]; "
    look += "print([one for one in every if b'sleep\\0004711' in one])"
    plan = docker.plan("next", PYTHON, "-c", look)
    assert (await ended(await docker.runtime.launch(plan))).succeeded
    assert docker.log(plan) == "[]\n"


@pytest.mark.docker
async def test_files_in_the_nodes_folder_lead_nowhere(docker: DockerMachine, tmp_path: Path) -> None:
    """What the emulator notes of a node must not land in a file of this machine, nor name another container."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    names = ("run", "container", "config.json", "shown", "config.json.part")
    link = (
        f"for name in {names!r}:\n    path = '/localaml/node/' + name\n    os.path.lexists(path) and os.unlink(path)\n"
        f"    os.symlink({str(victim)!r}, path)"
    )
    assert (
        await ended(await docker.runtime.launch(docker.plan("links", PYTHON, "-c", f"import os\n{link}")))
    ).succeeded
    await docker.runtime.stop_node(docker.nodes[1])
    for label in ("second", "third"):
        assert (await ended(await docker.runtime.launch(docker.plan(label, PYTHON, "-c", "pass")))).succeeded
    assert victim.read_text() == "untouched"


@pytest.mark.docker
async def test_a_job_that_takes_the_agents_place(docker: DockerMachine) -> None:
    script = (
        "import os, socket; p = '/localaml/node/agent.sock'; os.unlink(p); s = socket.socket(socket.AF_UNIX);"
        f"s.bind(p); s.listen(5); print('ready'); {FOREVER}"
    )
    plan = docker.plan("impostor", PYTHON, "-uc", script)
    job = await docker.runtime.launch(plan)
    await printed(docker, plan, "ready")
    waiting = asyncio.ensure_future(job.terminate(0))
    assert (await ended(job)).reason == "NODE_LOST"
    await waiting


@pytest.mark.docker
async def test_an_agent_that_stands_still_is_lost(docker: DockerMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(processes, "HELLO_SECONDS", 1.0)
    plan = docker.plan("still", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    job = await docker.runtime.launch(plan)
    await printed(docker, plan, "ready")
    os.kill(docker.on_this_machine(0, 1), signal.SIGSTOP)
    assert (await ended(job)).reason == "NODE_LOST"


CALL = f"""
import socket, threading, time
def speak(data):
    with socket.create_connection(('cpu-1', {AGENT_PORT}), 5) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile('rb').read(5)[:1]
        except OSError:
            return b''
said = (b'', b'no 2\\n{{}}', b'x' * 100_000 + b'\\n', b'\\xff' * 100 + b'\\n', b' 99999999999999\\n')
print([speak(data) for data in said])
held = []
for _ in range(300):
    try:
        held.append(socket.create_connection(('cpu-1', {AGENT_PORT}), 5))
    except OSError:
        break
time.sleep(7)
print(len([one for one in held if one.recv(1) == b'']) == len(held))
"""


@pytest.mark.docker
async def test_strangers_on_the_network(docker: DockerMachine) -> None:
    """A run on one node, whose word the agent of another run's node does not take."""
    other = docker.plan("other", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    other = replace(other, nodes=docker.nodes[1:])
    job = await docker.runtime.launch(other)
    plan = docker.plan("stranger", PYTHON, "-uc", CALL)
    assert (await ended(await docker.runtime.launch(plan))).succeeded, docker.log(plan)
    answers, all_closed = docker.log(plan).splitlines()
    assert answers == "[b'r', b'r', b'', b'r', b'r']" and all_closed == "True"
    assert docker.processes(other)
    await job.terminate(0)
