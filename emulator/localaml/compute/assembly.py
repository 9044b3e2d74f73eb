"""Puts the room of nodes together from the settings. What belongs to containers is imported when it is first needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.clock import Clock
from localaml.compute.process import ProcessRuntime
from localaml.compute.routed import PROCESS, RoutedRuntime
from localaml.errors import LocalAmlError
from localaml.paths import StatePaths
from localaml.settings import Settings

if TYPE_CHECKING:
    from localaml.compute.docker.engine import Engine
    from localaml.compute.docker.images import Images
    from localaml.compute.runtime import NodeRuntime

# An engine on the same machine answers in milliseconds.
_ANSWER_SECONDS = 3.0
_LOOPBACK_URL = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})\b")


class ContainerParts:
    """An engine, its images and the nodes on it: one of each, made when it is first asked for.

    Args:
        relay_ports: ports of this machine's loopback address that jobs need to reach.
        shown: folders of this machine that all runs see.
    """

    def __init__(
        self,
        paths: StatePaths,
        clock: Clock,
        settings: Settings,
        relay_ports: Callable[[], Sequence[int]],
        shown: Sequence[Path] = (),
    ) -> None:
        self._paths = paths
        self._clock = clock
        self._settings = settings
        self._relay_ports = relay_ports
        self._shown = shown
        self._engine: Engine | None = None
        self._images: Images | None = None

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            from localaml.compute.docker.engine import Engine

            self._engine = Engine(self._settings.docker.host)
        return self._engine

    @property
    def images(self) -> Images:
        if self._images is None:
            from localaml.compute.docker.images import Images

            self._images = Images(self.engine, self._settings.docker, self._settings.cache_dir)
        return self._images

    def runtime(self) -> NodeRuntime:
        from localaml.compute.docker.runtime import DockerRuntime

        return DockerRuntime(
            self._paths,
            self._clock,
            self.engine,
            self.images,
            self._settings.docker,
            self._relay_ports,
            self._shown,
        )

    async def engine_answers(self) -> bool:
        try:
            await self.engine.facts(_ANSWER_SECONDS)
        except LocalAmlError:
            return False
        return True


def build_runtime(
    paths: StatePaths, clock: Clock, settings: Settings, parts: ContainerParts, open_files: int | None = None
) -> RoutedRuntime:
    """The runtime of an emulator's nodes.

    Args:
        clock: machine time.
        open_files: the soft limit of open files of jobs that are processes; None for this process's one.
    """
    return RoutedRuntime(
        ProcessRuntime(paths, clock, open_files=open_files),
        parts.runtime,
        default=settings.compute,
        engine_answers=parts.engine_answers,
        marker=paths.had_containers,
    )


async def remove_leftovers(paths: StatePaths, clock: Clock, settings: Settings) -> int:
    """Ends everything that belongs to a state dir which is to go, in containers also where the emulator that is
    looking after it has none itself. Returns how many processes that were."""
    parts = ContainerParts(paths, clock, settings, tuple)
    runtime = RoutedRuntime(
        ProcessRuntime(paths, clock),
        parts.runtime,
        default=PROCESS,
        engine_answers=parts.engine_answers,
        marker=paths.had_containers,
    )
    await runtime.start()
    try:
        return await runtime.end_leftovers(frozenset())
    finally:
        await runtime.close()


def loopback_ports(texts: Iterable[str]) -> list[int]:
    """The ports of this machine's loopback address that URLs in the texts name, in the order of the texts."""
    found = [int(port) for text in texts for port in _LOOPBACK_URL.findall(text)]
    return list(dict.fromkeys(port for port in found if 0 < port < 65536))
