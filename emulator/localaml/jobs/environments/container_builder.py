"""Environments of jobs in containers.

the image's own interpreter     `user_managed`: taken as it is
this machine's environments     for a skeleton image, whose programs are this machine's
a mounted environment           for every other image: made by uv in a container of it, below the cache dir
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.compute.docker.image_facts import ImageFacts
from localaml.compute.docker.images import with_binds
from localaml.compute.runtime import Bind, ContainerPlan
from localaml.domain.job import ContainerSpec, PythonEnvironmentSpec
from localaml.domain.redaction import redact
from localaml.errors import FailedPrecondition
from localaml.jobs.environments.container_pythons import as_interpreter, find_command, find_python
from localaml.jobs.environments.container_uv import ContainerUv
from localaml.jobs.environments.contract import PreparedEnvironment
from localaml.jobs.environments.interpreters import Interpreter
from localaml.jobs.environments.open_mpi import OpenMpi
from localaml.jobs.environments.open_mpi_copy import OLDEST_GLIBC, copy_of_open_mpi
from localaml.jobs.environments.package_folders import PackageFolders
from localaml.jobs.environments.virtual_environments import Site, read_request, wish_of
from localaml.settings import EnvironmentSettings

if TYPE_CHECKING:
    from localaml.compute.docker.images import Images
    from localaml.jobs.environments.builder import UvEnvironmentBuilder
    from localaml.jobs.environments.conda import EnvironmentRequest

Log = Callable[[str], None]


class ContainerEnvironments:
    """The `EnvironmentBuilder` for images.

    Args:
        host: the builder of this machine, whose cache, settings, interpreters and Open MPI are used.
        environ: the emulator's environment variables; the process's own by default.
    """

    def __init__(
        self,
        images: Images,
        host: UvEnvironmentBuilder,
        settings: EnvironmentSettings,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._images = images
        self._host = host
        self._settings = settings
        self._cache_dir = host.environments.cache_dir
        self._environ = dict(os.environ if environ is None else environ)

    async def prepare(
        self, spec: PythonEnvironmentSpec, *, mpi: bool, log: Log, container: ContainerSpec | None = None
    ) -> PreparedEnvironment:
        """See `EnvironmentBuilder.prepare`. `built` also says that an image was got.

        Further errors: those of `Images.resolve`, ``OPEN_MPI_NOT_FOUND``, ``IMAGE_UNFIT_FOR_MPI``.
        """
        wanted = container or ContainerSpec()
        got = False

        def note(line: str) -> None:
            nonlocal got
            got = True
            log(redact(line))

        plan = await self._images.resolve(wanted, note)
        if plan.host_filesystem:
            return await self._of_this_machine(spec, plan, mpi, log, got)
        shown = self._images.shown(wanted)
        facts = await self._images.facts(plan.image, shown)
        open_mpi = await self._open_mpi(facts, shown, log) if mpi else None
        binds: tuple[Bind, ...] = ()
        if spec.user_managed:
            found = await find_command(self._images, plan.image, shown, spec.interpreter)
            environment = PreparedEnvironment(found.path, found.minor, found.path.parent)
        else:
            environment, binds = await self._mounted(spec, plan, facts, shown, open_mpi, log)
        if open_mpi is not None:
            variables = {**open_mpi.variables, **environment.variables}
            environment = replace(environment, open_mpi_prefix=open_mpi.prefix, variables=variables)
        return replace(environment, built=environment.built or got, container=with_binds(plan, binds))

    async def _of_this_machine(
        self, spec: PythonEnvironmentSpec, plan: ContainerPlan, mpi: bool, log: Log, got: bool
    ) -> PreparedEnvironment:
        def within(interpreter: Path, open_mpi: OpenMpi | None) -> ContainerUv:
            # Programs of packages that are built run in a container as well, which sees what jobs see.
            binds = [bind for bind in plan.binds if not bind.path.is_relative_to(self._cache_dir)]
            prefix = Path(os.path.realpath(interpreter)).parent.parent
            return self._uv(plan, interpreter, open_mpi, [*binds, *([] if prefix == Path("/") else [Bind(prefix)])])

        environment = await self._host.prepare(spec, mpi=mpi, log=log, within=within)
        python = Path(os.path.realpath(environment.python))
        folders = [python.parent.parent]
        if spec.user_managed:
            # It may be in a virtual environment, whose `bin/python` is a link out of it.
            folders.append(environment.python.parent.parent)
        if environment.open_mpi_prefix is not None:
            folders.append(environment.open_mpi_prefix)
        binds = [Bind(folder) for folder in folders if folder != Path("/")]
        return replace(environment, built=environment.built or got, container=with_binds(plan, binds))

    async def _mounted(
        self,
        spec: PythonEnvironmentSpec,
        plan: ContainerPlan,
        facts: ImageFacts,
        shown: str,
        open_mpi: OpenMpi | None,
        log: Log,
    ) -> tuple[PreparedEnvironment, tuple[Bind, ...]]:
        if facts.glibc is None:
            raise FailedPrecondition(
                "ENVIRONMENT_BUILD_FAILED",
                f"Packages can be installed into images with the GNU C library, and the image {shown} has another one. "
                "Use another image, or one that has the packages itself, with user_managed_dependencies.",
            )
        folders = PackageFolders(self._settings.allowed_package_folders)
        request = await asyncio.to_thread(read_request, spec, folders, mpi=open_mpi is not None)
        python, binds = await self._python(request, plan, facts, shown, log)
        uv = self._uv(plan, python.path, open_mpi, binds)
        site = Site(python, uv, plan.image, facts.libc)
        return await self._host.environments.prepare(request, site, open_mpi, log), binds

    def _uv(
        self, plan: ContainerPlan, python: Path, open_mpi: OpenMpi | None, binds: Iterable[Bind] = ()
    ) -> ContainerUv:
        return ContainerUv(
            self._images.helpers,
            plan.image,
            python,
            self._cache_dir,
            self._environ,
            network=self._images.build_network,
            offline=self._settings.offline,
            credentials=self._settings.package_credentials,
            # Packages that are built against MPI find it.
            binds=[*binds, *([] if open_mpi is None else [Bind(open_mpi.prefix)])],
        )

    async def _python(
        self, request: EnvironmentRequest, plan: ContainerPlan, facts: ImageFacts, shown: str, log: Log
    ) -> tuple[Interpreter, tuple[Bind, ...]]:
        wish = wish_of(request, self._settings)
        try:
            return await find_python(self._images, plan.image, shown, wish, self._host.interpreters)
        except FailedPrecondition as error:
            if error.reason != "PYTHON_NOT_FOUND" or request.python.text:
                raise
            own, day = as_interpreter(facts.interpreters[0]), self._settings.exclude_newer
            log(f"warning: {error} The image's own Python {own.version} is taken; packages of {day} may not fit it.")
            return own, ()

    async def _open_mpi(self, facts: ImageFacts, shown: str, log: Log) -> OpenMpi:
        if facts.glibc is None or facts.glibc < OLDEST_GLIBC:
            raise FailedPrecondition(
                "IMAGE_UNFIT_FOR_MPI",
                f"Open MPI, which LocalAML brings along, needs the GNU C library {'.'.join(map(str, OLDEST_GLIBC))} or "
                f"newer; the image {shown} has {facts.libc or 'another one'}. Use an image of Debian 10, Ubuntu 18.10 "
                "or newer.",
            )
        found = await self._host.open_mpi()
        if found.warning:
            log(f"warning: {found.warning}")
        return await asyncio.to_thread(copy_of_open_mpi, self._cache_dir, found)
