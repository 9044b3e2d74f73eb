"""Environments whose builders are loaded when they are first needed: that takes longer than all else at a start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.domain.job import ContainerSpec, PythonEnvironmentSpec
    from localaml.jobs.environments.contract import EnvironmentBuilder, PreparedEnvironment
    from localaml.settings import Settings


class LazyEnvironments:
    """`EnvironmentBuilder` for this machine and for containers.

    Args:
        clock: machine time.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._builder: EnvironmentBuilder | None = None
        self._loading = asyncio.Lock()

    async def prepare(
        self,
        spec: PythonEnvironmentSpec,
        *,
        mpi: bool,
        log: Callable[[str], None],
        container: ContainerSpec | None = None,
    ) -> PreparedEnvironment:
        return await (await self.load()).prepare(spec, mpi=mpi, log=log, container=container)

    async def load(self) -> EnvironmentBuilder:
        """The builder itself."""
        async with self._loading:
            if self._builder is None:
                self._builder = await asyncio.to_thread(self._load)
            return self._builder

    def _load(self) -> EnvironmentBuilder:
        from localaml.jobs.environments.builder import UvEnvironmentBuilder

        return UvEnvironmentBuilder(self._settings.cache_dir, self._settings.environments, self._clock)
