"""Process 1 of a node that is a container.

usage: python -I -S -X utf8 agent.py CONFIG

It answers two kinds of callers. The emulator, over a unix socket in a folder that only it and root in the container can
enter: one JSON object in a line each way (`Service`). And, with the job's token, the cluster's other nodes over TCP
(`call.py`): they start one program, get its output and its exit code, and hand signals on (`_serve_call`). It takes
orphans' corpses away, and leads connections to the emulator's addresses, which are the container's own loopback address
here, to the emulator's sockets.

CONFIG: {"socket": path, "port": number, "relays": {"port": path of a unix socket}}.

Runs with the standard library of the image's Python, 3.7 or newer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 (-I leaves it out)

import own_container  # type: ignore[import-not-found]
import temporary_files  # type: ignore[import-not-found]
from table import ProcessTable  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    _Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# A call's program has this in its environment where it is called from: so that it is not told twice to end.
CALL = "LOCALAML_AGENT_CALL"
_LINE_LIMIT = 64 * 1024 * 1024
# Others on the network, until they have shown the token: how many at once, how long, how much.
_MOST_STRANGERS, _HEAD_SECONDS, _HEAD_LIMIT = 128, 5.0, 4096
_REQUEST_SECONDS = 30.0
_CLEAR_SECONDS = 5.0
_CHUNK = 64 * 1024
# Kinds of frames of an answer to a call; `call.py` knows them, too.
_OUTPUT, _EXIT, _REFUSED = b"o", b"x", b"r"
# Where the kernel does not tell of a process' end, it is looked for this often.
_POLL_SECONDS = 0.01
_OOM_SCORE_ADJUSTMENT = "500"


class Service:
    """What the emulator can ask for: each public method is a verb, its arguments the request's fields."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.table = ProcessTable()
        self.token = ""
        self.user: tuple[int, int] | None = None
        self.ended: dict[int, asyncio.Future[int]] = {}
        # Connections that have not shown the token yet.
        self.strangers = 0

    async def hello(self) -> dict[str, Any]:
        return {"python": sys.version.split()[0], "killed_for_memory": own_container.killed_for_memory()}

    async def expect(self, token: str, user: Sequence[int] | None) -> dict[str, Any]:
        """The job that comes: its token, and as whom its processes run."""
        self.token = token
        self.user = (user[0], user[1]) if user else None
        return {"killed_for_memory": own_container.killed_for_memory()}

    async def start(
        self, words: Sequence[str], environment: Mapping[str, str], directory: str, output: str
    ) -> dict[str, Any]:
        """Starts a program in a session of its own, its output appended to a file."""
        with open(output, "ab") as file:  # noqa: PTH123
            process = self.spawn(words, environment, directory, file)
        return {"pid": process.pid, "start_time": self.table.start_time(process.pid)}

    async def executable(self, path: str, directory: str) -> dict[str, Any]:
        """Whether a program, given by its path, can be started."""
        return {"executable": os.access(os.path.join(directory, path), os.X_OK)}  # noqa: PTH118

    async def find(self, variables: Mapping[str, str], session: int) -> dict[str, Any]:
        return {"found": [one for one in self.table.find(variables, session=session) if one != os.getpid()]}

    async def environments(self, process_ids: Sequence[int]) -> dict[str, Any]:
        return {"environments": [self.table.environment(one) for one in process_ids]}

    async def send(self, process_ids: Sequence[int], signal_number: int) -> dict[str, Any]:
        number = signal.Signals(signal_number)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            process_ids = [one for one in process_ids if CALL not in self.table.environment(one)]
        self.table.send(process_ids, number)
        return {}

    async def mortal(self, process_ids: Sequence[int], signal_number: int) -> dict[str, Any]:
        number = signal.Signals(signal_number)
        return {"mortal": [one for one in process_ids if self.table.dies_of(one, number)]}

    async def start_time(self, process_id: int) -> dict[str, Any]:
        return {"start_time": self.table.start_time(process_id)}

    async def wait(self, processes: Mapping[str, str]) -> dict[str, Any]:
        """Answers when all have ended: process ids (in digits) with their start times, or empty for those of now."""
        await asyncio.gather(*(self._wait(int(one), started) for one, started in processes.items()))
        return {}

    async def own(self, paths: Sequence[str], user: Sequence[int]) -> dict[str, Any]:
        """Gives everything below these paths to a user; links are not followed."""
        for path in paths:
            own_container.own(path, user)
        return {}

    async def clear(self) -> dict[str, Any]:
        """Ends what a job has left running, and removes what it has left in the folders for temporary files. Its token
        is good for nothing any more."""
        self.token = ""
        await own_container.end_all(_CLEAR_SECONDS)
        temporary_files.clear()
        return {}

    def spawn(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        directory: str,
        output: Any,
    ) -> subprocess.Popen[bytes]:
        """Starts a program in a session of its own; `ended` tells of its end."""
        user = self.user

        def prepare() -> None:
            # Whatever those ignored, or held back, who have started the engine.
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            # When there is no memory left the kernel is to take the job, not process 1, with which all would go.
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
                file.write(_OOM_SCORE_ADJUSTMENT)
            if user is not None:
                os.setgroups([])
                os.setgid(user[1])
                os.setuid(user[0])

        process = subprocess.Popen(
            list(words),
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=prepare,
        )
        self.ended[process.pid] = asyncio.get_event_loop().create_future()
        # Waited for by its id.
        process.returncode = 0
        self.reap()
        return process

    def reap(self) -> None:
        """Takes the corpses of children away, also of those that others have left behind."""
        while True:
            try:
                number, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if number == 0:
                return
            ended = self.ended.pop(number, None)
            if ended is not None and not ended.done():
                code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
                ended.set_result(code)

    async def _wait(self, process_id: int, start_time: str) -> None:
        started = start_time or self.table.start_time(process_id)
        descriptor = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                descriptor = os.pidfd_open(process_id)
        try:
            if descriptor is not None and self.table.start_time(process_id) == started != "":
                await _readable(descriptor)
            while started and self.table.start_time(process_id) == started:
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            if descriptor is not None:
                os.close(descriptor)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_event_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _serve_emulator(service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, one answer. A request whose caller hangs up is dropped."""
    request = json.loads(await reader.readline())
    verb = request.pop("verb")
    if verb.startswith("_") or verb in ("spawn", "reap"):
        raise ValueError(verb)
    work = asyncio.ensure_future(getattr(service, verb)(**request))
    gone = asyncio.ensure_future(reader.read(1))
    await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if not work.done():
        work.cancel()
        return
    try:
        answer = work.result()
    except OSError as error:
        answer = {"error": error.strerror or str(error), "errno": error.errno or 0, "file": str(error.filename or "")}
    writer.write(json.dumps(answer).encode("ascii") + b"\n")
    await writer.drain()


async def _serve_call(service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Starts a program for another node; it is killed when the caller hangs up.

    A caller sends ``TOKEN LENGTH`` in a line, and then a JSON object of that length.
    """
    if service.strangers >= _MOST_STRANGERS:
        return
    service.strangers += 1
    try:
        head = await asyncio.wait_for(reader.readline(), _HEAD_SECONDS)
    finally:
        service.strangers -= 1
    token, _, length = head.strip().partition(b" ")
    if not service.token or not hmac.compare_digest(token, service.token.encode()):
        _frame(writer, _REFUSED, b"the token is not that of the job on this node")
        return
    if int(length) > _LINE_LIMIT:
        raise ValueError("too long")
    request = json.loads(await asyncio.wait_for(reader.readexactly(int(length)), _REQUEST_SECONDS))
    try:
        output, program_end = os.pipe()
        try:
            process = service.spawn(request["words"], request["environment"], request["directory"], program_end)
        finally:
            os.close(program_end)
    except OSError as error:
        os.close(output)
        _frame(writer, _REFUSED, f"{request['words'][0]}: {error.strerror}".encode(errors="replace"))
        return
    ended = service.ended[process.pid]
    signals = asyncio.ensure_future(_hand_on(reader, process.pid, ended))
    copying = asyncio.ensure_future(_copy_output(output, writer))
    try:
        either: set[asyncio.Future[Any]] = {signals, ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            _signal_group(process.pid, signal.SIGKILL)
        code = await ended
        # What it has printed is there by now; those that it left behind may hold the pipe for ever.
        _drain(output, writer)
        _frame(writer, _EXIT, struct.pack(">I", code))
        await writer.drain()
    finally:
        signals.cancel()
        copying.cancel()
        await asyncio.wait({signals, copying})
        os.close(output)


async def _hand_on(reader: asyncio.StreamReader, process_id: int, ended: asyncio.Future[int]) -> None:
    while True:
        number = await reader.read(1)
        if not number:
            return
        if not ended.done():
            _signal_group(process_id, number[0])


def _signal_group(process_id: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process_id, number)


async def _copy_output(output: int, writer: asyncio.StreamWriter) -> None:
    os.set_blocking(output, False)
    while True:
        await _readable(output)
        if not _drain(output, writer):
            return
        await writer.drain()


def _drain(output: int, writer: asyncio.StreamWriter) -> bool:
    """Sends what is there; False when nothing can follow."""
    while True:
        try:
            data = os.read(output, _CHUNK)
        except BlockingIOError:
            return True
        if not data:
            return False
        _frame(writer, _OUTPUT, data)


def _frame(writer: asyncio.StreamWriter, kind: bytes, data: bytes) -> None:
    writer.write(kind + struct.pack(">I", len(data)) + data)


async def _relay(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Leads a connection to a socket of the emulator."""
    there_reader, there_writer = await asyncio.open_unix_connection(path)
    try:
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
    finally:
        there_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        data = await reader.read(_CHUNK)
        if not data:
            break
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def _answering(serve: _Serve) -> _Serve:
    """A defect, or nonsense, in one conversation ends that conversation."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ConnectionError, asyncio.TimeoutError):
            pass
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            print(f"refused a request: {type(error).__name__}: {error}", flush=True)
        finally:
            writer.close()

    return answer


async def _serve(config: Mapping[str, Any]) -> None:
    service = Service(config)
    loop = asyncio.get_event_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGCHLD, service.reap)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    for port, path in config["relays"].items():
        await asyncio.start_server(_answering(_to(path)), "127.0.0.1", int(port))
    # On all addresses: the network of the cluster may give the container another one later.
    await asyncio.start_server(
        _answering(lambda reader, writer: _serve_call(service, reader, writer)),
        "0.0.0.0",  # noqa: S104
        config["port"],
        limit=_HEAD_LIMIT,
    )
    with contextlib.suppress(FileNotFoundError):
        os.unlink(config["socket"])  # noqa: PTH108
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Its folder is closed to all but the emulator's user and root; the emulator need not be root.
    before = os.umask(0)
    listening.bind(config["socket"])
    os.umask(before)
    await asyncio.start_unix_server(
        _answering(lambda reader, writer: _serve_emulator(service, reader, writer)), sock=listening, limit=_LINE_LIMIT
    )
    own_container.close_to_jobs()
    await stop.wait()


def _to(path: str) -> _Serve:
    return lambda reader, writer: _relay(path, reader, writer)


def main(config: str) -> None:
    """Serves until it is told to end."""
    with open(config, encoding="ascii") as file:  # noqa: PTH123
        asyncio.run(_serve(json.load(file)))


if __name__ == "__main__":
    main(sys.argv[1])
