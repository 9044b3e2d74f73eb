"""Environments of jobs on this machine: virtual environments, built by uv of the interpreters that are there."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from localaml.clock import Clock
from localaml.domain.job import ContainerSpec, PythonEnvironmentSpec
from localaml.errors import FailedPrecondition
from localaml.jobs.environments.conda import EnvironmentRequest
from localaml.jobs.environments.contract import PreparedEnvironment
from localaml.jobs.environments.interpreters import Interpreter, Interpreters
from localaml.jobs.environments.open_mpi import OpenMpi, find_open_mpi
from localaml.jobs.environments.open_mpi_names import system_folders, with_older_names
from localaml.jobs.environments.package_folders import PackageFolders
from localaml.jobs.environments.uv_tool import Uv, UvPlace
from localaml.jobs.environments.virtual_environments import (
    MARKER,
    Site,
    VirtualEnvironments,
    is_complete,
    read_request,
    wish_of,
)
from localaml.settings import EnvironmentSettings

__all__ = ["MARKER", "UvEnvironmentBuilder"]

Log = Callable[[str], None]


class UvEnvironmentBuilder:
    """The `EnvironmentBuilder` of this machine. uv's own cache is `uv` in the cache dir.

    Args:
        cache_dir: may be shared by emulators.
        environ: the emulator's environment variables; the process's own by default.
    """

    def __init__(
        self,
        cache_dir: Path,
        settings: EnvironmentSettings,
        clock: Clock,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._environ = dict(os.environ if environ is None else environ)
        self._cache_dir = folder = cache_dir.absolute()
        self._uv = Uv(folder / "uv", self._environ, offline=settings.offline, credentials=settings.package_credentials)
        self._interpreters = Interpreters(settings.python_interpreters, self._environ)
        self._open_mpi: OpenMpi | None = None
        self._ready: dict[str, PreparedEnvironment] = {}
        self.environments = VirtualEnvironments(folder, settings, clock, self._environ)

    async def prepare(
        self,
        spec: PythonEnvironmentSpec,
        *,
        mpi: bool,
        log: Log,
        container: ContainerSpec | None = None,
        within: Callable[[Path, OpenMpi | None], UvPlace] | None = None,
    ) -> PreparedEnvironment:
        """See `EnvironmentBuilder.prepare`; for this machine only.

        Args:
            within: where uv is run for an interpreter; None: as a process of this machine.

        Further errors: FailedPrecondition ``OPEN_MPI_NOT_FOUND``, ``UV_NOT_FOUND``, ``CONSTRAINTS_FILE_MISSING``.
        """
        if container is not None:
            raise FailedPrecondition(
                "NO_CONTAINERS", "This emulator runs jobs as processes: it makes no environments for images."
            )
        known = spec_key(spec, mpi=mpi)
        ready = self._ready.get(known)
        if ready is not None and _is_there(ready, spec):
            return ready
        open_mpi = await self._find_open_mpi(log) if mpi else None
        if spec.user_managed:
            found = await self._interpreters.find_command(spec.interpreter)
            environment = PreparedEnvironment(found.path, found.minor, found.path.parent)
        else:
            folders = PackageFolders(self._settings.allowed_package_folders)
            request = await asyncio.to_thread(read_request, spec, folders, mpi=mpi)
            python = await self._find_python(request, log)
            uv = self._uv if within is None else within(python.path, open_mpi)
            environment = await self.environments.prepare(request, Site(python, uv), open_mpi, log)
        if open_mpi is not None:
            variables = {**open_mpi.variables, **environment.variables}
            environment = replace(environment, open_mpi_prefix=open_mpi.prefix, variables=variables)
        self._ready[known] = replace(environment, built=False)
        return environment

    # -- facts, for `localaml doctor` -------------------------------------------------------------------------------

    async def interpreters(self) -> list[Interpreter]:
        """Every Python that jobs could run on, oldest first."""
        return await self._interpreters.all()

    async def open_mpi(self) -> OpenMpi:
        """Raises FailedPrecondition ``OPEN_MPI_NOT_FOUND``."""
        if self._open_mpi is None:
            self._open_mpi = await find_open_mpi(self._environ)
        return self._open_mpi

    async def uv_version(self) -> str:
        """``uv 0.13.9``. Raises FailedPrecondition ``UV_NOT_FOUND``."""
        result = await self._uv.run(["--version"], _silent)
        return result.lines[0].split(" (")[0] if result.lines else "uv (no version)"

    # -- building ---------------------------------------------------------------------------------------------------

    async def _find_open_mpi(self, log: Log) -> OpenMpi:
        found = await self.open_mpi()
        if found.warning:
            log(f"warning: {found.warning}")
        if sys.platform != "linux":
            return found
        return await asyncio.to_thread(with_older_names, self._cache_dir, found, system_folders())

    async def _find_python(self, request: EnvironmentRequest, log: Log) -> Interpreter:
        if request.python.text:
            return await self._interpreters.find(request.python)
        try:
            return await self._interpreters.find(wish_of(request, self._settings))
        except FailedPrecondition as error:
            own, day = self._interpreters.own(), self._settings.exclude_newer
            log(f"warning: {error} The emulator's own Python {own.version} is taken; packages of {day} may not fit it.")
            return own


def spec_key(spec: PythonEnvironmentSpec, *, mpi: bool) -> str:
    """The same for specs that say the same."""
    facts = [spec.user_managed, spec.interpreter, spec.conda_dependencies, spec.extra_pip_packages, mpi]
    return json.dumps(
        facts, sort_keys=True, default=lambda value: dict(value) if isinstance(value, Mapping) else str(value)
    )


def _silent(line: str) -> None:
    """For output that is looked at when the program has ended."""


def _is_there(environment: PreparedEnvironment, spec: PythonEnvironmentSpec) -> bool:
    if spec.user_managed:
        return os.access(environment.python, os.X_OK)
    return is_complete(environment.bin_dir.parent, elsewhere=False)
