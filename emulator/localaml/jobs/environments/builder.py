"""Environments of jobs as cached virtual environments, built by uv.

    <cache dir>/
        uv/                           uv's own cache
        resolutions/<key>.txt         the frozen answer to one spec: pinned versions
        environments/<key>/           a virtual environment; `localaml-complete.json` in it is written last
        locks/                        one file per key

A spec is resolved once; from then on the same versions are installed, without a look at the index where uv's cache
has the files. Conda itself is never used, also where it is installed: what a spec gives must not depend on the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from localaml.clock import Clock
from localaml.domain.job import ContainerSpec, PythonEnvironmentSpec
from localaml.domain.redaction import redact
from localaml.errors import FailedPrecondition
from localaml.jobs.environments.conda import EnvironmentRequest, PythonWish, read_conda_dependencies
from localaml.jobs.environments.contract import PreparedEnvironment
from localaml.jobs.environments.folder_lock import FolderLock
from localaml.jobs.environments.interpreters import Interpreter, Interpreters
from localaml.jobs.environments.open_mpi import OpenMpi, find_open_mpi
from localaml.jobs.environments.pip_settings import PipSettings, read_pip_settings
from localaml.jobs.environments.python_of_day import python_of_day
from localaml.jobs.environments.resolution import (
    Resolution,
    environment_key,
    make_resolution,
    overrides_file,
    read_pins,
)
from localaml.jobs.environments.uv_tool import Uv, UvResult
from localaml.settings import EnvironmentSettings

MARKER = "localaml-complete.json"
Log = Callable[[str], None]


class UvEnvironmentBuilder:
    """The `EnvironmentBuilder` of this machine.

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
        self._cache_dir = cache_dir.absolute()
        self._settings = settings
        self._clock = clock
        self._environ = dict(os.environ if environ is None else environ)
        self._uv = Uv(self._cache_dir / "uv", self._environ, offline=settings.offline)
        self._interpreters = Interpreters(settings.python_interpreters, self._environ)
        self._pip: PipSettings | None = None
        self._open_mpi: OpenMpi | None = None
        self._ready: dict[str, PreparedEnvironment] = {}

    async def prepare(
        self, spec: PythonEnvironmentSpec, *, mpi: bool, log: Log, container: ContainerSpec | None = None
    ) -> PreparedEnvironment:
        """See `EnvironmentBuilder.prepare`; for this machine only.

        Further errors: FailedPrecondition ``OPEN_MPI_NOT_FOUND``, ``UV_NOT_FOUND``, ``CONSTRAINTS_FILE_MISSING``.
        """
        if container is not None:
            raise FailedPrecondition(
                "NO_CONTAINERS", "This emulator runs jobs as processes: it makes no environments for images."
            )
        known = _spec_key(spec, mpi=mpi)
        ready = self._ready.get(known)
        if ready is not None and _is_there(ready, spec):
            return ready
        open_mpi = await self._find_open_mpi(log) if mpi else None
        if spec.user_managed:
            found = await self._interpreters.find_command(spec.interpreter)
            environment = PreparedEnvironment(found.path, found.minor, found.path.parent)
        else:
            environment = await self._virtual_environment(spec, open_mpi, log)
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
        return found

    async def _virtual_environment(
        self, spec: PythonEnvironmentSpec, open_mpi: OpenMpi | None, log: Log
    ) -> PreparedEnvironment:
        extra = list(spec.extra_pip_packages)
        if open_mpi is not None and not any(word.startswith("mpi4py") for word in extra):
            extra.append("mpi4py")
        request = read_conda_dependencies(spec.conda_dependencies, extra)
        python = await self._find_python(request.python, log)
        if python.minor < (3, 8):
            # mpi4py 4 has no wheels for these; the older one builds in a sixth of the time.
            plain = {"mpi4py": "mpi4py<4"}
            requirements = tuple(plain.get(word, word) if word in extra else word for word in request.requirements)
            request = replace(request, requirements=requirements)
        resolution = make_resolution(request, python, self._settings, await self._pip_settings(), self._environ)
        build = _Build(self, request, python, resolution, open_mpi, log)
        pins = await build.pins()
        key = environment_key(python, pins)
        folder = self._cache_dir / "environments" / key
        built = False
        if not _is_complete(folder):
            async with FolderLock(self._cache_dir / "locks" / key) as lock:
                # Somebody else may have built it meanwhile.
                if not _is_complete(folder):
                    await build.install(folder, pins, lock)
                    built = True
        return PreparedEnvironment(
            folder / "bin" / "python", python.minor, folder / "bin", dict(request.variables), built
        )

    async def _find_python(self, wish: PythonWish, log: Log) -> Interpreter:
        day = self._settings.exclude_newer
        if wish.text or not day:
            return await self._interpreters.find(wish)
        try:
            return await self._interpreters.find(python_of_day(day))
        except FailedPrecondition as error:
            own = self._interpreters.own()
            log(f"warning: {error} The emulator's own Python {own.version} is taken; packages of {day} may not fit it.")
            return own

    async def _pip_settings(self) -> PipSettings:
        if self._pip is None:
            self._pip = await asyncio.to_thread(read_pip_settings, self._environ)
        return self._pip


class _Build:
    """One request on its way to an environment."""

    def __init__(
        self,
        builder: UvEnvironmentBuilder,
        request: EnvironmentRequest,
        python: Interpreter,
        resolution: Resolution,
        open_mpi: OpenMpi | None,
        log: Log,
    ) -> None:
        self._uv = builder._uv
        self._cache_dir = builder._cache_dir
        self._clock = builder._clock
        self._offline = builder._settings.offline
        self._request = request
        self._python = python
        self._resolution = resolution
        self._log = log
        # A source distribution of mpi4py finds its compiler by this.
        self._variables: dict[str, str] = {}
        if open_mpi is not None:
            self._variables = {**open_mpi.variables, "MPICC": str(open_mpi.prefix / "bin" / "mpicc")}
        self._introduced = False

    async def pins(self) -> tuple[str, ...]:
        """The frozen versions of the request; resolves them when that was never done."""
        if not self._request.requirements:
            return ()
        file = self._cache_dir / "resolutions" / f"{self._resolution.key}.txt"
        frozen = _read(file)
        if frozen is None:
            async with FolderLock(self._cache_dir / "locks" / f"resolve-{self._resolution.key}") as lock:
                frozen = _read(file)
                if frozen is None:
                    frozen = await self._resolve(file, lock)
        return read_pins(frozen)

    async def _resolve(self, file: Path, lock: FolderLock) -> str:
        self._introduce()
        self._log("Resolving the versions of the packages:")
        with _Scratch(self._cache_dir) as scratch:
            arguments = [
                *("pip", "compile", scratch.write("requirements.in", self._resolution.requirements_file())),
                *("--python", str(self._python.path), "--output-file", scratch.path("pins.txt"), "--quiet"),
                *("--no-header", "--no-annotate", "--overrides", scratch.write("served.txt", overrides_file())),
                *[word for path in self._resolution.constraints for word in ("--constraints", path)],
                *self._resolution.arguments,
            ]
            result = await self._run(arguments, self._log, lock)
            if result.exit_code != 0:
                raise self._failure("The packages could not be resolved", result)
            pins = "\n".join(read_pins(scratch.read("pins.txt"))) + "\n"
            for pin in read_pins(pins):
                self._log(f"  {redact(pin)}")
            scratch.publish("frozen.txt", pins, file)
        return pins

    async def install(self, folder: Path, pins: Sequence[str], lock: FolderLock) -> None:
        """Builds the environment in `folder`, whose lock is held; leaves nothing when it fails or is cancelled."""
        self._introduce()
        started = self._clock.monotonic()
        await asyncio.to_thread(_remove, folder)
        try:
            await self._install(folder, pins, lock)
            facts = {"python": self._python.version, "interpreter": str(self._python.path), "packages": list(pins)}
            _write_marker(folder, facts)
        except BaseException:
            # Also when cancelled: a thread's work is waited for, whatever comes.
            await asyncio.shield(asyncio.to_thread(_remove, folder))
            raise
        self._log(f"The environment is ready after {self._clock.monotonic() - started:.1f} seconds.")

    async def _install(self, folder: Path, pins: Sequence[str], lock: FolderLock) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["venv", "--no-project", "--quiet", "--python", str(self._python.path), str(folder)]
        result = await self._run(arguments, self._log, lock)
        if result.exit_code != 0:
            raise self._failure("The virtual environment could not be made", result)
        if not pins:
            return
        self._log("Installing the packages:")
        with _Scratch(self._cache_dir) as scratch:
            arguments = [
                *("pip", "install", "--no-deps", "--python", str(folder / "bin" / "python")),
                *("--requirements", scratch.write("pins.txt", self._resolution.pins_file(pins))),
                *self._resolution.arguments,
            ]
            # What uv has in its cache needs no index: an index that is slow or gone is no obstacle to a frozen spec.
            result = await self._run(arguments, self._log if self._offline else _silent, lock, offline=True)
            if result.exit_code == 0:
                for line in () if self._offline else result.lines:
                    self._log(line)
            elif not self._offline:
                result = await self._run(arguments, self._log, lock)
        if result.exit_code != 0:
            raise self._failure("The packages could not be installed", result)

    async def _run(self, arguments: Sequence[str], log: Log, lock: FolderLock, *, offline: bool = False) -> UvResult:
        return await self._uv.run(arguments, log, variables=self._variables, offline=offline, keep_open=[lock.fileno])

    def _introduce(self) -> None:
        if self._introduced:
            return
        self._introduced = True
        log, wish = self._log, self._request.python
        log(f"Python {self._python.version} ({self._python.path})")
        if wish.patch and wish.patch != self._python.version:
            log(f"note: Python {wish.patch} was asked for and is not on this machine; the minor version is the same")
        for requirement in self._request.requirements:
            log(f"  {redact(requirement)}")
        for note in self._request.notes:
            log(f"note: {redact(note)}")

    def _failure(self, what: str, result: UvResult) -> FailedPrecondition:
        hint = ""
        if self._offline:
            hint = " The emulator is offline (setting LOCALAML_OFFLINE): only what was installed before can be had."
        return FailedPrecondition("ENVIRONMENT_BUILD_FAILED", f"{what}: {result.reason}{hint}")


class _Scratch:
    """A folder for files that only one run of uv needs. For its owner alone: index addresses may hold passwords."""

    def __init__(self, cache_dir: Path) -> None:
        self._parent = cache_dir / "tmp"
        self._folder = Path()

    def __enter__(self) -> _Scratch:
        self._parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(dir=self._parent))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def path(self, name: str) -> str:
        return str(self._folder / name)

    def write(self, name: str, text: str) -> str:
        (self._folder / name).write_text(text, encoding="utf-8")
        return self.path(name)

    def read(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8")

    def publish(self, name: str, text: str, target: Path) -> None:
        """Makes a file appear under its name complete or not at all."""
        self.write(name, text)
        target.parent.mkdir(parents=True, exist_ok=True)
        (self._folder / name).replace(target)


def _silent(line: str) -> None:
    """For output that is looked at when the program has ended."""


def _spec_key(spec: PythonEnvironmentSpec, *, mpi: bool) -> str:
    facts = [spec.user_managed, spec.interpreter, spec.conda_dependencies, spec.extra_pip_packages, mpi]
    return json.dumps(
        facts, sort_keys=True, default=lambda value: dict(value) if isinstance(value, Mapping) else str(value)
    )


def _is_there(environment: PreparedEnvironment, spec: PythonEnvironmentSpec) -> bool:
    if spec.user_managed:
        return os.access(environment.python, os.X_OK)
    return _is_complete(environment.bin_dir.parent)


def _is_complete(folder: Path) -> bool:
    # The interpreter is a link to one that may have been removed since.
    return (folder / MARKER).is_file() and (folder / "bin" / "python").exists()


def _write_marker(folder: Path, facts: Mapping[str, object]) -> None:
    partial = folder / f"{MARKER}.partial"
    partial.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    partial.replace(folder / MARKER)


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _remove(folder: Path) -> None:
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
