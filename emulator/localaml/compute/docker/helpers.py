"""Containers in which LocalAML itself does something for a moment: asks an image's Python, or runs uv in it.

They have no rights beyond their user's, carry labels by which leftovers are found (the owner is a process, which may
have been killed), and are removed by the engine itself when they end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaml.compute.docker.interruption import Interruption, interruptible, post
from localaml.compute.runtime import Bind

if TYPE_CHECKING:
    from docker import DockerClient

    from localaml.compute.docker.engine import Engine

LABEL = "localaml.helper"
CACHE_LABEL = "localaml.cache-dir"
OWNER_LABEL = "localaml.owner"
# What a helper works on: only one of them may.
KEY_LABEL = "localaml.helper-key"


class HelperNotStarted(Exception):
    """The engine could not start the command in the image; the engine's reason as text."""


@dataclass(frozen=True, slots=True)
class Helper:
    """What to start.

    Attributes:
        purpose: a word for the label.
        files_are_ours: what it writes shall belong to the emulator's user; else it is the image's own user.
        network: ``none``, ``bridge``, or another one of the engine's.
        key: what it works on; empty when that needs no guard.
    """

    image: str
    command: Sequence[str]
    purpose: str
    binds: Sequence[Bind] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    files_are_ours: bool = False
    network: str = "none"
    key: str = ""


class Helpers:
    """Starts helpers on an engine.

    Args:
        cache_dir: what the helpers work for; on their labels.
    """

    def __init__(self, engine: Engine, cache_dir: Path) -> None:
        self._engine = engine
        self._cache_dir = str(cache_dir)
        self._owner = _owner()
        self._user: tuple[str, str] | None = None

    async def run(self, helper: Helper, output: Callable[[bytes], None]) -> int:
        """Runs one to its end and returns its exit code. Cancelling ends and removes it first.

        Args:
            output: gets what it prints as it comes, in another thread.

        Raises:
            HelperNotStarted: the command is not in the image, or cannot be started in it.
            LocalAmlError: as `Engine.call`.
        """
        user = await self._own_user() if helper.files_are_ours else ("", "")
        return await interruptible(self._engine, lambda client, stop: self._run(client, helper, user, output, stop))

    async def _own_user(self) -> tuple[str, str]:
        if self._user is None:
            self._user = await self._engine.call(lambda client: user_of_files(client.info(), os.getuid(), os.getgid()))
        return self._user

    async def remove(self, key: str) -> None:
        """Removes whatever still works on `key`, whoever started it."""
        await self._engine.call(lambda client: _remove_all(client, [f"{KEY_LABEL}={key}"], lambda _labels: True))

    async def remove_leftovers(self) -> int:
        """Removes helpers for this cache dir whose owner is not there any more; returns how many."""
        labels = [LABEL, f"{CACHE_LABEL}={self._cache_dir}"]
        return await self._engine.call(lambda client: _remove_all(client, labels, _is_orphan))

    def _run(
        self,
        client: DockerClient,
        helper: Helper,
        user: tuple[str, str],
        output: Callable[[bytes], None],
        interruption: Interruption,
    ) -> int:
        from docker.errors import APIError
        from docker.types import LogConfig

        interruption.check()
        api = client.api
        config = api.create_host_config(
            auto_remove=True,
            binds={
                str(bind.path): {"bind": str(bind.path), "mode": "rw" if bind.writable else "ro"}
                for bind in helper.binds
            },
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            network_mode=helper.network,
            userns_mode=user[1] or None,
            # What it prints goes to us alone: addresses in it may hold passwords.
            log_config=LogConfig(type="none"),
        )
        labels = {LABEL: helper.purpose, CACHE_LABEL: self._cache_dir, OWNER_LABEL: self._owner}
        if helper.key:
            labels[KEY_LABEL] = helper.key
        made: Any = api.create_container(
            helper.image,
            # All of it is the entry point: the image's own one and its command are not wanted.
            entrypoint=list(helper.command),
            command=[],
            user=user[0] or None,
            environment=dict(helper.environment),
            working_dir="/",
            host_config=config,
            labels=labels,
            use_config_proxy=False,
        )
        identity = str(made["Id"])
        try:
            return self._follow(client, identity, output, interruption)
        finally:
            # It is gone already where it came to its end: the engine removes it then.
            with suppress(APIError):
                api.remove_container(identity, force=True, v=True)

    def _follow(
        self, client: DockerClient, identity: str, output: Callable[[bytes], None], interruption: Interruption
    ) -> int:
        from docker.errors import APIError

        # Both before the start: nothing of what it prints is lost, nor its exit code, which comes when it is gone.
        waiting = post(client, f"/containers/{identity}/wait", {"condition": "removed"})
        with interruption.reading(waiting):
            params = {"stdout": 1, "stderr": 1, "stream": 1}
            attached = post(client, f"/containers/{identity}/attach", params)
            with interruption.reading(attached):
                try:
                    client.api.start(identity)
                except APIError as error:
                    raise HelperNotStarted(str(error.explanation or error)) from None
                for part in _parts(attached):
                    output(part)
            return int(waiting.json()["StatusCode"])


def user_of_files(info: Mapping[str, Any], uid: int, gid: int) -> tuple[str, str]:
    """The user in a container (``uid:gid``) whose files belong to `uid` outside, and the user namespace mode for it, by
    what the engine says of itself."""
    options = " ".join(info.get("SecurityOptions") or ())
    if "name=rootless" in options:
        # Root in there is the engine's user out here.
        return "0:0", ""
    return f"{uid}:{gid}", "host" if "name=userns" in options else ""


def _parts(response: Any) -> Any:
    """The output of an attached container, of both streams, as it comes. Docker's multiplexed form: eight bytes of
    header (kind, three zeros, length in network order), then the text."""
    stream = response.raw
    while True:
        header = _exactly(stream, 8)
        if len(header) < 8:
            return
        rest = int.from_bytes(header[4:], "big")
        while rest:
            part = stream.read(min(rest, 65536))
            if not part:
                return
            rest -= len(part)
            yield part


def _exactly(stream: Any, count: int) -> bytes:
    got = b""
    while len(got) < count:
        part = stream.read(count - len(got))
        if not part:
            break
        got += part
    return got


def _remove_all(client: DockerClient, labels: list[str], which: Callable[[Mapping[str, str]], bool]) -> int:
    from docker.errors import APIError

    count = 0
    for container in client.api.containers(all=True, filters={"label": labels}):
        if which(container.get("Labels") or {}):
            with suppress(APIError):
                client.api.remove_container(container["Id"], force=True, v=True)
                count += 1
    return count


def _is_orphan(labels: Mapping[str, str]) -> bool:
    """Whether the owner, of this or an earlier emulator, has ended. Of processes that cannot be seen from here nothing
    is known."""
    place, _, process = labels.get(OWNER_LABEL, "").partition(" ")
    number = process.partition(":")[0]
    return place == _place() and number.isdigit() and _process(int(number)) != process


def _owner() -> str:
    return f"{_place()} {_process(os.getpid())}"


def _place() -> str:
    """The name space in which process ids mean something."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _process(pid: int) -> str:
    """What tells a process from others that had its number: ``<pid>:<start time>``; without a start time when it is
    not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"{pid}:"
    # The second field, the name, may hold blanks and brackets; the start time is the 22nd.
    return f"{pid}:{stat.rpartition(')')[2].split()[19]}"
