"""One node: its container through all changes, from the first start to the removal."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import shutil
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaml.clock import Clock
from localaml.compute.docker import layout
from localaml.compute.docker.agents import Agent, AgentGone
from localaml.compute.docker.containers import NodeContainer, Shape, create, remove, remove_all_of
from localaml.compute.runtime import NodeSpec
from localaml.errors import LocalAmlError, NotFound, Unavailable

if TYPE_CHECKING:
    from localaml.compute.docker.engine import Engine, EngineFacts
    from localaml.compute.docker.relay import Relay
    from localaml.settings import DockerSettings

_LOG = logging.getLogger(__name__)
_READY_SECONDS = 30.0
# So long a container waits for its next run before it is frozen: that, and the way back, takes 50 ms and more.
_AWAKE_SECONDS = 0.25
# File in the node's folder with the label of the run that works on it.
_RUN = "run"
# ... and with its container's id, and what identifies its agent's socket.
_CONTAINER = "container"
# What comes and goes there is cleared, or the system's own.
_CLEARED = ("/tmp", "/var/tmp", "/var", "/run", "/dev", "/dev/shm")  # noqa: S108


class Node:
    """A node and its container.

    Args:
        folder: the node's folder on this machine.
        scripts: folder of the agent and the other scripts.
    """

    def __init__(
        self,
        spec: NodeSpec,
        *,
        folder: Path,
        state_dir: Path,
        scripts: Path,
        relay: Relay,
        engine: Engine,
        facts: EngineFacts,
        settings: DockerSettings,
        clock: Clock,
    ) -> None:
        self.spec = spec
        # What the container sees of it, and so what its jobs can change; all else is the emulator's alone.
        self._shown = folder / "shown"
        self.agent = Agent(self._shown, clock)
        self.container_id = ""
        # It has gone by itself, or is to go: nothing is started in it any more.
        self.is_gone = False
        # ... since somebody wanted it to.
        self.was_stopped = False
        self._folder = folder
        self._state_dir = state_dir
        self._scripts = scripts
        self._relay = relay
        self._sockets = folder / "relay"
        self._engine = engine
        self._facts = facts
        self._settings = settings
        self._shape: Shape | None = None
        self.is_paused = False
        # Of our own making, that the engine has not told of yet: it tells late.
        self.awaited_pauses = 0
        self._fresh: frozenset[tuple[int, str]] = frozenset()
        self._lock = asyncio.Lock()
        # What goes on in the background between two runs, and that somebody waits for its end.
        self._resting: asyncio.Task[None] | None = None
        self._awaited = asyncio.Event()

    async def start(self, shape: Shape) -> None:
        """Makes the container, and has it wait for a run. One that is there stays."""
        async with self._lock:
            if self.container_id or self.is_gone:
                return
            await self._create(shape, compared=False)
        self._in_background(self._begin_rest())

    async def take_over(self) -> bool:
        """Finds the container of an earlier emulator; whether it lives."""
        async with self._lock:
            try:
                name, _, self.agent.identity = (self._folder / _CONTAINER).read_text().partition("\n")
                found = await self._engine.call(lambda client: client.api.inspect_container(name))
            except (OSError, NotFound):
                return False
            self.container_id = name
            await self._relay.open(self._sockets)
            if found["State"].get("Paused"):
                # Its run had ended, and it waited for the next: there is something to look at once more.
                await self._engine.call(lambda client: client.api.unpause(name))
            return bool(found["State"]["Running"])

    async def make_ready(self, shape: Shape) -> None:
        """Has a container of that shape that runs: the one that waits, or a new one."""
        await self.settle()
        async with self._lock:
            if self.is_gone:
                raise Unavailable("NODE_LOST", f"Node {self.spec.node_id} has gone.")
            if not self.container_id or self._shape is None or not self._shape.suits(shape):
                await self._create(shape)
            elif self.is_paused:
                self.is_paused = False
                try:
                    await self._engine.call(lambda client: client.api.unpause(self.container_id))
                except LocalAmlError:
                    # Whatever has become of it: a new one does as well.
                    await self._create(shape)

    def begin(self, label: str) -> None:
        """A run begins to work on it: remembered for an emulator after this one."""
        (self._folder / _RUN).write_text(label)

    def refresh(self) -> None:
        """The run has ended: in the background the container is made as new, and waits for the next."""
        with suppress(OSError):
            (self._folder / _RUN).unlink()
        if not self.is_gone:
            self._in_background(self._refresh())

    async def stop(self) -> None:
        """Ends everything on it and removes it."""
        self.is_gone = self.was_stopped = True
        # It must not wait for the lock: what holds it may wait for the container.
        await self.remove_container()
        await self.settle()
        async with self._lock:
            # What was being made in this moment.
            await self.remove_container()
        await self._relay.shut(self._sockets)
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def remove_container(self) -> None:
        """Ends everything in it at once."""
        await self._engine.call(lambda client: remove_all_of(client, self._state_dir, self.spec))

    async def settle(self) -> None:
        """Waits for what goes on in the background, which is kept short."""
        self._awaited.set()
        if self._resting is not None:
            await asyncio.wait([self._resting])

    def detach(self) -> None:
        """Drops what goes on in the background; the container stays as it is."""
        if self._resting is not None:
            self._resting.cancel()

    async def _create(self, shape: Shape, *, compared: bool = True) -> None:
        """Makes another container in place of the one that is there.

        Args:
            compared: notes what differs from the image before any run; else that is still to be done.
        """
        before, self.container_id, self._shape, self.is_paused = self.container_id, "", None, False
        self.awaited_pauses = 0
        if before:
            await self._engine.call(lambda client: remove(client, before))
        # Whatever the jobs of an earlier container have left there.
        await asyncio.to_thread(shutil.rmtree, self._shown, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._shown.mkdir(mode=0o700)
        await self._relay.open(self._sockets)
        self.agent.identity, self.agent.is_believed = "", True
        config = {
            "socket": str(layout.NODE / "agent.sock"),
            "port": layout.AGENT_PORT,
            "relays": self._relay.sockets(str(layout.RELAY)),
        }
        (self._shown / "config.json").write_text(json.dumps(config), encoding="ascii")
        for bind in shape.binds:
            if not bind.path.exists():
                bind.path.mkdir(parents=True, exist_ok=True)
        wanted = NodeContainer(
            self.spec, shape, self._state_dir, self._shown, self._scripts, self._sockets, secrets.token_hex(4)
        )
        creating = asyncio.ensure_future(
            self._engine.call(lambda client: create(client, wanted, self._settings, self._facts))
        )
        # A thread cannot be cancelled; and what it makes has to be known to be removed.
        try:
            self.container_id = await _to_its_end(creating)
        except asyncio.CancelledError:
            await _to_its_end(asyncio.ensure_future(self.remove_container()))
            raise
        self._shape = shape
        try:
            (self._folder / _CONTAINER).write_text(self.container_id)
            await self.agent.wait_until_ready(_READY_SECONDS)
            # No job has been there yet: it is the agent's.
            self.agent.identity = self.agent.found()
            (self._folder / _CONTAINER).write_text(f"{self.container_id}\n{self.agent.identity}")
            if compared:
                self._fresh = await self._changes()
        except BaseException as error:
            said = await self._last_words() if isinstance(error, Unavailable) else ""
            # Not known any more, so that its end, which the engine tells of, is not taken for the loss of the node.
            self.container_id, self._shape = "", None
            await _to_its_end(asyncio.ensure_future(self.remove_container()))
            if said:
                raise Unavailable("NODE_START_FAILED", f"{error} It says: {said}") from error
            raise

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        self._awaited.clear()
        self._resting = asyncio.get_running_loop().create_task(work)

    async def _pause(self) -> None:
        """A frozen container costs no time and wakes up soon. Where runs follow each other it is left awake."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._awaited.wait(), _AWAKE_SECONDS)
            return
        self.is_paused = True
        self.awaited_pauses += 1
        await self._engine.call(lambda client: client.api.pause(self.container_id))

    async def _begin_rest(self) -> None:
        async with self._lock:
            with self._made_anew_after_errors():
                self._fresh = await self._changes()
                await self._pause()

    async def _refresh(self) -> None:
        async with self._lock:
            shape = self._shape
            if self.is_gone or not self.container_id:
                return
            with self._made_anew_after_errors():
                await self.agent.ask("clear", timeout_seconds=_READY_SECONDS)
                if shape is None:
                    # Made by an earlier emulator: what it was like is not known, so the next run gets another one.
                    return
                if await self._changes() != self._fresh:
                    # In the cloud every run gets a container of its own: what this one changed is not the next one's.
                    await self._create(shape)
                await self._pause()

    @contextmanager
    def _made_anew_after_errors(self) -> Iterator[None]:
        """For what goes on in the background: whatever becomes of it, the next run gets a container."""
        try:
            yield
        except (LocalAmlError, AgentGone) as error:
            if not self.is_gone:
                _LOG.info("the container of node %s is made anew for its next run: %s", self.spec.node_id, error)
                self._shape = None

    async def _changes(self) -> frozenset[tuple[int, str]]:
        """What differs from the image."""
        found: Any = await self._engine.call(lambda client: client.api.diff(self.container_id))
        return frozenset((each["Kind"], each["Path"]) for each in found or () if each["Path"] not in _CLEARED)

    async def _last_words(self) -> str:
        with suppress(LocalAmlError):
            said = await self._engine.call(lambda client: client.api.logs(self.container_id, tail=5))
            return " ".join(bytes(said).decode(errors="replace").split())[-400:]
        return ""


async def _to_its_end(task: asyncio.Future[Any]) -> Any:
    """The result of a task that goes on although we are cancelled; the cancellation counts afterwards."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def run_on(folder: Path) -> str:
    """Label of the run that works on the node of that folder; empty when none does."""
    with suppress(OSError):
        return (folder / _RUN).read_text()
    return ""
