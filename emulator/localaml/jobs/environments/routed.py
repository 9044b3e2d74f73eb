"""Environments for this machine or for an image, made by whom it concerns, loaded when the first one is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from localaml.domain.job import ContainerSpec, PythonEnvironmentSpec
from localaml.jobs.environments.contract import EnvironmentBuilder, PreparedEnvironment

if TYPE_CHECKING:
    from localaml.jobs.environments.builder import UvEnvironmentBuilder


class RoutedEnvironments:
    """An `EnvironmentBuilder`.

    Args:
        host: makes the builder of this machine; called once, in a thread: its modules take longer to load than all
            else at the start.
        containers: makes the one for images (`ContainerEnvironments`) of that; called once, in a thread, when the first
            image is asked for.
    """

    def __init__(
        self,
        host: Callable[[], UvEnvironmentBuilder],
        containers: Callable[[UvEnvironmentBuilder], EnvironmentBuilder],
    ) -> None:
        self._make_host = host
        self._make_containers = containers
        self._host: UvEnvironmentBuilder | None = None
        self._containers: EnvironmentBuilder | None = None
        self._loading = asyncio.Lock()

    async def prepare(
        self,
        spec: PythonEnvironmentSpec,
        *,
        mpi: bool,
        log: Callable[[str], None],
        container: ContainerSpec | None = None,
    ) -> PreparedEnvironment:
        """See `EnvironmentBuilder.prepare`."""
        builder: EnvironmentBuilder = await self.load()
        if container is not None:
            builder = await self._load_containers()
        return await builder.prepare(spec, mpi=mpi, log=log, container=container)

    async def load(self) -> UvEnvironmentBuilder:
        """The builder of this machine."""
        async with self._loading:
            if self._host is None:
                self._host = await asyncio.to_thread(self._make_host)
            return self._host

    async def _load_containers(self) -> EnvironmentBuilder:
        host = await self.load()
        async with self._loading:
            if self._containers is None:
                self._containers = await asyncio.to_thread(self._make_containers, host)
            return self._containers
